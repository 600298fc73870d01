"""The platform's configuration in a real nginx: what visitors of static sites get."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from tests.support import file_names
from tests.support import nginx as support
from tests.support.machine import write
from tests.support.nginx_sites import PAGE, PAGES, RULED, apply

from webops_host.linux import site_links
from webops_host.linux.site_rules import parse
from webops_host.names import DeploymentName
from webops_host.values import Site

pytestmark = pytest.mark.skipif(not support.is_here(), reason="nginx is not installed")


@pytest.mark.parametrize(
    ("target", "body", "kind"),
    [
        ("/", b"<h1>home</h1>", "text/html; charset=utf-8"),
        ("/?a=b", b"<h1>home</h1>", "text/html; charset=utf-8"),
        ("/index.html", b"<h1>home</h1>", "text/html; charset=utf-8"),
        ("/about", b"about", "text/html; charset=utf-8"),
        ("/notes/", b"notes", "text/html; charset=utf-8"),
        ("/letters.txt", b"abcdefghij", "text/plain; charset=utf-8"),
        ("/%C3%BCn%C3%AF%20c%C3%B6de.txt", b"unicode", "text/plain; charset=utf-8"),
        ("/.well-known/security.txt", b"contact", "text/plain; charset=utf-8"),
        ("/app.1234abcd.js", b"1", "application/javascript; charset=utf-8"),
        ("/nothing.bin", b"", "application/octet-stream"),
    ],
)
def test_files_are_served(nginx, target, body, kind):
    heard = nginx.ask(PAGE, target)
    assert (heard.status, heard.body, heard.get("content-type")) == (200, body, kind)


@pytest.mark.parametrize(
    "target",
    [
        "/.env", "/%2eenv", "/.git/config", "/notes/.hidden", "/.well-known/../.env", "/..\\secret", "/link.txt",
        "/root/etc/passwd", "/inside.txt", "/pipe", "/missing", "/empty/", "/%ff%fe", "/" + "a" * 300, "/.well-known/",
        "/letters.txt/", "/letters.txt/x", "/a/../b", "//etc/passwd", "/_redirects", "/_headers", "/.",
    ],
)  # fmt: skip
def test_fs_05_nothing_but_published_files_is_served(nginx, target):
    heard = nginx.ask(PAGE, target)
    assert (heard.status, heard.body) in ((404, b"<h1>lost</h1>"), (200, b"<h1>home</h1>")), heard
    assert heard.status == 404 or target == "/."


@pytest.mark.parametrize(
    "target", ["/../secret", "/%2e%2e/secret", "/%2e%2e%2fsecret", "/..%2fsecret", "/notes/../../secret", "/x%00.html"]
)
def test_fs_05_a_path_that_leaves_the_tree_is_no_request(nginx, target):
    heard = nginx.ask(PAGE, target)
    assert heard.status in (400, 404)
    assert b"secret" not in heard.body


def test_fs_05_a_tree_that_is_itself_a_link_is_not_served(nginx):
    name = DeploymentName("linked")
    nginx.layout.release(name, 1).mkdir(parents=True)
    nginx.layout.public(name, 1).symlink_to("/etc")
    nginx.layout.current(name).symlink_to("releases/1")
    nginx.write(nginx.front(name, Site(name, 1)))
    apply(nginx)
    assert nginx.ask("linked.apps.test", "/passwd").status == 404


def test_a_folder_is_redirected_to_its_slash(nginx):
    heard = nginx.ask(PAGE, "/notes?a=b")
    assert (heard.status, heard.get("location")) == (301, "/notes/?a=b")


def test_a_site_without_a_404_page_shows_ours(nginx):
    name = DeploymentName("plain")
    write(nginx.layout.public(name, 1), {"index.html": "x"})
    nginx.layout.current(name).symlink_to("releases/1")
    nginx.write(nginx.front(name, Site(name, 1)))
    apply(nginx)
    heard = nginx.ask("plain.apps.test", "/missing")
    assert (heard.status, heard.get("content-type")) == (404, "text/html; charset=utf-8")
    assert b"There is no page at this address." in heard.body
    assert b"nginx" not in heard.body


def test_a_single_page_app_answers_every_page_and_no_file(nginx):
    assert nginx.ask("single.apps.test", "/deep/link").body == b"<h1>home</h1>"
    assert nginx.ask("single.apps.test", "/deep/link/").body == b"<h1>home</h1>"
    for target in ("/missing.js", "/.env", "/.git/config"):
        assert nginx.ask("single.apps.test", target).status == 404


@pytest.mark.parametrize(
    ("target", "forever"),
    [("/app.1234abcd.js", True), ("/app-B3f_9aZk.css", True), ("/letters.txt", False), ("/", False),
     ("/report-20240101.pdf", False),
     *((f"/{name}", True) for name in file_names.BUILT),
     *((f"/{name}", False) for name in (*file_names.CHOSEN, *file_names.PAGES))],
)  # fmt: skip
def test_only_names_with_a_digest_are_kept_forever(nginx, target, forever):
    heard = nginx.ask(PAGE, target)
    assert (heard.status, "immutable" in heard.get("cache-control")) == (200, forever)


def test_what_did_not_change_is_not_sent_again_and_parts_can_be_had(nginx):
    tag = nginx.ask(PAGE, "/letters.txt").get("etag")
    assert nginx.ask(PAGE, "/letters.txt", f"If-None-Match: {tag}").status == 304
    part = nginx.ask(PAGE, "/letters.txt", "Range: bytes=2-4")
    assert (part.status, part.body, part.get("content-range")) == (206, b"cde", "bytes 2-4/10")


def test_a_compressed_sibling_is_sent_to_those_who_take_it(nginx):
    squeezed = gzip.compress(b"hello")
    public = nginx.layout.public(PAGES, 1)
    (public / "page.css").write_bytes(b"hello")
    (public / "page.css.gz").write_bytes(squeezed)
    heard = nginx.ask(PAGE, "/page.css", "Accept-Encoding: br, gzip")
    assert (heard.body, heard.get("content-encoding"), heard.get("vary")) == (squeezed, "gzip", "Accept-Encoding")
    assert nginx.ask(PAGE, "/page.css").body == b"hello"


def test_a_large_page_without_a_sibling_is_compressed_on_the_way(nginx):
    (nginx.layout.public(PAGES, 1) / "long.html").write_text("long " * 1000)
    heard = nginx.ask(PAGE, "/long.html", "Accept-Encoding: gzip")
    assert heard.get("content-encoding") == "gzip"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_static_site_is_only_read(nginx, method):
    assert nginx.ask(PAGE, "/", method=method).status == 405


# --- redirects and fields of the tree --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "status", "leads"),
    [
        ("/old", 301, "/new"), ("/old/?a=b", 301, "/new?a=b"), ("/news/2024/a/b?x=y", 301, "/blog/2024/a/b?x=y"),
        ("/news/2024", 301, "/blog/2024/"), ("/q?y=2", 301, "/r?x=1"), ("/letters.txt", 301, "/forced"),
        ("/%c3%bc/x%20y", 301, "/u/x%20y"), ("/out", 301, "https://example.org/a#b"), ("/go/x", 302, "/x"),
        ("/go//evil.example/", 302, "/"), ("/go/\\evil.example", 302, "/"),
        ("/go/%0d%0aX-Bad:%20yes", 404, ""), ("/old?%0d%0aX-Bad:%20yes", 301, "/new?%0d%0aX-Bad:%20yes"),
    ],
)  # fmt: skip
def test_inj_08_a_redirect_leads_where_the_tree_says_and_nowhere_else(nginx, target, status, leads):
    heard = nginx.ask("ruled.apps.test", target)
    assert (heard.status, heard.get("location"), heard.get("x-bad")) == (status, leads, "")


def test_a_page_that_is_there_comes_before_a_rule_that_is_not_forced(nginx):
    assert nginx.ask("ruled.apps.test", "/about").body == b"about"


def test_a_rule_may_show_a_page_in_place(nginx):
    (nginx.layout.public(RULED, 1) / "app").mkdir()
    (nginx.layout.public(RULED, 1) / "app/index.html").write_text("the app")
    for target in ("/app", "/app/", "/app/deep/link", "/app/x.js"):
        heard = nginx.ask("ruled.apps.test", target)
        assert (heard.status, heard.body) == (200, b"the app")
    (nginx.layout.public(RULED, 1) / "lost.html").write_text("lost here")
    heard = nginx.ask("ruled.apps.test", "/lost/x")
    assert (heard.status, heard.body) == (404, b"lost here")


def test_fields_are_those_of_the_path_asked_for_however_it_is_spelled(nginx):
    assert nginx.ask("ruled.apps.test", "/").get("x-all") == "yes"
    assert nginx.ask("ruled.apps.test", "/missing").get("x-all") == "yes"
    for target in ("/about", "/%61bout", "/about?x", "/about.html"):
        assert nginx.ask("ruled.apps.test", target).get("x-about") == "one, two"
    assert nginx.ask("ruled.apps.test", "/notes/").get("x-about") == ""
    text = nginx.ask("ruled.apps.test", "/.well-known/security.txt")
    assert (text.get("x-all"), text.get("cache-control")) == ("text", "max-age=5")
    assert nginx.ask("ruled.apps.test", "/app.1234abcd.js").get("cache-control").endswith("immutable")


NAMES = "".join(f"/:n{n}" for n in range(20))
LONG = {
    "targets": parse(f"/:a/* /{'b' * 1900}/:a/:splat".encode(), None),
    "names": parse(f"{NAMES} {NAMES}{'/-' * 900}".encode(), None),
    "sources": parse(f"/{'-' * 199}/{'-' * 199}/:a/{'-' * 90} /x/:a".encode(), None),
    "paths": parse(None, f"/{'-' * 199}*{'-' * 100}\n X-A: b".encode()),
    "wide": parse(None, f"/{'%C3%BC' * 33}*{'%C3%BC' * 16}\n X-A: b".encode()),
    "values": parse(None, ("/*\n" + f" Link: <x>; rel={'x' * 80}\n" * 60).encode()),
    "quotes": parse(None, ("/*\n" + f" X-A: {chr(34) * 600}\n" * 6).encode()),
}


@pytest.mark.parametrize("rules", LONG)
def test_whatever_is_taken_of_a_tree_nginx_can_read(nginx, rules):
    assert LONG[rules].redirects or LONG[rules].headers
    name = DeploymentName("long")
    write(nginx.layout.public(name, 1), {"index.html": "x"})
    site_links.lead(nginx.layout.current(name), "releases/1")
    nginx.write(nginx.front(name, Site(name, 1), LONG[rules]))
    apply(nginx)
    assert nginx.ask("long.apps.test", "/").status == 200


# --- neighbours ------------------------------------------------------------------------------------------------

ADDRESSES = (
    "/" + "a" * 100 + "bx",
    "/" + "a" * 15000,
    "/" + "a/" * 7500,
    "/from/" + "-" * 14000 + ".",
    "/a" + "." * 14000 + "/x",
)
HOSTILE = {
    "stars": parse(None, "".join(f"/*{'a*' * 12}b\n  X-{n}: 1\n" for n in range(100)).encode()),
    "tails": parse(None, "".join(f"/*{'a' * 99}b\n  X-{n}: 1\n" for n in range(100)).encode()),
    "names": parse(None, "".join(f"{'/:a' * 90}/*b\n  X-{n}: 1\n" for n in range(100)).encode()),
    "leads": parse("".join(f"{''.join(f'/:n{i}' for i in range(19))}/{n}/* /x\n" for n in range(300)).encode(), None),
    "moved": parse(b"/from/* /to/:splat 301\n", None),
}


@pytest.mark.parametrize("rules", HOSTILE)
def test_iso_04_rules_of_one_tree_take_no_time_from_its_neighbours(nginx, rules):
    for name, given_rules in (("costly", HOSTILE[rules]), ("cheap", parse(None, b"/*\n  X-A: b\n"))):
        write(
            nginx.layout.public(DeploymentName(name), 1), {"index.html": "x", "404.html": "no", "a" * 100 + "bx": "x"}
        )
        site_links.lead(nginx.layout.current(DeploymentName(name)), "releases/1")
        nginx.write(nginx.front(DeploymentName(name), Site(DeploymentName(name), 1, fallback=True), given_rules))
    apply(nginx)
    for address in ADDRESSES:
        plain, taken = (_work(nginx, f"{name}.apps.test", address) for name in ("cheap", "costly"))
        assert taken < 20 * plain + 5e6, address[:20]


def _work(nginx, host: str, address: str) -> int:
    """Nanoseconds of a processor that nginx needs for an answer, at the best of a few."""
    [worker] = nginx.workers()

    def taken() -> int:
        return int(Path(f"/proc/{worker}/schedstat").read_text().split()[0])

    found = []
    for _ in range(3):
        before = taken()
        assert nginx.ask(host, address).status < 500
        found.append(taken() - before)
    return min(found)
