"""The embedded web server: files, requests passed on, and what it will not be talked into."""

from __future__ import annotations

import gzip
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.support.machine import BLOG, QUIET, Embedded, embedded, until, web
from tests.support.raw import Heard, ask, connection, hear, rest, say

from webops_host.names import DeploymentName
from webops_host.values import Area, HealthCheck, Mount, Site, UnitRef

FILES = {
    "index.html": "<h1>home</h1>",
    "404.html": "<h1>lost</h1>",
    "about.html": "about",
    "notes/index.html": "notes",
    "empty/x.txt": "x",
    "letters.txt": "abcdefghij",
    "app.1234abcd.js": "1",
    "app-B3f_9aZk.css": "a{}",
    "report-20240101.pdf": "pdf",
    "ünï cöde.txt": "unicode",
    ".well-known/security.txt": "contact",
    ".env": "SECRET=1",
    ".git/config": "[core]",
    "notes/.hidden": "hidden",
    "nothing.bin": "",
}
PAGES = DeploymentName("pages")


@pytest.fixture(scope="module")
def standing(tmp_path_factory) -> Iterator[Embedded]:
    """A machine for the tests that only look: an app, and a static site with traps laid in its tree."""
    with embedded(tmp_path_factory.mktemp("standing") / "root") as machine:
        for name in (BLOG, PAGES):
            machine.host.accounts.ensure(name)
        machine.lay(BLOG, 1, {})
        machine.lay_public(PAGES, 1, FILES)
        public = machine.layout.public(PAGES, 1)
        (public.parent / "secret").write_text("secret")
        (public / "link.txt").symlink_to(public.parent / "secret")
        (public / "inside.txt").symlink_to("letters.txt")
        (public / "root").symlink_to("/")
        os.mkfifo(public / "pipe")
        yield machine


@pytest.fixture(scope="module")
def pages(standing: Embedded) -> str:
    return standing.host.sites.publish(Site(PAGES, 1)).url


@pytest.fixture(scope="module")
def app(standing: Embedded) -> str:
    return publish(standing)[0]


@pytest.fixture
def own_pages(real: Embedded) -> str:
    """A static site of the test's own, to be changed."""
    real.lay_public(BLOG, 1, FILES)
    return real.host.sites.publish(Site(BLOG, 1)).url


def publish(machine: Embedded, *words: str, release: int = 1, mounts: tuple[Mount, ...] = ()) -> tuple[str, UnitRef]:
    unit = web(release, *words)
    machine.host.processes.install(unit)
    machine.host.processes.start(unit.ref)
    machine.host.processes.ready(unit.ref, HealthCheck(), QUIET)
    return machine.host.sites.publish(Site(BLOG, release, unit=unit.ref, mounts=mounts)).url, unit.ref


# --- files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "body", "kind"),
    [
        ("/", b"<h1>home</h1>", "text/html; charset=utf-8"),
        ("/?a=b", b"<h1>home</h1>", "text/html; charset=utf-8"),
        ("/index.html", b"<h1>home</h1>", "text/html; charset=utf-8"),
        ("/about", b"about", "text/html; charset=utf-8"),
        ("/notes/", b"notes", "text/html; charset=utf-8"),
        ("/letters.txt", b"abcdefghij", "text/plain; charset=utf-8"),
        ("/lett%65rs.txt", b"abcdefghij", "text/plain; charset=utf-8"),
        ("/%C3%BCn%C3%AF%20c%C3%B6de.txt", b"unicode", "text/plain; charset=utf-8"),
        ("/.well-known/security.txt", b"contact", "text/plain; charset=utf-8"),
        ("/app.1234abcd.js", b"1", "text/javascript; charset=utf-8"),
        ("/nothing.bin", b"", "application/octet-stream"),
        ("http://blog.test/letters.txt", b"abcdefghij", "text/plain; charset=utf-8"),
    ],
)
def test_files_are_served(pages, target, body, kind):
    heard = ask(pages, target)
    assert (heard.status, heard.body, heard.get("content-type")) == (200, body, kind)
    assert heard.get("content-length") == str(len(body))


