"""The platform's configuration in a real nginx: what visitors of static sites and apps get."""

from __future__ import annotations

import contextlib
import gzip
import os
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator

import pytest
from tests.host.conftest import FILES
from tests.support import nginx as support
from tests.support.machine import until, write
from tests.support.nginx import App, Nginx

from webops_host.linux.site_rules import parse
from webops_host.names import DeploymentName, Domain, ProcessKind
from webops_host.site_options import Cdn, Network, PasswordHash, SiteOptions, Visitor, WallEntry
from webops_host.values import Area, Mount, Site, UnitRef

pytestmark = pytest.mark.skipif(not support.is_here(), reason="nginx is not installed")

PAGES, RULED, SINGLE, SHOP, DOWN = map(DeploymentName, ("pages", "ruled", "single", "shop", "down"))
MOUNTS = (Mount("/static/", Area.STATIC), Mount("/media/", Area.MEDIA))
DOMAINS = (Domain("shop.example"), Domain("www.shop.example"))
PAGE, SHOP_HOST = "pages.apps.test", "shop.apps.test"
# openssl passwd -6 -salt saltsalt secret
HASH = PasswordHash(
    "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"
)
LOGIN = "Authorization: Basic YWRhOnNlY3JldA=="
RULES = parse(
    b"/old /new\n/news/:year/* /blog/:year/:splat\n/go/* /:splat 302!\n/about /never\n/letters.txt /forced 301!\n"
    b"/app/* /app/index.html 200\n/q /r?x=1\n/%C3%BC/* /u/:splat\n/lost/* /lost.html 404\n/out https://example.org/a#b",
    b"/*\n  X-All: yes\n/about\n  X-About: one\n  X-About: two\n/*.txt\n  X-All: text\n  Cache-Control: max-age=5\n",
)  # fmt: skip


def answer(connection, head, rest):
    """Echo, or behave as the path says."""
    path = head.split(b" ")[1].decode()
    if path.startswith("/slow"):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n")
        until(lambda: os.path.exists(path.partition("?")[2]))
        return connection.sendall(b"data: two\n\n")
    if path == "/ws":
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello "
        )
        while piece := connection.recv(1000):
            connection.sendall(piece.upper())
        return None
    own = {
        "/hsts": b"Strict-Transport-Security: max-age=1\r\n",
        "/down": b"X: y\r\n",
        "/streamed": b"X-Accel-Buffering: no\r\n",
    }
    status = b"503 Busy" if path == "/down" else b"200 OK"
    length = int(dict(line.lower().split(b": ") for line in head.split(b"\r\n")[1:]).get(b"content-length", b"0"))
    while len(rest) < length:
        rest += connection.recv(65536)
    body = head + b"\n\n" + str(len(rest)).encode()
    connection.sendall(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, own.get(path, b""), len(body), body))
    return None


@pytest.fixture(scope="module")
def nginx() -> Iterator[Nginx]:
    with support.running() as started:
        for name in (PAGES, RULED, SINGLE, SHOP):
            lay(started, name)
        shop = UnitRef(SHOP, 1, ProcessKind("web"))
        app = App(started.layout.socket(shop), answer)
        started.layout.live(SHOP).symlink_to(started.layout.socket(shop))
        started.write(started.front(PAGES, Site(PAGES, 1)))
        started.write(started.front(RULED, Site(RULED, 1), RULES))
        started.write(started.front(SINGLE, Site(SINGLE, 1, fallback=True)))
        started.write(started.front(SHOP, Site(SHOP, 1, shop, MOUNTS)))
        started.write(started.front(DOWN, Site(DOWN, 1, UnitRef(DOWN, 1, ProcessKind("web")))))
        apply(started)
        yield started
        app.close()


def lay(nginx: Nginx, name: DeploymentName) -> None:
    write(nginx.layout.public(name, 1), FILES)
    write(nginx.layout.static(name, 1), {"app.css": "a{}", "app.0123abcd.css": "b{}", ".hidden": "no"})
    write(nginx.layout.media(name), {"cat.html": "<b>cat</b>"})
    release = nginx.layout.release(name, 1)
    (release / "secret").write_text("secret")
    for folder in ("public", "static"):
        (release / folder / "link.txt").symlink_to(release / "secret")
        (release / folder / "root").symlink_to("/")
    (nginx.layout.media(name) / "link.txt").symlink_to(release / "secret")
    (release / "public/inside.txt").symlink_to("letters.txt")
    os.mkfifo(release / "public/pipe")
    nginx.layout.current(name).symlink_to("releases/1")


