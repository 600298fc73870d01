"""The panel on a socket from systemd, and what it says when its database is away."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client, RequestFactory
from tests.core.test_start import GOOD, PANEL
from tests.support.embedded import environment

from apps.api import errors
from apps.core import notify, views
from apps.core.lines import LineFormatter
from config import serve
from config.settings import _database

HEADERS = {"Host": "panel.example.org", "X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}
AS_SYSTEMD = """
    import os, sys
    os.dup2(int(sys.argv[1]), 3)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    os.execv(sys.executable, [sys.executable, "-m", "config.serve"])
"""


@pytest.fixture
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def served(folder) -> Iterator[tuple[httpx2.Client, subprocess.Popen, socket.socket]]:
    """A production panel as systemd starts it, and the socket at which systemd hears that it is ready."""
    env = environment(
        WEBOPS_MODE="production",
        WEBOPS_VAR=str(folder),
        WEBOPS_PANEL_HOST="panel.example.org",
        DATABASE_URL=f"sqlite:///{folder / 'panel.sqlite3'}",
        REDIS_URL=f"unix://{folder / 'no-redis.sock'}",
        PYTHONWARNINGS="ignore::UserWarning:whitenoise",
        NOTIFY_SOCKET=str(folder / "notify.sock"),
        **GOOD,
    )
    for words in (("collectstatic", "--noinput"), ("bootstrap",)):  # as an installation does
        subprocess.run((sys.executable, "manage.py", *words), cwd=PANEL, env=env, check=True, capture_output=True)
    systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    systemd.bind(str(folder / "notify.sock"))
    systemd.settimeout(60)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "panel.sock"))
    listener.listen()
    with (folder / "panel.log").open("wb") as log:
        panel = subprocess.Popen(
            (sys.executable, "-c", textwrap.dedent(AS_SYSTEMD), str(listener.fileno())),
            cwd=PANEL,
            env=env,
            pass_fds=(listener.fileno(),),
            stdout=log,
            stderr=log,
        )
    transport = httpx2.HTTPTransport(uds=str(folder / "panel.sock"))
    with httpx2.Client(transport=transport, base_url="http://panel.example.org", timeout=30) as client:
        yield client, panel, systemd
    panel.kill()
    panel.wait()
    listener.close()
    systemd.close()


@pytest.mark.slow
def test_it_serves_on_the_socket_that_systemd_hands_down(served, folder):
    client, panel, systemd = served
    assert systemd.recv(64) == b"READY=1"
    assert client.get("/healthz").text == "ok\n"  # without any header of a proxy
    answer = client.get("/account/login/")
    assert (answer.status_code, answer.headers["location"]) == (301, "https://panel.example.org/account/login/")
    answer = client.get("/account/login/", headers=HEADERS)
    assert answer.status_code == 200
    assert answer.headers["strict-transport-security"] == "max-age=63072000"
    assert "__Host-webops_csrf" in answer.headers["set-cookie"]
    assert client.get("/account/login/", headers={**HEADERS, "Host": "other.example"}).status_code == 400
    wrong = {"username": "nobody", "password": "wrong"}
    assert client.post("/api/v1/session", json=wrong, headers=HEADERS).status_code == 401

    panel.terminate()
    assert panel.wait(20) in (0, -15)
    log = (folder / "panel.log").read_text()
    assert "Traceback" not in log
    waiting = socket.socket(socket.AF_UNIX)  # the socket is still there: who asks now waits for the next panel
    waiting.connect(str(folder / "panel.sock"))
    waiting.close()


@pytest.mark.parametrize(("count", "pid", "found"), [("", "own", ""), ("1", "1", ""), ("1", "own", "3")])
def test_what_was_handed_to_another_process_is_not_taken(count, pid, found, monkeypatch):
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()) if pid == "own" else pid)
    assert serve._from_systemd() == found
    assert "LISTEN_FDS" not in os.environ  # children must not take it for theirs


def test_two_sockets_are_one_too_many(monkeypatch):
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    with pytest.raises(SystemExit, match="takes one"):
        serve._from_systemd()


def test_readiness_is_said_to_whoever_wants_to_know(folder, monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.ready()
    monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "gone.sock"))
    notify.ready()


# --- the database is away ---


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
def test_rel_06_a_database_that_is_away_is_503_and_not_a_defect(kind):
    request = RequestFactory().get("/deployments/")
    try:
        raise kind("could not connect to /run/postgresql")
    except kind as error:
        page, problem = views.broken(request), errors._unexpected(request, error)
    assert (page.status_code, page["Retry-After"]) == (503, "5")
    assert b"not ready" in page.content
    assert b"postgresql" not in page.content
    assert (problem.status_code, problem["Retry-After"]) == (503, "5")
    assert b"database_unreachable" in problem.content
    assert b"run/postgresql" not in problem.content


def test_rel_06_every_page_says_so_and_comes_back(db, settings, owner):
    from django.db import connection

    def away(execute, sql, params, many, context):
        raise OperationalError("the server closed the connection")

    browser = Client(raise_request_exception=False)
    browser.force_login(owner)
    with connection.execute_wrapper(away):
        for path in ("/deployments/", "/healthz", "/api/v1/me"):
            assert browser.get(path).status_code == 503, path
    assert browser.get("/deployments/").status_code == 200
    assert browser.get("/healthz").status_code == 200


def test_an_error_of_ours_is_still_a_defect():
    try:
        raise ValueError("ours")
    except ValueError:
        assert views.broken(RequestFactory().get("/")).status_code == 500


def test_rel_06_the_log_says_it_in_one_line(caplog):
    import logging

    log = logging.getLogger("webops.test")
    try:
        raise OperationalError("no such socket")
    except OperationalError:
        log.exception("Service Unavailable: %s", "/deployments/")
    line = LineFormatter("%(message)s").format(caplog.records[-1])
    assert line == "Service Unavailable: /deployments/ (no such socket)"


def test_postgresql_is_reached_by_its_socket_with_a_small_named_pool():
    made = _database("postgres://webops@/webops?host=/run/postgresql")
    assert (made["HOST"], made["USER"], made["NAME"]) == ("/run/postgresql", "webops", "webops")
    assert made["OPTIONS"]["application_name"].startswith("webops ")
    assert made["OPTIONS"]["pool"]["max_size"] <= 10


def test_a_production_panel_passes_djangos_own_checks(tmp_path):
    env = environment(WEBOPS_MODE="production", WEBOPS_VAR=str(tmp_path), DATABASE_URL="sqlite://", **GOOD)
    words = (sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING")
    done = subprocess.run(words, cwd=PANEL, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