@pytest.mark.parametrize(
    "target",
    [
        "/../secret", "/%2e%2e/secret", "/%2e%2e%2fsecret", "/..%2fsecret", "/notes/../../secret", "/notes/%2E%2E/",
        "/./", "//", "//etc/passwd", "/notes//index.html", "/.env", "/%2eenv", "/.git/config", "/notes/.hidden",
        "/.well-known/../.env", "/..\\secret", "/%5c..%5csecret", "/letters.txt%00.html", "/letters.txt/",
        "/letters.txt/x", "/link.txt", "/root/etc/passwd", "/inside.txt", "/pipe", "/missing", "/empty/", "/%ff%fe",
        "/" + "a" * 300, "/.", "/..", "/.well-known/", "/.well-known",
    ],
)  # fmt: skip
def test_fs_05_nothing_outside_the_tree_is_served(pages, target):
    heard = ask(pages, target)
    assert heard.status == 404
    assert b"secret" not in heard.body


def test_fs_05_a_tree_that_is_itself_a_link_is_not_served(real, own_pages):
    public = real.layout.public(BLOG, 1)
    public.rename(public.with_name("moved"))
    public.symlink_to("/etc")
    assert ask(own_pages, "/passwd").status == 404


def test_a_site_shows_its_own_404_page(pages):
    heard = ask(pages, "/missing")
    assert (heard.status, heard.body) == (404, b"<h1>lost</h1>")


def test_a_folder_is_redirected_to_its_slash(pages):
    heard = ask(pages, "/notes?a=b")
    assert (heard.status, heard.get("location")) == (301, "/notes/?a=b")


def test_a_single_page_app_answers_every_page_and_no_file(real, own_pages):
    real.host.sites.publish(Site(BLOG, 1, fallback=True))
    assert ask(own_pages, "/deep/link").body == b"<h1>home</h1>"
    for target in ("/missing.js", "/.env", "/.git/config", "/a/../b"):
        assert ask(own_pages, target).status == 404


@pytest.mark.parametrize(
    ("wanted", "status", "body", "where"),
    [
        ("bytes=0-0", 206, b"a", "bytes 0-0/10"),
        ("bytes=2-4", 206, b"cde", "bytes 2-4/10"),
        ("bytes=7-", 206, b"hij", "bytes 7-9/10"),
        ("bytes=7-99", 206, b"hij", "bytes 7-9/10"),
        ("bytes=-3", 206, b"hij", "bytes 7-9/10"),
        ("bytes=-99", 206, b"abcdefghij", "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=4-2", 200, b"abcdefghij", ""),
        ("bytes=0-1,3-4", 200, b"abcdefghij", ""),
        ("lines=1-2", 200, b"abcdefghij", ""),
        ("bytes=x-y", 200, b"abcdefghij", ""),
        (f"bytes={'9' * 30}-", 200, b"abcdefghij", ""),
    ],
)
def test_ranges(pages, wanted, status, body, where):
    heard = ask(pages, "/letters.txt", f"Range: {wanted}")
    assert (heard.status, heard.body, heard.get("content-range")) == (status, body, where)


def test_a_range_of_another_version_is_the_whole(pages):
    tag = ask(pages, "/letters.txt").get("etag")
    assert ask(pages, "/letters.txt", "Range: bytes=0-1", f"If-Range: {tag}").status == 206
    assert ask(pages, "/letters.txt", "Range: bytes=0-1", 'If-Range: "other"').status == 200


def test_what_did_not_change_is_not_sent_again(pages):
    first = ask(pages, "/letters.txt")
    tag, date = first.get("etag"), first.get("last-modified")
    for field in (
        f"If-None-Match: {tag}",
        f'If-None-Match: "x", W/{tag}',
        "If-None-Match: *",
        f"If-Modified-Since: {date}",
    ):
        heard = ask(pages, "/letters.txt", field)
        assert (heard.status, heard.body, heard.get("etag")) == (304, b"", tag)
    for fields in ([f'If-None-Match: "{tag}x"', f"If-Modified-Since: {date}"], ["If-Modified-Since: soon"]):
        assert ask(pages, "/letters.txt", *fields).status == 200


