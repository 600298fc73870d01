"""Sites of a really installed server: what visitors get from outside, and what a release costs nginx."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

import pytest
from tests.server.crowd import assert_crowd_is_bounded
from tests.server.installed import PANEL, Installed
from tests.server.lab.visitor import connected, visitor
from tests.server.linux_machine import LinuxMachine, machine_of
from tests.support.machine import BLOG, QUIET, web
from tests.support.raw import Heard, hear, rest, whole
from tests.support.waiting import until

from webops_host.errors import HostError
from webops_host.names import Domain
from webops_host.site_options import Network, PasswordHash, SiteOptions, Visitor, WallEntry
from webops_host.values import HealthCheck, Site

pytestmark = pytest.mark.server

HOST = "blog.apps.test"
FILES = {"index.html": "release 1", "404.html": "lost", "app.0123abcd.css": "a{}", ".env": "SECRET", "old.html": "old"}
# openssl passwd -6 -salt saltsalt secret
HASH = PasswordHash(
    "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"
)

SAYS = ("says=app-1", "prints=")
POST = f"POST /x HTTP/1.1\r\nHost: {HOST}\r\n".encode()
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
UNCLEAR = {
    "both lengths": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, the other first": b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 39\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 39\r\n\r\n",
    "a length with a sign": b"Content-Length: +39\r\n\r\n",
    "a coding twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a coding that is hidden": b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
    "a name with a space": b"Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n",
    "a tab of the wrong kind": b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 0\r\n\r\n",
    "a size that is none": b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
}
"""Where a request ends is read in one way by some programs, and in another by others."""


@pytest.fixture(scope="module")
def machine(installed: Installed) -> Iterator[LinuxMachine]:
    with machine_of(installed.server) as made:
        made.begin()
        for release in (1, 2):
            made.lay_public(BLOG, release, {**FILES, "index.html": f"release {release}"})
        yield made
        made.end()


@pytest.fixture
def ask(machine):
    """A visitor from outside."""
    with visitor(machine.server.address) as client:
        yield lambda path="/", host=HOST, **more: client.get(f"https://{host}{path}", **more)


def app(machine: LinuxMachine, options: SiteOptions | None = None) -> None:
    """The blog is an app that prints what it is asked, and is what visitors get."""
    unit = web(1, *SAYS)
    machine.host.processes.install(unit)
    machine.host.processes.start(unit.ref)
    machine.host.processes.ready(unit.ref, HealthCheck(), QUIET)
    machine.host.sites.publish(Site(BLOG, 1, unit.ref, options=options or SiteOptions()))


def say(machine: LinuxMachine, *pieces: bytes, host: str = HOST) -> Heard:
    """The answer to these bytes, which nginx need not take all."""
    with connected(machine.server.address, host) as talk:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                talk.sendall(piece)
        return whole(talk)


def printed(machine: LinuxMachine) -> str:
    return machine.server.run("journalctl --no-pager -o cat -u wo-blog--1-web-1.service").stdout


def workers(machine: LinuxMachine) -> str:
    return machine.server.run("pgrep -P $(cat /run/nginx.pid) | sort | xargs").stdout


def test_a_static_site_is_served_and_a_release_does_not_wake_nginx(machine, ask):
    machine.host.sites.publish(Site(BLOG, 1))
    assert (ask().text, ask().http_version) == ("release 1", "HTTP/1.1")
    before = workers(machine)
    for release in (2, 1, 2):
        assert machine.host.sites.publish(Site(BLOG, release)).release == release
        assert {ask().text for _ in range(20)} == {f"release {release}"}, "each process of nginx, at once"
    assert workers(machine) == before
    assert "immutable" in ask("/app.0123abcd.css").headers["cache-control"]
    assert (ask("/missing").status_code, ask("/missing").text) == (404, "lost")
    assert ask("/.env").status_code == 404


def test_fs_05_links_of_a_project_lead_nowhere(machine, ask):
    machine.server.run("runuser -u wo-blog -- ln -s /etc/passwd /srv/webops/blog/releases/1/public/link.txt")
    machine.host.sites.publish(Site(BLOG, 1))
    assert ask("/link.txt").status_code == 404


def test_rules_of_the_tree_are_kept(machine, ask):
    machine.lay_public(BLOG, 2, {"_redirects": "/from/* /to/:splat 302\n", "_headers": "/*\n  X-Mark: yes\n"})
    machine.host.sites.publish(Site(BLOG, 2))
    answer = ask("/from/a/b?c=d")
    assert (answer.status_code, answer.headers["location"]) == (302, "/to/a/b?c=d")
    assert ask().headers["x-mark"] == "yes"


def test_ngx_01_unknown_names_get_nothing(machine):
    address = machine.server.address
    with socket.create_connection((address, 80), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert plain.recv(100) == b""
    context = ssl._create_unverified_context()
    with socket.create_connection((address, 443), timeout=10) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="nobody.example")


def test_an_app_is_reached_over_its_socket_and_switched_by_a_link(machine, ask):
    before = ""
    for release in (1, 2, 1):
        unit = web(release, f"says=app-{release}", "prints=")
        machine.host.processes.install(unit)
        machine.host.processes.start(unit.ref)
        machine.host.processes.ready(unit.ref, HealthCheck(), QUIET)
        machine.host.sites.publish(Site(BLOG, release, unit.ref))
        answer = ask("/x", headers={"X-Forwarded-For": "6.6.6.6"})
        assert answer.text.startswith(f"app-{release}\n")
        assert "6.6.6.6" not in answer.text
        assert "X-Forwarded-Proto: https" in answer.text
        assert before in ("", workers(machine))
        before = workers(machine)
    assert machine.host.sites.drain(web(2).ref, 5.0) is True


def test_an_app_that_hangs_leaves_the_other_sites_room(machine, ask):
    app(machine)
    machine.server.run("systemctl kill -s STOP wo-blog--1-web-1.service")
    try:
        assert_crowd_is_bounded(machine.server, HOST)
    finally:
        machine.server.run("systemctl kill -s CONT wo-blog--1-web-1.service")
    assert ask("/x").text.startswith("app-1\n")


def test_ngx_03_a_request_within_a_request_is_refused(machine):
    app(machine)
    for way, unclear in UNCLEAR.items():
        with connected(machine.server.address, HOST) as talk:
            talk.sendall(POST + unclear + SMUGGLED)
            heard = hear(rest(talk))
        assert heard.status in (400, 501), way
        assert b"HTTP/1.1" not in heard.body, f"{way}: one answer, and the connection is over"
    in_order = SMUGGLED.replace(b"smuggled", b"second").replace(b"Host: x", f"Host: {HOST}".encode())
    assert say(machine, POST + b"Content-Length: 0\r\n\r\n" + in_order).status == 200
    until(lambda: "GET /second" in printed(machine), "the control: the second of two that are clear")
    assert "/smuggled" not in printed(machine)


def test_ngx_03_a_body_that_is_too_large_is_refused_before_it_is_sent(machine):
    app(machine)
    ten_gigabytes = b"Content-Length: 10737418240\r\n\r\n"
    assert say(machine, POST + ten_gigabytes).status == 413
    to_panel = f"POST /api/v1/session HTTP/1.1\r\nHost: {PANEL}\r\n".encode()
    assert say(machine, to_panel + ten_gigabytes, host=PANEL).status == 413


def test_ngx_03_a_body_without_a_length_ends_at_the_limit(machine):
    app(machine, SiteOptions(body_limit_mib=1))
    begin = POST.replace(b"/x", b"/size") + b"Transfer-Encoding: chunked\r\n\r\n"
    chunk, end = b"10000\r\n" + b"x" * 0x10000 + b"\r\n", b"0\r\n\r\n"
    assert say(machine, begin, *[chunk] * 15, end).text == str(15 * 0x10000)
    assert say(machine, begin, *[chunk] * 17, end).status == 413


def test_ngx_03_a_header_with_an_underscore_is_dropped(machine):
    app(machine)
    heard = say(machine, POST + b"X_Forwarded_For: 6.6.6.6\r\nX_Mark: bad\r\nX-Mark: good\r\n\r\n")
    assert "X-Mark: good" in heard.text
    assert "_" not in heard.text


def test_what_is_closed_says_so(machine, ask):
    unit = web(1)
    site = Site(BLOG, 1, unit.ref)
    machine.host.sites.publish(Site(BLOG, 1, unit.ref, options=SiteOptions(maintenance=True)))
    assert (ask().status_code, "being worked on" in ask().text) == (503, True)
    machine.host.sites.publish(Site(BLOG, 1, unit.ref, options=SiteOptions(allow=(Network("203.0.113.0/24"),))))
    assert ask().status_code == 403
    wall = SiteOptions(wall=(WallEntry(Visitor("ada"), HASH),))
    machine.host.sites.publish(Site(BLOG, 1, unit.ref, options=wall))
    assert (ask().status_code, ask(auth=("ada", "secret")).status_code) == (401, 200)
    machine.host.sites.publish(site)
    machine.host.processes.stop(unit.ref)
    assert (ask().status_code, "is not running" in ask().text) == (502, True)
    machine.host.sites.unpublish(BLOG)
    assert (ask().status_code, "not published" in ask().text) == (503, True)
    assert machine.host.sites.address(BLOG) is None


def test_priv_06_a_configuration_that_nginx_refuses_changes_nothing(machine, ask):
    machine.host.sites.publish(Site(BLOG, 1))
    broken = "/etc/webops/nginx/sites/broken.conf"
    machine.server.write(broken, "nonsense on;\n")
    before = workers(machine)
    try:
        with pytest.raises(HostError, match="nonsense"):
            machine.host.sites.publish(Site(BLOG, 2, domains=(Domain("blog.example"),)))
    finally:
        machine.server.run(("rm", broken))
    assert (workers(machine), ask().text) == (before, "release 1")
    assert machine.host.sites.address(BLOG).release == 1
    machine.host.sites.publish(Site(BLOG, 2, domains=(Domain("blog.example"),)))
    assert ask(host="blog.example").text == "release 2"
