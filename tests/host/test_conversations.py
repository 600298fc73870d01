"""The caller's side of a conversation with a daemon that says less, more or other than it should."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.machine import BLOG, QUIET

from webops_host.daemon import client as module
from webops_host.daemon import protocol
from webops_host.daemon.client import HostClient
from webops_host.errors import Cancelled, HostError, HostUnreachable
from webops_host.values import Console, ProjectLine, Runtime

OK = b'{"ok":true,"result":null}\n'
Answer = Callable[[socket.socket], None]


@contextmanager
def daemon(folder: Path, answer: Answer) -> Iterator[HostClient]:
    """Takes one connection, does this with it, and closes."""
    path = folder / "d.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield HostClient(path)
        thread.join(5)


def saying(raw: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(raw)

    return answer


def run(client: HostClient, console: Console) -> None:
    client.builds.run(Runtime(BLOG, 1), ProjectLine("make"), 60.0, console)


@pytest.mark.parametrize("raw", [b"[]\n", b"not json\n", b'{"ok":false,"error":7}\n', b'{"ok":false}\n'])
def test_what_is_no_answer_is_said_to_be_none(tmp_path, raw) -> None:
    with daemon(tmp_path, saying(raw)) as client, pytest.raises(HostError):
        client.accounts.ensure(BLOG)


def test_an_answer_that_is_broken_off_is_none(tmp_path) -> None:
    with daemon(tmp_path, saying(OK[:-3])) as client, pytest.raises(HostUnreachable, match="ended the conversation"):
        client.accounts.ensure(BLOG)


def test_a_daemon_that_goes_without_reading_is_unreachable(tmp_path) -> None:
    with daemon(tmp_path, lambda connection: None) as client, pytest.raises(HostUnreachable):
        client.processes.logs(BLOG)


def test_an_answer_without_an_end_is_too_large(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(protocol, "ANSWER_LIMIT", 1000)
    with daemon(tmp_path, saying(b"x" * 2000)) as client, pytest.raises(HostError, match="too large"):
        client.accounts.ensure(BLOG)


def test_an_answer_may_come_in_pieces_and_lines_before_it_may_be_for_nobody(tmp_path) -> None:
    def slowly(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b'{"line":"one"}\n')
        for byte in OK:
            connection.sendall(bytes([byte]))

    with daemon(tmp_path, slowly) as client:
        client.accounts.ensure(BLOG)


def test_a_question_is_not_waited_for_without_end(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "QUIET", 0.0)
    heard = threading.Event()
    with daemon(tmp_path, lambda connection: heard.wait(5) and None) as client:
        with pytest.raises(HostUnreachable, match="in time"):
            client.accounts.releases(BLOG)
        heard.set()


def test_a_daemon_that_does_not_stop_is_left_after_a_while(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "FAREWELL", 0.0)
    heard = threading.Event()
    with daemon(tmp_path, lambda connection: heard.wait(5) and None) as client:
        with pytest.raises(Cancelled):
            run(client, Console(lambda line: None, lambda: True))
        heard.set()


def test_one_that_stops_when_it_is_asked_to_has_been_cancelled(tmp_path) -> None:
    def answer(connection: socket.socket) -> None:
        while connection.recv(1 << 16):
            pass
        connection.sendall(b'{"line":"too late to be shown"}\n')

    shown: list[str] = []
    with daemon(tmp_path, answer) as client, pytest.raises(Cancelled):
        run(client, Console(shown.append, lambda: True))
    assert shown == []


@pytest.fixture
def full(tmp_path: Path) -> Iterator[tuple[Path, socket.socket, list[socket.socket]]]:
    """A daemon whose queue has no place left."""
    path = tmp_path / "full.sock"
    waiting: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        try:
            while True:
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(str(path))
        except BlockingIOError:
            yield path, listener, waiting
        finally:
            for each in waiting:
                each.close()


def test_a_daemon_with_a_full_queue_is_unreachable_after_a_while(full, monkeypatch) -> None:
    monkeypatch.setattr(module, "BUSY", 0.02)
    with pytest.raises(HostUnreachable, match="not running"):
        HostClient(full[0]).describe()


def test_a_place_in_the_queue_is_waited_for(full) -> None:
    path, listener, waiting = full
    found: list[object] = []
    caller = threading.Thread(target=lambda: found.append(HostClient(path).accounts.ensure(BLOG)))
    caller.start()
    line = b""
    while b"accounts.ensure" not in line:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(0.5)
            try:
                line = connection.recv(1 << 16)
            except TimeoutError:
                continue
            if line:
                connection.sendall(OK)
    caller.join(5)
    assert found == [None]
    assert waiting


def test_a_console_that_is_not_cancelled_hears_every_line(tmp_path) -> None:
    shown: list[str] = []
    lines = b"".join(json.dumps({"line": str(number)}).encode() + b"\n" for number in range(3))
    with daemon(tmp_path, saying(lines + OK)) as client:
        run(client, Console(shown.append))
    assert shown == ["0", "1", "2"]
    assert QUIET.cancelled() is False