def test_a_file_that_changed_has_another_tag(real, own_pages):
    before = ask(own_pages, "/letters.txt").get("etag")
    real.lay_public(BLOG, 1, {"letters.txt": "other"})
    assert ask(own_pages, "/letters.txt", f"If-None-Match: {before}").body == b"other"


@pytest.mark.parametrize(
    ("target", "forever"),
    [("/app.1234abcd.js", True), ("/app-B3f_9aZk.css", True), ("/letters.txt", False), ("/", False),
     ("/report-20240101.pdf", False)],
)  # fmt: skip
def test_only_names_with_a_digest_are_kept_forever(pages, target, forever):
    assert ("immutable" in ask(pages, target).get("cache-control")) is forever


def test_a_compressed_sibling_is_sent_to_those_who_take_it(real, own_pages):
    squeezed = gzip.compress(b"abcdefghij")
    (real.layout.public(BLOG, 1) / "letters.txt.gz").write_bytes(squeezed)
    heard = ask(own_pages, "/letters.txt", "Accept-Encoding: br, gzip")
    assert (heard.body, heard.get("content-encoding"), heard.get("vary")) == (squeezed, "gzip", "Accept-Encoding")
    assert heard.get("content-type").startswith("text/plain")
    for field in ("Accept-Encoding: gzip;q=0", "Accept-Encoding: br", "X: y"):
        heard = ask(own_pages, "/letters.txt", field)
        assert (heard.body, heard.get("content-encoding"), heard.get("vary")) == (b"abcdefghij", "", "Accept-Encoding")


def test_head_has_everything_but_the_body(pages):
    full, head = ask(pages, "/letters.txt"), ask(pages, "/letters.txt", method="HEAD")
    assert head.body == b""
    assert [f for f in head.fields if f[0] != "Date"] == [f for f in full.fields if f[0] != "Date"]
    assert ask(pages, "/missing", method="HEAD").body == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_a_static_site_is_only_read(pages, method):
    assert ask(pages, "/", method=method).status == 405


def test_a_large_file_arrives_whole(real, own_pages):
    content = os.urandom(1 << 20) * 5
    (real.layout.public(BLOG, 1) / "large.bin").write_bytes(content)
    assert ask(own_pages, "/large.bin").body == content


def test_one_connection_carries_many_requests(pages):
    one = b"GET /letters.txt HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /about HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answers = say(pages, one + b"\r\n" + one + last)
    assert answers.count(b"HTTP/1.1 200") == 3
    assert answers.endswith(b"about")


def test_an_old_client_gets_one_answer_and_the_end(pages):
    heard = hear(say(pages, b"GET /about HTTP/1.0\r\n\r\n"))
    assert (heard.status, heard.body, heard.get("connection")) == (200, b"about", "close")


# --- what is refused -------------------------------------------------------------------------------------------