def apply(nginx: Nginx) -> None:
    """Test, reload, and wait until nothing of the old configuration answers."""
    nginx.test()
    nginx.reload()


# --- static sites ----------------------------------------------------------------------------------------------


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
     ("/report-20240101.pdf", False)],
)  # fmt: skip
def test_only_names_with_a_digest_are_kept_forever(nginx, target, forever):
    assert ("immutable" in nginx.ask(PAGE, target).get("cache-control")) is forever


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


# --- apps ------------------------------------------------------------------------------------------------------


def test_auth_03_what_a_visitor_claims_about_the_way_here_is_replaced(nginx):
    lies = [
        "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: http", "X-Forwarded-Host: evil.example", "X-Real-IP: 6.6.6.6",
        "X-Forwarded-Port: 1", "Forwarded: for=6.6.6.6", "X-Forwarded-Server: evil.example", "Proxy: http://evil.example",
        "X-Forwarded-Prefix: /evil", "X-Forwarded-Ssl: off", "X_Forwarded_For: 6.6.6.6", "CF-Connecting-IP: 6.6.6.6",
    ]  # fmt: skip
    told = nginx.ask(SHOP_HOST, "/a%20b/../c?d=%2F", *lies).text.lower()
    assert told.startswith("get /a%20b/../c?d=%2f http/1.1")
    assert "evil" not in told
    assert told.count("6.6.6.6") == 1, "only the field of a CDN that is not trusted here goes through"
    for field in (
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-proto: https",
        f"x-forwarded-host: {SHOP_HOST}",
        f"host: {SHOP_HOST}",
    ):
        assert f"\r\n{field}\r\n" in told


def test_a_mount_is_served_before_the_app_and_the_app_asked_for_the_rest(nginx):
    style = nginx.ask(SHOP_HOST, "/static/app.css")
    assert (style.body, style.get("cache-control"), style.get("content-type")) == (
        b"a{}",
        "no-cache",
        "text/css; charset=utf-8",
    )
    assert "immutable" in nginx.ask(SHOP_HOST, "/static/app.0123abcd.css").get("cache-control")
    for target in ("/static/missing.css", "/static/", "/static/.hidden", "/static/link.txt", "/static/root/etc/passwd",
                   "/media/link.txt", "/static../secret", "/index.html", "/.env"):  # fmt: skip
        heard = nginx.ask(SHOP_HOST, target)
        assert (heard.status, heard.text.splitlines()[0]) == (200, f"GET {target} HTTP/1.1")
    heard = nginx.ask(SHOP_HOST, "/static/app.css", method="POST", body=b"xyz")
    assert heard.text.endswith("\n\n3")


def test_an_upload_is_shown_as_the_type_of_its_name(nginx):
    heard = nginx.ask(SHOP_HOST, "/media/cat.html")
    assert (heard.body, heard.get("x-content-type-options")) == (b"<b>cat</b>", "nosniff")


def test_an_upload_that_is_too_large_is_refused_with_a_page(nginx):
    assert nginx.ask(SHOP_HOST, "/", method="POST", body=b"x" * (1 << 20)).text.endswith(f"\n{1 << 20}")
    heard = nginx.ask(SHOP_HOST, "/", f"Content-Length: {200 << 20}", method="POST")
    assert (heard.status, b"The upload is too large." in heard.body) == (413, True)


def test_an_app_that_does_not_run_is_told_with_a_page_of_ours(nginx):
    heard = nginx.ask("down.apps.test")
    assert (heard.status, heard.get("retry-after"), heard.get("cache-control")) == (502, "5", "no-store")
    assert b"The site is not running." in heard.body
    assert b"nginx" not in heard.body


def test_what_an_app_says_of_itself_is_left_as_it_is(nginx):
    heard = nginx.ask(SHOP_HOST, "/down")
    assert (heard.status, heard.text.splitlines()[0]) == (503, "GET /down HTTP/1.1")
    assert nginx.ask(SHOP_HOST, "/hsts").get("strict-transport-security") == "max-age=1"
    assert nginx.ask(SHOP_HOST, "/").get("strict-transport-security") == "max-age=63072000"


