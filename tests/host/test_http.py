"""The embedded web server: what it will not be talked into, and switching between releases."""

from __future__ import annotations

import os
import threading
from dataclasses import replace

import pytest
from tests.support.machine import BLOG, publish, until
from tests.support.raw import Heard, ask, connection, hear, rest, say

from webops_host.names import DeploymentName
from webops_host.values import Site

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


# --- switching ---------------------------------------------------------------------------------------------------


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