HOST = b"Host: blog.test\r\n"
POST = b"POST /size HTTP/1.1\r\n" + HOST
MUCH = b"".join(b"X%d: %s\r\n" % (i, b"a" * 900) for i in range(90))
REFUSED = {
    "both lengths": (POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "both lengths, other order": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", 400),
    "two equal lengths": (POST + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "listed lengths": (POST + b"Content-Length: 4, 4\r\n\r\nabcd", 400),
    "signed length": (POST + b"Content-Length: +4\r\n\r\nabcd", 400),
    "negative length": (POST + b"Content-Length: -4\r\n\r\nabcd", 400),
    "hexadecimal length": (POST + b"Content-Length: 0x4\r\n\r\nabcd", 400),
    "underscored length": (POST + b"Content-Length: 1_0\r\n\r\nabcd", 400),
    "empty length": (POST + b"Content-Length: \r\n\r\n", 400),
    "length too long": (POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", 400),
    "coding twice": (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "coding unknown": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "coding hidden": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    "coding with a tab": (POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "coding for an old client": (POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "space before the colon": (POST + b"Content-Length : 4\r\n\r\nabcd", 400),
    "folded line": (POST + b"X: a\r\n b\r\n\r\n", 400),
    "folded first line": (b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    "bare line feeds": (b"GET / HTTP/1.1\nHost: x\n\n", 400),
    "one bare line feed": (b"GET / HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400),
    "bare carriage return": (b"GET / HTTP/1.1\r\nHost: x\rX: y\r\n\r\n", 400),
    "zero byte": (b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", 400),
    "no colon": (b"GET / HTTP/1.1\r\nHost: x\r\nnothing\r\n\r\n", 400),
    "no name": (b"GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
    "bad host": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "host with a user": (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "no version": (b"GET /\r\n\r\n", 400),
    "old version": (b"GET / HTTP/0.9\r\n\r\n", 505),
    "new version": (b"GET / HTTP/2.0\r\n\r\n", 505),
    "long version": (b"GET / HTTP/1.10\r\n\r\n", 400),
    "bad method": (b"G(T / HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a proxy's method": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "a target of its own": (b"GET file:///etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a target with control bytes": (b"GET /\x7f HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", 400),
    "other expectation": (POST + b"Expect: tea\r\n\r\n", 417),
    "long line": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431),
    "long head": (b"GET / HTTP/1.1\r\n" + HOST + MUCH + b"\r\n", 431),
    "many fields": (b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 200 + b"\r\n", 431),
    "chunk without a size": (POST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    "chunk with a sign": (POST + b"Transfer-Encoding: chunked\r\n\r\n+4\r\nabcd\r\n0\r\n\r\n", 400),
    "chunk with 0x": (POST + b"Transfer-Encoding: chunked\r\n\r\n0x4\r\nabcd\r\n0\r\n\r\n", 400),
    "chunk too short": (POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n", 400),
    "chunk with a bare line feed": (POST + b"Transfer-Encoding: chunked\r\n\r\n4\nabcd\r\n0\r\n\r\n", 400),
    "too large": (POST + b"Content-Length: 999999999999\r\n\r\n", 413),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "status"), REFUSED.values(), ids=REFUSED)
def test_what_two_servers_could_read_differently_is_refused(app, raw, status):
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = say(app, raw + smuggled)
    assert hear(answer).status == status
    assert answer.count(b"HTTP/1.1 ") == 1, "nothing after it is taken for a request"
    assert hear(answer).get("connection") == "close"


def test_a_page_of_ours_names_nothing_of_the_inside(real):
    url = real.host.sites.reserve(BLOG)
    heard = ask(url)
    assert heard.status == 404
    for secret in (str(real.layout.root), "Traceback", ".sock", "python"):
        assert secret not in heard.text


# --- passing on ------------------------------------------------------------------------------------------------


def test_the_app_sees_the_request_as_it_was(app):
    heard = ask(app, "/a%2Fb//c?q=%20x", "X-Mine: 1", "Cookie: a=b")
    assert heard.status == 200
    head = heard.text.split("\n\n")[0]
    assert "GET /a%2Fb//c?q=%20x HTTP/1.1" in head
    for line in ("Host: blog.test", "X-Mine: 1", "Cookie: a=b", "Connection: close"):
        assert line in head.split("\r\n") or line in head


def test_what_a_visitor_claims_about_the_way_here_is_replaced(app):
    claims = [
        "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test", "X-Real-IP: 6.6.6.6",
        "Forwarded: for=6.6.6.6", "X-Forwarded-Port: 1", "X_Forwarded_For: 6.6.6.6", "X-Forwarded-Prefix: /x",
    ]  # fmt: skip
    text = ask(app, "/", *claims).text
    for wrong in ("6.6.6.6", "evil.test", "https", "X_", "Prefix", "Forwarded: "):
        assert wrong not in text
    for right in (
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Proto: http",
        "X-Forwarded-Host: blog.test",
        "X-Real-IP: 127.0.0.1",
    ):
        assert right in text


def test_fields_of_the_connection_stay_on_the_connection(app):
    raw = (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Secret-Hop\r\nX-Secret-Hop: 1\r\nKeep-Alive: 5\r\n"
        b"TE: trailers\r\nProxy-Authorization: x\r\n\r\n"
    )
    text = hear(say(app, raw)).text
    for field in ("X-Secret-Hop", "Keep-Alive", "TE:", "Proxy-Authorization"):
        assert field not in text


def test_the_panels_cookies_stay_with_the_panel(app):
    sent = "Cookie: a=1; webops_session=s3cret; b=2; __Host-webops_session=s3cret; webops_csrf=s3cret; webops_theirs=3"
    text = ask(app, "/", sent).text
    assert "Cookie: a=1; b=2; webops_theirs=3" in text
    assert "s3cret" not in text
    assert "Cookie" not in ask(app, "/", "Cookie: webops_session=s3cret").text
    assert ask(app, "/cookies").get("set-cookie") == "theirs=1"
    assert ask(app, "/cookies").get("x-kept") == "yes"


def test_an_upload_is_passed_on_whole(app):
    assert ask(app, "/size", method="POST", body=b"x" * (3 << 20)).body == str(3 << 20).encode()


def test_a_chunked_upload_is_passed_on(app):
    raw = (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n"
    )
    text = hear(say(app, raw)).text
    assert "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" in text


def test_a_client_that_asks_first_is_told_to_go_on(app):
    with connection(app) as opened:
        opened.sendall(
            b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert opened.recv(65536).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        opened.sendall(b"abcde")
        assert hear(rest(opened)).body == b"5"


def test_pieces_of_an_answer_arrive_as_they_are_made(app, tmp_path):
    gate = tmp_path / "gate"
    with connection(app) as opened:
        opened.sendall(f"GET /chunks?{gate} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while b"one" not in received:
            received += opened.recv(65536)
        gate.touch()
        received += rest(opened)
    assert received.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


def test_an_answer_without_a_length_ends_where_it_ends(app):
    assert hear(say(app, b"GET /endless HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).body.startswith(
        b"d\r\nuntil the end\r\n0"
    )
    old = hear(say(app, b"GET /endless HTTP/1.0\r\nHost: a\r\n\r\n"))
    assert (old.body, old.get("transfer-encoding")) == (b"until the end", "")


def test_half_an_answer_is_not_taken_for_a_whole(app):
    with connection(app) as opened:
        opened.sendall(b"GET /half HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            received = rest(opened)
        except ConnectionResetError:
            return
    assert len(received.partition(b"\r\n\r\n")[2]) < 100


@pytest.mark.parametrize("path", ["/silent", "/nonsense"])
def test_an_app_that_does_not_answer_is_a_bad_gateway(app, path):
    assert ask(app, path).status == 502


def test_a_websocket_passes_both_ways(app):
    with connection(app) as opened:
        opened.sendall(
            b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nearly"
        )
        received = b""
        while b"EARLY" not in received:
            received += opened.recv(65536)
        opened.sendall(b"late")
        while b"LATE" not in received:
            received += opened.recv(65536)
        opened.shutdown(socket.SHUT_WR)
        rest(opened)
    heard = hear(received)
    assert heard.status == 101
    assert (heard.get("upgrade"), heard.get("connection")) == ("websocket", "Upgrade")
    assert heard.body == b"hello EARLYLATE"


def test_when_the_visitor_leaves_the_app_is_told(standing, app, tmp_path):
    with connection(app) as opened:
        opened.sendall(f"GET /hold?{tmp_path / 'never'} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        until(lambda: not standing.host.sites.drain(web().ref, 0.0))
    until(lambda: "the visitor left" in [line.text for line in standing.host.processes.logs(BLOG)])
    assert standing.host.sites.drain(web().ref, 5.0)


def test_files_of_the_app_are_served_before_it_is_asked(real):
    static = real.layout.static(BLOG, 1)
    static.mkdir(parents=True)
    (static / "a.css").write_text("from disk")
    (real.layout.media(BLOG) / "me.html").write_text("upload")
    url, _ = publish(real, mounts=(Mount("/static/", Area.STATIC), Mount("/media/", Area.MEDIA)))
    assert ask(url, "/static/a.css").body == b"from disk"
    assert ask(url, "/static/a.css").get("x-content-type-options") == ""
    assert ask(url, "/media/me.html").body == b"upload"
    assert ask(url, "/media/me.html").get("x-content-type-options") == "nosniff"
    for target in ("/static/missing.css", "/static/", "/static/../x", "/static/.env", "/staticx"):
        assert ask(url, target).text.startswith("app\n"), "the app may have it"
    assert ask(url, "/static/a.css", method="POST", body=b"x").text.startswith("app\n")


# --- switching -------------------------------------------------------------------------------------------------


def test_a_switch_under_load_loses_no_request_and_nothing_old_answers_after_it(real):
    url, first = publish(real, "says=one")
    answers: list[tuple[bool, Heard]] = []
    switched, done = threading.Event(), threading.Event()

    def visit() -> None:
        while not done.is_set():
            after = switched.is_set()
            answers.append((after, ask(url)))

    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    until(lambda: len(answers) > 20)
    _, second = publish(real, "says=two", release=2)
    switched.set()
    assert real.host.sites.drain(first, 5.0)
    real.host.processes.stop(first)
    seen = len(answers)
    until(lambda: len(answers) > seen + 20)
    done.set()
    for visitor in visitors:
        visitor.join()
    assert {heard.status for _, heard in answers} == {200}
    assert {heard.text.split("\n")[0] for after, heard in answers if after} == {"two"}
    assert {heard.text.split("\n")[0] for _, heard in answers} == {"one", "two"}
    assert second.release == 2


def test_draining_waits_for_what_is_under_way(real, tmp_path):
    url, ref = publish(real, "says=one")
    gate = tmp_path / "gate"
    with connection(url) as opened:
        opened.sendall(f"GET /hold?{gate} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        until(lambda: not real.host.sites.drain(ref, 0.0))
        publish(real, "says=two", release=2)
        assert real.host.sites.drain(ref, 0.05) is False
        gate.touch()
        assert real.host.sites.drain(ref, 5.0) is True
        assert hear(rest(opened)).body == b"one gate"


def test_a_visitor_waits_while_a_unit_comes_back(real):
    url, _ = publish(real)
    (status,) = real.host.processes.status(BLOG)
    os.kill(status.pid, 9)
    until(lambda: real.host.processes.status(BLOG)[0].pid != status.pid)
    assert ask(url).status == 200


def test_a_site_whose_unit_was_stopped_says_so_at_once(real):
    url, ref = publish(real)
    real.host.processes.stop(ref)
    assert ask(url).status == 502


def test_an_unpublished_site_is_not_served(real, own_pages):
    real.host.sites.unpublish(BLOG)
    assert ask(own_pages).status == 404
    assert b"home" not in ask(own_pages).body


def test_a_site_answers_only_to_this_machine(pages):
    port = int(pages.rsplit(":", 1)[1])
    with open("/proc/net/tcp") as table:
        listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
    assert f"0100007F:{port:04X}" in listening
    assert f"00000000:{port:04X}" not in listening


def test_sites_do_not_mix(real, own_pages):
    other = DeploymentName("shop")
    real.host.accounts.ensure(other)
    real.lay_public(other, 1, {"index.html": "shop"})
    url = real.host.sites.publish(replace(Site(BLOG, 1), name=other)).url
    assert ask(url).body == b"shop"
    assert ask(own_pages).body == b"<h1>home</h1>"


def test_a_removed_site_gives_its_port_back(real, own_pages):
    real.host.accounts.remove(BLOG)
    with pytest.raises(ConnectionRefusedError):
        ask(own_pages)