def test_events_arrive_one_by_one(nginx, tmp_path):
    go = tmp_path / "go"
    with nginx.open(SHOP_HOST) as opened:
        opened.sendall(f"GET /slow?{go} HTTP/1.1\r\nHost: {SHOP_HOST}\r\nAccept: text/event-stream\r\n\r\n".encode())
        heard = b""
        while b"data: one" not in heard:
            heard += opened.recv(1000)
        assert b"data: two" not in heard
        go.touch()
        while b"data: two" not in heard:
            heard += opened.recv(1000)


def test_a_websocket_goes_both_ways(nginx):
    with nginx.open(SHOP_HOST) as opened:
        opened.sendall(
            f"GET /ws HTTP/1.1\r\nHost: {SHOP_HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".encode()
        )
        heard = b""
        while not heard.endswith(b"hello "):
            heard += opened.recv(1000)
        assert heard.startswith(b"HTTP/1.1 101")
        opened.sendall(b"you")
        assert opened.recv(1000) == b"YOU"


def test_the_switch_of_the_link_is_seen_by_the_next_request(nginx):
    name = DeploymentName("switch")
    apps = []
    for release in (1, 2):
        says = f"release {release}".encode()

        def tell(connection, head, rest, says=says):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(says), says))

        apps.append(App(nginx.layout.socket(UnitRef(name, release, ProcessKind("web"))), tell))
    nginx.layout.home(name).mkdir()
    live = nginx.layout.live(name)
    nginx.write(nginx.front(name, Site(name, 1, UnitRef(name, 1, ProcessKind("web")))))
    live.symlink_to(nginx.layout.socket(UnitRef(name, 1, ProcessKind("web"))))
    apply(nginx)
    for release in (2, 1, 2):
        fresh = live.with_name(".live")
        fresh.symlink_to(nginx.layout.socket(UnitRef(name, release, ProcessKind("web"))))
        fresh.rename(live)
        assert nginx.ask("switch.apps.test").text == f"release {release}"
    for app in apps:
        app.close()


# --- names, walls, maintenance ---------------------------------------------------------------------------------


def test_ngx_01_plain_requests_are_led_to_tls_and_unknown_names_get_nothing(nginx):
    heard = nginx.ask(PAGE, "/a?b=c", secure=False)
    assert (heard.status, heard.get("location")) == (301, f"https://{PAGE}:{nginx.ground.flavour.https}/a?b=c")
    with nginx.open("evil.example", secure=False) as opened:
        opened.sendall(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert opened.recv(1000) == b""
    with pytest.raises(ssl.SSLError, match="unrecognized name"), nginx.open("evil.example"):
        pass


def test_ngx_01_only_current_versions_of_tls_are_spoken(nginx):
    for newest, spoken in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers("ALL:@SECLEVEL=0")
        nginx.ca.configure_trust(context)
        with warnings.catch_warnings(action="ignore"):
            context.minimum_version = ssl.TLSVersion.TLSv1_2 if spoken else ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = newest
        assert _shakes(nginx, context) is spoken


def _shakes(nginx: Nginx, context: ssl.SSLContext) -> bool:
    with socket.create_connection(("127.0.0.1", nginx.ground.flavour.https)) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=PAGE):
                return True
        except (ssl.SSLError, ConnectionError):
            return False


def test_http_2_is_spoken_to_those_who_can(nginx):
    with nginx.open(PAGE, alpn="h2") as opened:
        assert opened.selected_alpn_protocol() == "h2"


@pytest.mark.parametrize("host", ["pages.apps.test", "nobody.example", "panel.test"])
def test_the_path_of_challenges_is_open_before_any_redirect(nginx, host):
    write(nginx.layout.challenges / ".well-known/acme-challenge", {"token": "thumbprint"})
    heard = nginx.ask(host, "/.well-known/acme-challenge/token", secure=False)
    assert (heard.status, heard.body) == (200, b"thumbprint")


def shown(nginx: Nginx, label: str, options: SiteOptions, *, static: bool = False) -> str:
    """A site of its own with these options, live; its host."""
    name = DeploymentName(label)
    lay(nginx, name)
    nginx.layout.live(name).symlink_to(nginx.layout.socket(UnitRef(SHOP, 1, ProcessKind("web"))))
    unit = None if static else UnitRef(name, 1, ProcessKind("web"))
    nginx.write(nginx.front(name, Site(name, 1, unit, () if static else MOUNTS, options=options)))
    if options.wall:
        wall = nginx.layout.settings / "nginx/walls" / name
        wall.write_text("".join(f"{entry.visitor}:{entry.password}\n" for entry in options.wall))
    apply(nginx)
    return f"{name}.apps.test"


