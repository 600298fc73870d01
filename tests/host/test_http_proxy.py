"""The embedded web server: requests passed on to an app, and its answers back."""

from __future__ import annotations

import socket

import pytest
from tests.support.machine import BLOG, publish, until, web
from tests.support.raw import ask, connection, hear, rest, say

from webops_host.values import Area, Mount


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
