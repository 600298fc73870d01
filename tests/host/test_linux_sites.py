"""Sites of a server: the file, the links, and what happens when nginx says no."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import trustme
from tests.host.test_nginx_files import HASH
from tests.support.machine import write
from tests.support.nginx import PLATFORM

from webops_host import programs
from webops_host.errors import BadValue, HostError, NotFound
from webops_host.linux import unit_text
from webops_host.linux.layout import ServerLayout
from webops_host.linux.nginx_parts import Flavour
from webops_host.linux.sites import LinuxSites
from webops_host.names import DeploymentName, Domain, ProcessKind
from webops_host.site_options import SiteOptions, Visitor, WallEntry
from webops_host.values import Area, Mount, Site, UnitRef

BLOG, SHOP = DeploymentName("blog"), DeploymentName("shop")
MOUNTS = (Mount("/static/", Area.STATIC),)


class Units:
    """Processes that say they are there."""

    def __init__(self) -> None:
        self.deaf: set[UnitRef] = set()

    def installed(self, name: DeploymentName) -> tuple[UnitRef, ...]:
        return tuple(UnitRef(name, release, ProcessKind("web")) for release in (1, 2, 3))

    def serves(self, ref: UnitRef) -> bool:
        return ref not in self.deaf


class FakeNginx:
    """Writes down what it is asked, and refuses when told."""

    def __init__(self, sites: Path) -> None:
        self.did: list[str] = []
        self.refuses: dict[str, HostError] = {}
        self.tested: dict[str, str] = {}
        self.answers: dict[str, str] = {}
        self._sites = sites

    def test(self, staged: Path) -> None:
        self.tested = {file.name: file.read_text() for file in staged.iterdir()}
        self._do("test")

    def reload(self) -> None:
        self._do("reload")
        self.answers = {file.name: file.read_text() for file in self._sites.iterdir()}

    def _do(self, what: str) -> None:
        self.did.append(what)
        if what in self.refuses:
            raise self.refuses.pop(what)


class Server:
    """A place on disk with the parts of a server that sites need."""

    def __init__(self, root: Path) -> None:
        self.layout = ServerLayout(*(root / place for place in ("srv", "etc", "var/hostd", "run", "units", "var")))
        self.nginx, self.units = FakeNginx(self.layout.nginx_sites), Units()
        self.sites = self.again()
        for name in (BLOG, SHOP):
            for release in (1, 2, 3):
                write(self.layout.public(name, release), {"index.html": f"{release}"})

    def again(self) -> LinuxSites:
        """The daemon, started anew."""
        return LinuxSites(self.layout, PLATFORM, self.units, nginx=self.nginx, flavour=Flavour())

    def text(self, name: DeploymentName = BLOG) -> str:
        return self.layout.nginx_site(name).read_text()

    def links(self, name: DeploymentName = BLOG) -> tuple[str, str]:
        found = []
        for link in (self.layout.live(name), self.layout.current(name)):
            found.append(os.path.basename(os.readlink(link)) if link.is_symlink() else "")
        return found[0], found[1]


@pytest.fixture
def server(tmp_path) -> Server:
    return Server(tmp_path)


def app(release: int = 1, name: DeploymentName = BLOG, **more) -> Site:
    return Site(name, release, UnitRef(name, release, ProcessKind("web")), MOUNTS, **more)


def test_a_site_is_tested_swapped_and_reloaded_once(server):
    address = server.sites.publish(app())
    assert (address.url, address.release) == ("https://blog.apps.test", 1)
    assert server.nginx.did == ["test", "reload"]
    assert server.nginx.tested == server.nginx.answers == {"blog.conf": server.text()}
    assert server.links() == ("1-web-1.sock", "1")


def test_a_release_changes_links_and_asks_nothing_of_nginx(server):
    server.sites.publish(app(1))
    server.nginx.did.clear()
    for release in (2, 3, 2):
        assert server.sites.publish(app(release)).release == release
        assert server.links() == (f"{release}-web-1.sock", str(release))
        assert server.sites.address(BLOG).release == release
        assert server.sites.served(BLOG) == app(release)
    assert server.nginx.did == []


def test_connections_are_kept_to_a_server_that_was_started_for_it(server):
    """A release of the same kind asks nothing of nginx; one with a server of its own does."""
    for release in (1, 2):
        service = server.layout.units / f"wo-blog--{release}-web-1.service"
        write(service.parent, {service.name: unit_text.exec_words((programs.KEEPS,))})
    for release in (1, 2):
        server.sites.publish(app(release))
        assert "upstream webops_blog " in server.text()
    assert server.nginx.did == ["test", "reload"]
    server.sites.refresh(BLOG)
    assert server.nginx.did == ["test", "reload"]
    server.sites.publish(app(3))
    assert "upstream webops_blog" not in server.text()
    assert server.links() == ("3-web-1.sock", "3")


def test_what_answers_is_read_from_the_links_also_after_a_start(server):
    server.sites.publish(app(1))
    server.sites.publish(Site(SHOP, 2))
    again = server.again()
    assert (again.address(BLOG).release, again.address(SHOP).release) == (1, 2)
    live = server.layout.live(BLOG)
    live.unlink()
    assert again.address(BLOG) is None
    live.symlink_to(server.layout.socket(UnitRef(BLOG, 7, ProcessKind("web"))))
    assert again.address(BLOG).release == 7


def test_rules_of_a_tree_change_the_text_when_they_change(server):
    server.sites.publish(Site(BLOG, 1))
    write(server.layout.public(BLOG, 2), {"_redirects": "/old /new\n/x /y Country=de", "_headers": "/*\n  X-A: b"})
    write(server.layout.public(BLOG, 3), {"_redirects": "/old /new\n/x /y Country=de", "_headers": "/*\n  X-A: b"})
    server.nginx.did.clear()
    server.sites.publish(Site(BLOG, 2))
    assert server.nginx.did == ["test", "reload"]
    assert "/new" in server.text()
    assert len(server.sites.notices(BLOG)) == 1
    server.sites.publish(Site(BLOG, 3))
    assert server.nginx.did == ["test", "reload"]


def test_what_is_too_long_of_a_tree_is_left_out_and_the_site_goes_live(server):
    link = "  Link: </assets/fonts/inter.woff2>; rel=preload; as=font; type=font/woff2; crossorigin\n"
    write(server.layout.public(BLOG, 1), {"_redirects": f"/a /{'b' * 4000}\n/c /d\n", "_headers": f"/*\n{link * 60}"})
    assert server.sites.publish(Site(BLOG, 1)).release == 1
    assert len(server.sites.notices(BLOG)) > 1
    assert "/d" in server.text()


def test_iso_04_a_rule_that_an_earlier_version_took_is_left_out_and_holds_nobody_up(server):
    write(server.layout.public(BLOG, 1), {"_redirects": "/old /new\n", "_headers": "/a*\n  X-A: b\n/c\n  X-C: d\n"})
    server.sites.publish(Site(BLOG, 1))
    record = server.layout.site_record(BLOG)
    record.write_text(record.read_text().replace('"/a*"', '"/a*a*b"'))
    server.sites.publish(app(name=SHOP, domains=(Domain("a.example"),)))
    server.sites.refresh(BLOG)
    assert ("X-A" in server.text(), "X-C" in server.text(), "/new" in server.text()) == (False, True, True)


@pytest.mark.parametrize("step", ["test", "reload"])
def test_priv_06_a_text_that_nginx_refuses_leaves_everything_as_it_was(server, step):
    server.sites.publish(app(1))
    before, links = server.text(), server.links()
    server.nginx.refuses[step] = HostError("nginx refused it: no")
    with pytest.raises(HostError, match="no"):
        server.sites.publish(app(2, options=SiteOptions(body_limit_mib=7)))
    assert (server.text(), server.links()) == (before, links)
    assert server.nginx.answers == {"blog.conf": before}
    assert server.sites.served(BLOG) == app(1)
    server.sites.publish(app(2, options=SiteOptions(body_limit_mib=7)))
    assert "7m" in server.text()


def test_priv_06_a_first_site_that_nginx_refuses_leaves_nothing(server):
    server.nginx.refuses["test"] = HostError("no")
    with pytest.raises(HostError):
        server.sites.publish(Site(BLOG, 1))
    assert not server.layout.nginx_site(BLOG).exists()
    assert server.links() == ("", "")
    assert server.sites.address(BLOG) is None


def test_the_kind_of_a_site_may_change_and_the_right_link_is_there_before(server):
    seen = []
    server.sites.publish(app(1))
    reload = server.nginx.reload
    server.nginx.reload = lambda: (seen.append(server.links()), reload())
    server.sites.publish(Site(BLOG, 2))
    assert (seen, server.links()) == ([("1-web-1.sock", "2")], ("", "2"))
    server.sites.publish(app(3))
    assert (seen[1:], server.links()) == ([("3-web-1.sock", "2")], ("3-web-1.sock", "3"))
    server.nginx.refuses["test"] = HostError("no")
    with pytest.raises(HostError):
        server.sites.publish(Site(BLOG, 1))
    assert server.links() == ("3-web-1.sock", "3")


def test_an_unpublished_site_keeps_its_names_and_says_so(server):
    server.sites.publish(app(1, domains=(Domain("blog.example"),)))
    server.sites.unpublish(BLOG)
    server.sites.unpublish(BLOG)
    assert server.nginx.did == ["test", "reload"] * 2
    assert server.sites.address(BLOG) is None
    assert server.sites.served(BLOG) is None
    assert server.links() == ("", "")
    assert "server_name blog.apps.test blog.example;" in server.text()
    assert "webops_page_unpublished" in server.text()
    server.sites.unpublish(DeploymentName("nobody"))
    assert server.sites.publish(app(1)).release == 1


def test_priv_04_what_a_daemon_wrote_that_ended_is_read_by_nginx(server, monkeypatch):
    """It was killed before it told nginx. The same again finds the files as they should be."""
    server.sites.publish(app(1))
    with monkeypatch.context() as killed:
        killed.setattr(FakeNginx, "reload", lambda self: os._exit(0))
        if (child := os.fork()) == 0:
            server.sites.unpublish(BLOG)
        os.waitpid(child, 0)
    assert server.nginx.answers["blog.conf"] != server.text()
    server.again().unpublish(BLOG)
    assert server.nginx.answers["blog.conf"] == server.text()
    server.nginx.did.clear()
    server.again().unpublish(BLOG)
    assert server.nginx.did == []


def test_priv_04_links_that_a_daemon_left_are_removed(server):
    server.sites.publish(app(1))
    server.sites.unpublish(BLOG)
    server.layout.current(BLOG).symlink_to("releases/1")
    server.again().unpublish(BLOG)
    assert server.links() == ("", "")


def test_a_site_that_is_forgotten_leaves_nothing(server):
    wall = (WallEntry(Visitor("ada"), HASH),)
    server.sites.publish(app(1, options=SiteOptions(wall=wall)))
    server.sites.publish(Site(SHOP, 1))
    write(server.layout.tls(BLOG), {"privkey.pem": "x"})
    server.sites.forget(BLOG)
    server.sites.forget(BLOG)
    left = [path for path in server.layout.root.parent.rglob("*") if "blog" in path.name and path.is_file()]
    assert left == []
    assert list(server.nginx.answers) == ["shop.conf"]


def test_a_wall_is_readable_by_the_web_server_and_changes_without_a_reload(server):
    first, second = (WallEntry(Visitor(name), HASH) for name in ("ada", "bob"))
    server.sites.publish(app(1, options=SiteOptions(wall=(first,))))
    wall = server.layout.settings / "nginx/walls/blog"
    assert wall.read_text() == f"ada:{HASH}\n"
    assert wall.stat().st_mode & 0o777 == 0o640
    server.nginx.did.clear()
    server.sites.publish(app(1, options=SiteOptions(wall=(first, second))))
    assert (server.nginx.did, wall.read_text()) == ([], f"ada:{HASH}\nbob:{HASH}\n")
    server.sites.publish(app(1))
    assert not wall.exists()


@pytest.mark.parametrize("domain", ["panel.test", "apps.test", "other.apps.test", "a.b.apps.test"])
def test_inj_08_a_name_of_the_platform_can_not_be_taken(server, domain):
    with pytest.raises(BadValue, match="the platform itself"):
        server.sites.publish(app(domains=(Domain(domain),)))


def test_a_domain_belongs_to_one_deployment(server):
    server.sites.publish(app(domains=(Domain("a.example"),)))
    with pytest.raises(BadValue, match="belongs to blog") as refused:
        server.sites.publish(app(name=SHOP, domains=(Domain("a.example"),)))
    assert refused.value.facts == {"holder": "blog"}
    server.sites.forget(BLOG)
    assert server.sites.publish(app(name=SHOP, domains=(Domain("a.example"),))).release == 1


def test_a_domain_goes_from_an_unpublished_deployment_to_the_next_one_that_has_it(server):
    both = (Domain("a.example"), Domain("b.example"))
    server.sites.publish(app(domains=both))
    server.sites.unpublish(BLOG)
    server.nginx.did.clear()
    for release in (1, 2):
        server.sites.publish(app(release, name=SHOP, domains=both[:1]))
    assert server.nginx.did == ["test", "reload"]
    assert server.sites.hosts(BLOG) == ("blog.apps.test", "b.example")
    assert [text.count("server_name") for text in server.nginx.answers.values()] == [2, 2]
    assert "a.example" not in server.text()
    server.sites.refresh(BLOG)
    with pytest.raises(BadValue, match="belongs to shop"):
        server.sites.publish(app(domains=both))
    assert server.sites.publish(app(domains=both[1:])).release == 1
    assert server.sites.hosts(SHOP) == ("shop.apps.test", "a.example")


def test_what_can_not_be_served_is_refused_before_anything_changes(server):
    server.units.deaf.add(UnitRef(BLOG, 2, ProcessKind("web")))
    write(server.layout.release(BLOG, 4) / "elsewhere", {"index.html": "x"})
    server.layout.public(BLOG, 4).symlink_to("elsewhere")
    for error, site in ((NotFound, app(9)), (BadValue, app(2)), (NotFound, Site(BLOG, 9)), (NotFound, Site(BLOG, 4))):
        with pytest.raises(error):
            server.sites.publish(site)
    assert server.nginx.did == []
    assert server.links() == ("", "")


def test_fs_05_rules_are_not_read_through_a_link(server):
    secret = server.layout.root / "secret"
    secret.write_text("/old /new\n")
    (server.layout.public(BLOG, 1) / "_redirects").symlink_to(secret)
    os.mkfifo(server.layout.public(BLOG, 1) / "_headers")
    server.sites.publish(Site(BLOG, 1))
    assert "/new" not in server.text()


def test_a_certificate_that_comes_changes_the_text_once(server):
    server.sites.publish(app(domains=(Domain("a.example"),)))
    made = trustme.CA().issue_cert("a.example")
    folder = server.layout.variable / "certbot/live/blog"
    write(folder, {"fullchain.pem": made.cert_chain_pems[0].bytes().decode(), "privkey.pem": "key"})
    server.nginx.did.clear()
    server.sites.refresh(BLOG)
    assert server.nginx.did == ["test", "reload"]
    assert str(folder) in server.text()
    server.sites.refresh(BLOG)
    server.sites.refresh(BLOG, reload=True)
    assert server.nginx.did == ["test", "reload", "reload"]


def test_what_another_version_would_write_is_told_without_writing_it(server):
    server.sites.publish(app())
    server.sites.publish(Site(SHOP, 1))
    server.nginx.did.clear()
    files = {server.layout.nginx_site(name): server.text(name) for name in (BLOG, SHOP)}
    assert server.sites.texts() == files
    modern = LinuxSites(server.layout, PLATFORM, server.units, nginx=server.nginx, flavour=Flavour((1, 26, 0)))
    assert all("http2 on;" in text for text in modern.texts().values())
    assert {file: file.read_text() for file in files} == files
    assert server.nginx.did == []

    record = server.layout.site_record(SHOP)
    record.write_text(record.read_text().replace('"up"', '"of a later version": 1, "up"'))
    assert list(server.sites.texts()) == [server.layout.nginx_site(BLOG)]


def test_many_changes_at_once_come_one_after_the_other(server):
    threads = [threading.Thread(target=server.sites.publish, args=(app(name=name),)) for name in (BLOG, SHOP) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.nginx.did == ["test", "reload"] * 2
    assert sorted(server.nginx.answers) == ["blog.conf", "shop.conf"]