@pytest.mark.parametrize("static", [True, False])
def test_a_wall_lets_in_who_knows_the_password(nginx, static):
    wall = (WallEntry(Visitor("ada"), HASH),)
    host = shown(nginx, f"wall{int(static)}", SiteOptions(wall=wall), static=static)
    write(nginx.layout.challenges / ".well-known/acme-challenge", {"token": "thumbprint"})
    for target in ("/", "/static/app.css", "/media/cat.html", "/missing/deep"):
        heard = nginx.ask(host, target)
        assert (heard.status, heard.get("www-authenticate")) == (401, 'Basic realm="This site is private"')
        assert nginx.ask(host, target, "Authorization: Basic YWRhOndyb25n").status == 401
        assert nginx.ask(host, target, LOGIN).status in ((200,) if not static else (200, 404))
    assert "authorization" not in nginx.ask(host, "/", LOGIN).text.lower()
    assert nginx.ask(host, "/.well-known/acme-challenge/token").body == b"thumbprint"


def test_only_networks_of_the_list_get_an_answer(nginx):
    kept_out = shown(nginx, "closed", SiteOptions(allow=(Network("203.0.113.0/24"),)))
    for target in ("/", "/static/app.css"):
        heard = nginx.ask(kept_out, target)
        assert (heard.status, b"does not answer from where you are" in heard.body) == (403, True)
    let_in = shown(nginx, "open", SiteOptions(allow=(Network("127.0.0.0/8"),)))
    assert nginx.ask(let_in).status == 200


def test_maintenance_answers_every_path_with_a_page(nginx):
    host = shown(nginx, "works", SiteOptions(maintenance=True))
    for target in ("/", "/static/app.css", "/deep"):
        heard = nginx.ask(host, target)
        assert (heard.status, heard.get("retry-after")) == (503, "120")
        assert b"being worked on" in heard.body


def test_an_unpublished_site_says_so(nginx):
    name = DeploymentName("away")
    nginx.write(nginx.front(name, None))
    apply(nginx)
    heard = nginx.ask("away.apps.test", "/x")
    assert (heard.status, heard.get("retry-after")) == (503, "60")
    assert b"This site is not published now." in heard.body


def test_names_lead_to_the_canonical_one(nginx):
    name = DeploymentName("named")
    lay(nginx, name)
    nginx.tls = nginx.certificate("domains", "*.apps.test", *DOMAINS)
    site = Site(name, 1, domains=DOMAINS, options=SiteOptions(canonical=DOMAINS[0]))
    nginx.write(nginx.front(name, site))
    apply(nginx)
    heard = nginx.ask("www.shop.example", "/a?b=c")
    assert (heard.status, heard.get("location")) == (301, f"https://shop.example:{nginx.ground.flavour.https}/a?b=c")
    assert heard.get("strict-transport-security") == "max-age=63072000"
    assert nginx.ask("shop.example").body == nginx.ask("named.apps.test").body == b"<h1>home</h1>"


def test_auth_03_only_a_cdn_that_is_trusted_may_name_the_visitor(nginx):
    host = shown(nginx, "behind", SiteOptions(cdn=Cdn.CLOUDFLARE))
    told = nginx.ask(host, "/", "CF-Connecting-IP: 203.0.113.9").text
    assert "X-Forwarded-For: 127.0.0.1" in told, "this request did not come from the CDN's network"


def test_many_visitors_at_once_are_all_answered(nginx):
    wrong: list[int] = []

    def visit() -> None:
        wrong.extend(status for _ in range(20) if (status := nginx.ask(SHOP_HOST, "/x").status) != 200)

    threads = [threading.Thread(target=visit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_log_says_which_site_was_asked(nginx):
    nginx.ask(PAGE, "/logged?a=b")
    log = nginx.root / "access.log"
    os.kill(int((nginx.root / "nginx.pid").read_text()), 10)  # have the logs opened anew, and so written out
    found = until(lambda: [line for line in log.read_text().splitlines() if "/logged" in line])
    assert f" {PAGE} 127.0.0.1 404 " in found[0]


def test_the_configuration_of_every_test_was_accepted(nginx):
    said = (nginx.root / "error.log").read_text()
    assert "[emerg]" not in said
    assert [line for line in said.splitlines() if "[warn]" in line and "temporary file" not in line] == []
