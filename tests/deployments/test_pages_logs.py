"""Logs on pages: what was printed is text, whatever it looks like; the stream asks who reads."""

from __future__ import annotations

import pytest
from tests.support.pages import browser, live, parsed, release

from apps.deployments.logs import Writer
from apps.deployments.models import State
from apps.deployments.templatetags.deployments import ansi
from webops_host.names import ProcessKind
from webops_host.values import UnitRef

NASTY = '<script>alert(1)</script> <img src=x onerror=alert(1)> &amp; "quoted" \x1b[31mred\x1b[0m \x00\x07\x08 \ufffd'


@pytest.fixture
def printed(blog, host):
    live(blog, host, 1)
    made = release(blog, 2, State.FAILED, cause="x")
    log = Writer(made)
    log.write("build", NASTY)
    log.write("build", "event: end\ndata: {}")
    log.close()
    host.print(UnitRef(blog.slug, 1, ProcessKind("web")), NASTY)
    return made


@pytest.mark.parametrize("path", ["releases/2/", "logs/", ""])
def test_ws_03_what_was_printed_is_shown_as_text(path, printed, owner):
    response = browser(owner).get(f"/deployments/blog/{path}")
    page = parsed(response)
    assert page.forbidden == []
    assert "<script>alert(1)</script> <img src=x onerror=alert(1)>" in page.words
    assert b"<img" not in response.content
    assert b'<span class="a31">red</span>' in response.content
    assert b"\x1b" not in response.content
    assert b"\x07" not in response.content


def test_ws_03_a_long_log_is_cut_and_says_so(printed, owner):
    log = Writer(printed)
    for number in range(2000):
        log.write("build", f"line {number} " + "x" * 100)
    log.write("build", "y" * (5 << 20))
    log.close()
    response = browser(owner).get("/deployments/blog/releases/2/")
    assert "Earlier lines are not shown." in parsed(response).words
    assert len(response.content) < 400_000


def test_ws_03_raw_lines_are_a_download_and_never_a_page(printed, owner):
    response = browser(owner).get("/deployments/blog/releases/2/log")
    assert response["Content-Type"].startswith("text/plain")
    assert response["Content-Disposition"].startswith("attachment")
    assert b"<script>" in response.content


def test_ws_03_lines_of_the_app_are_data(printed, owner):
    client = browser(owner)
    answer = client.get("/deployments/blog/logs/lines?after=0")
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["lines"][0]["text"] == NASTY
    assert answer.json()["lines"][0]["from"] == "web"
    assert client.get("/deployments/blog/logs/lines?after=1").json()["lines"] == []
    assert client.get("/deployments/blog/logs/lines?after=nonsense").status_code == 200
    assert client.get("/deployments/blog/logs/download")["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("path", ["releases/2/events", "releases/2/log", "logs/lines", "logs/download", "look/events"])
def test_ws_01_a_log_is_refused_to_strangers_before_the_first_byte(path, printed, stranger):
    assert browser(stranger).get(f"/deployments/blog/{path}").status_code == 404
    response = browser().get(f"/deployments/blog/{path}")
    assert response.status_code == 302
    assert "/account/login/" in response["Location"]


def test_ws_01_the_stream_of_a_release_ends_by_itself(printed, owner):
    response = browser(owner).get("/deployments/blog/releases/2/events")
    assert response["Content-Type"] == "text/event-stream"
    assert response["Cache-Control"] == "no-store"
    body = b"".join(response.streaming_content).decode()
    assert body.count("event: line\n") == 2
    assert body.rstrip().split("\n\n")[-1].startswith("event: end\n")


def test_ws_02_a_stream_ends_when_the_session_does(blog, host, owner):
    live(blog, host, 1)
    release(blog, 2, State.RUNNING)
    client = browser(owner)
    response = client.get("/deployments/blog/releases/2/events")
    client.post("/account/logout/")
    assert b"".join(response.streaming_content) == b""


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("plain & <b>", "plain &amp; &lt;b&gt;"),
        ("\x1b[1;31mbad\x1b[0m ok", '<span class="a1 a31">bad</span> ok'),
        ("\x1b[31mred\x1b[39mnot", '<span class="a31">red</span>not'),
        ("\x1b[38;5;1mx", "x"),
        ("\x1b[2K\x1b[1Gprogress", "progress"),
        ("\x1b]0;title\x07text", "text"),
        ('\x1b[31"onclick=x', "[31&quot;onclick=x"),
        ("a\x00b\x1bc", "abc"),
    ],
)
def test_ws_03_colours_become_classes_and_other_codes_nothing(text, made):
    assert ansi(text) == made
