"""The platform's configuration in a real nginx: apps behind it, names, walls and closed doors."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import warnings

import pytest
from tests.support import nginx as support
from tests.support.machine import until, write
from tests.support.nginx import App, Nginx
from tests.support.nginx_sites import PAGE, SHOP_HOST, apply, lay, shown

from webops_host.names import DeploymentName, Domain, ProcessKind
from webops_host.site_options import Cdn, Network, PasswordHash, SiteOptions, Visitor, WallEntry
from webops_host.values import Site, UnitRef

pytestmark = pytest.mark.skipif(not support.is_here(), reason="nginx is not installed")

DOMAINS = (Domain("shop.example"), Domain("www.shop.example"))
# openssl passwd -6 -salt saltsalt secret
HASH = PasswordHash(
    "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"
)
LOGIN = "Authorization: Basic YWRhOnNlY3JldA=="


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


class Keeping:
    """A release whose server keeps its connections. It says which it is, and the body back."""

    def __init__(self, nginx: Nginx, ref: UnitRef) -> None:
        self.says, self.connections, self.open = f"release {ref.release}", 0, 0
        self.broken: list[bytes] = []  # methods of the requests that it left without an answer
        self._app = App(nginx.layout.socket(ref), self._answer)
        self.close = self._app.close

    def _answer(self, connection: socket.socket, head: bytes, rest: bytes) -> None:
        self.connections, self.open = self.connections + 1, self.open + 1
        try:
            while head:
                body = f"{self.says} {_body(connection, head, rest).decode()}".encode()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                head, _, rest = _head(connection).partition(b"\r\n\r\n")
        finally:
            self.open -= 1


def _head(connection: socket.socket) -> bytes:
    """A request with all that came with it; nothing when the connection ended."""
    received = b""
    while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
        received += piece
    return received


def _body(connection: socket.socket, head: bytes, rest: bytes) -> bytes:
    length = int(dict(row.lower().split(b": ") for row in head.split(b"\r\n")[1:]).get(b"content-length", b"0"))
    while len(rest) < length:
        rest += connection.recv(65536)
    return rest


def test_a_kept_connection_serves_many_and_ends_soon_after_the_switch_however_busy_it_is(nginx):
    name = DeploymentName("kept")
    refs = [UnitRef(name, release, ProcessKind("web")) for release in (1, 2)]
    old, new = (Keeping(nginx, ref) for ref in refs)
    nginx.layout.home(name).mkdir()
    live = nginx.layout.live(name)
    live.symlink_to(nginx.layout.socket(refs[0]))
    nginx.write(nginx.front(name, Site(name, 1, refs[0]), keeps=True))
    apply(nginx)

    def post(word: str) -> str:
        return nginx.ask("kept.apps.test", "/", method="POST", body=word.encode()).text

    assert [post(f"{number}") for number in range(10)] == [f"release 1 {number}" for number in range(10)]
    assert old.connections < 10
    fresh = live.with_name(".live")
    fresh.symlink_to(nginx.layout.socket(refs[1]))
    fresh.rename(live)
    until(lambda: post("x") == "release 2 x")
    until(lambda: old.open == 0)
    assert [post(f"{number}") for number in range(3)] == [f"release 2 {number}" for number in range(3)]
    old.close(), new.close()


class Breaking(Keeping):
    """It ends a connection when it is asked for a second time over it."""

    def _answer(self, connection: socket.socket, head: bytes, rest: bytes) -> None:
        body = _body(connection, head, rest)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        if head := _head(connection):
            self.broken.append(head.split(b" ")[0])


def test_a_visitor_does_not_notice_an_app_that_ends_a_kept_connection_and_no_post_is_sent_twice(nginx):
    name = DeploymentName("breaks")
    ref = UnitRef(name, 1, ProcessKind("web"))
    app = Breaking(nginx, ref)
    nginx.layout.home(name).mkdir()
    nginx.layout.live(name).symlink_to(nginx.layout.socket(ref))
    nginx.write(nginx.front(name, Site(name, 1, ref), keeps=True))
    apply(nginx)

    assert {nginx.ask("breaks.apps.test", "/").status for _ in range(8)} == {200}
    assert b"GET" in app.broken
    posts = [nginx.ask("breaks.apps.test", "/", method="POST", body=b"x").status for _ in range(8)]
    assert posts.count(502) == app.broken.count(b"POST") > 0
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
    lay(nginx, name, {"index.html": "<h1>home</h1>"})
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
