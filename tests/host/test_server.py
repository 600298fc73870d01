"""The daemon's side of a conversation when something is short, slow, large or gone."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.host.test_protocol import request, serving
from tests.support.machine import BLOG, until

from webops_host.daemon import server as module
from webops_host.daemon.client import HostClient
from webops_host.daemon.server import Server
from webops_host.errors import HostError
from webops_host.fake import FakeHost
from webops_host.fences import Fences

LONG = request("builds.run", {"runtime": {"name": "blog", "release": 1}, "line": {"line": "make"}, "timeout": 60})


@pytest.fixture
def fake() -> FakeHost:
    return FakeHost()


@pytest.fixture
def served(fake: FakeHost, tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    with serving(fake, tmp_path) as running:
        yield running, tmp_path / "run/host.sock"


def converse(server: Server, line: bytes) -> bytes:
    """One conversation without a listener."""
    ours, theirs = socket.socketpair()
    with ours:
        sender = threading.Thread(target=send, args=(ours, line))
        sender.start()
        server.converse(theirs)
        sender.join()
        return b"".join(iter(lambda: ours.recv(1 << 16), b""))


def send(connection: socket.socket, line: bytes) -> None:
    with suppress(BrokenPipeError):  # it was refused before it was sent whole
        connection.sendall(line)


def code(answer: bytes) -> str:
    return json.loads(answer)["error"]["code"]


# --- who is heard ----------------------------------------------------------------------------------------------


def test_priv_01_who_may_not_speak_is_told_so_and_counted(fake) -> None:
    server = Server(fake, Path("/nonexistent"), Fences(), lambda uid: None)
    assert code(converse(server, b"")) == "forbidden"
    assert server.refused["peer"] == 1
    assert fake.calls == []


def test_where_the_kernel_does_not_tell_who_it_is_the_folder_keeps_others_out(fake, monkeypatch) -> None:
    monkeypatch.delattr(socket, "SO_PEERCRED")
    assert json.loads(converse(Server(fake, Path("/nonexistent"), Fences()), request()))["ok"]


# --- large and slow --------------------------------------------------------------------------------------------


def test_priv_02_of_large_requests_only_so_many_are_read_at_once(fake, monkeypatch) -> None:
    large = request("processes.stop", {"ref": {"name": "x" * 100_000}})
    assert code(converse(Server(fake, Path("/nonexistent"), Fences()), large)) == "bad_value"
    monkeypatch.setattr(module, "LARGE_AT_ONCE", 0)
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    answer = converse(Server(fake, Path("/nonexistent"), Fences()), large)
    assert "large requests" in json.loads(answer)["error"]["message"]


@pytest.mark.parametrize("part", [b"[],", b"{},", b"1.5,", b"0,"])
def test_priv_02_a_request_of_very_many_values_is_not_even_read(fake, part) -> None:
    line = request(params={"name": "MANY"}).replace(b'"MANY"', b"[" + part * 700_000 + b"0]")
    answer = converse(Server(fake, Path("/nonexistent"), Fences()), line)
    assert "too many values" in json.loads(answer)["error"]["message"]


def test_priv_02_a_request_that_takes_too_long_is_not_waited_for(fake, monkeypatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    server = Server(fake, Path("/nonexistent"), Fences())
    assert converse(server, b"") == b""
    assert server.refused["half"] == 1


# --- short of something ----------------------------------------------------------------------------------------


def test_priv_02_without_threads_the_caller_is_turned_away_and_the_next_is_heard(served) -> None:
    server, path = served
    before = threading.stack_size(1 << 46)  # more than any machine has
    try:
        with socket.socket(socket.AF_UNIX) as early:
            early.connect(str(path))
            assert early.recv(1) == b""
    finally:
        threading.stack_size(before)
    assert HostClient(path).describe()
    assert until(lambda: server.wait(1.0))


def test_priv_02_without_descriptors_it_waits_for_some(served) -> None:
    server, path = served
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as early:
        resource.setrlimit(resource.RLIMIT_NOFILE, (early.fileno() + 1, before[1]))
        try:
            early.connect(str(path))
            until(lambda: server.refused["room"])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        early.sendall(request())
        assert json.loads(early.recv(1 << 16))["ok"]


def test_an_error_that_can_not_be_told_is_a_defect_and_the_caller_is_answered(fake) -> None:
    fake.breaks["accounts.ensure"] = HostError("No.", facts={"what": object()})  # type: ignore[dict-item]
    server = Server(fake, Path("/nonexistent"), Fences())
    assert "The host broke" in json.loads(converse(server, request()))["error"]["message"]


# --- coming and going ------------------------------------------------------------------------------------------


def test_stopping_what_was_never_started_is_fine(fake, tmp_path) -> None:
    Server(fake, tmp_path / "sock", Fences()).stop()


def test_one_that_leaves_takes_nobody_any_more(fake, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.001)
    before = set(threading.enumerate())
    with serving(fake, tmp_path) as server:
        HostClient(tmp_path / "run/host.sock").describe()
        until(lambda: server.leave_if_idle(0))
        until(lambda: not set(threading.enumerate()) - before)
        assert server.wait(1.0)


def test_a_deployment_that_is_gone_may_begin_to_count_anew(served) -> None:
    _, path = served
    HostClient(path).fenced(BLOG, 9).accounts.remove(BLOG)
    HostClient(path).fenced(BLOG, 1).accounts.ensure(BLOG)


def test_lines_for_a_caller_who_went_away_are_dropped(served, fake) -> None:
    _, path = served
    told = threading.Event()
    left = threading.Event()

    def work(values: dict) -> None:
        console = values["console"]
        left.wait(5)
        for _ in range(2):
            console.emit("a line that nobody reads")
        assert console.cancelled()
        told.set()

    fake.on["builds.run"] = work
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
        caller.sendall(LONG)
    left.set()
    assert told.wait(5)


def test_a_caller_who_leaves_lines_unread_has_gone_too(served, fake) -> None:
    _, path = served
    begun, stopped = threading.Event(), threading.Event()

    def work(values: dict) -> None:
        values["console"].emit("unread")
        begun.set()
        until(values["console"].cancelled)
        stopped.set()

    fake.on["builds.run"] = work
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
        caller.sendall(LONG)
        assert begun.wait(5)
    assert stopped.wait(5)


def test_the_folder_of_the_socket_is_ours_alone(fake, tmp_path) -> None:
    (tmp_path / "run").mkdir(mode=0o777)
    with serving(fake, tmp_path):
        assert os.stat(tmp_path / "run").st_mode & 0o077 == 0
