"""PRIV-02: for every operation thousands of messages that nobody means well. Each is answered, by a refusal or by what
the machine was asked for; no program is started, and the next one is heard.

`WEBOPS_FUZZ` is how many messages an operation gets; the slow suite sends 10,000.
"""

from __future__ import annotations

import json
import logging
import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.host.test_protocol import request
from tests.support import hostile, watched

from webops_host import codec, ports
from webops_host.daemon.server import Server
from webops_host.errors import HostError
from webops_host.fake import FakeHost
from webops_host.fences import Fences
from webops_host.names import DeploymentName
from webops_host.operations import OPERATIONS, Values, deployment_of

FEW = int(os.environ.get("WEBOPS_FUZZ", "200"))
MANY = 10_000
SEED = 20261123
CODES = {kind.code for kind in (HostError, *HostError.__subclasses__())}
SLOWEST = 2.0  # seconds of this thread's own time
LONGEST_LINE = 1000  # letters of what the journal is told about one message


class Journal(logging.Handler):
    """What the daemon writes: short lines, and never that it broke."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = 0

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        assert record.exc_info is None, text
        assert len(text) < LONGEST_LINE
        assert text.isprintable(), text
        self.lines += 1


@pytest.fixture
def journal() -> Iterator[Journal]:
    log, journal = logging.getLogger("webops.host"), Journal()
    log.addHandler(journal)
    log.propagate, before = False, log.level
    log.setLevel(logging.INFO)
    yield journal
    log.removeHandler(journal)
    log.propagate = True
    log.setLevel(before)


class Conversations:
    """A daemon in this process, asked over one connection after the other, and what it must remember of them."""

    def __init__(self, host: ports.Host) -> None:
        self.highest: dict[str, int] = {}
        self.done: dict[str, dict[str, Any]] = {}
        self.server = Server(host, Path("/nonexistent"), Fences())
        self.slowest = 0.0

    def ask(self, line: bytes) -> dict[str, Any]:
        """The answer. There is always exactly one, in one line."""
        ours, theirs = socket.socketpair()
        with ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            ours.sendall(line.replace(b"\n", b" ") + b"\n")
            began = time.thread_time()
            self.server.converse(theirs)
            self.slowest = max(self.slowest, time.thread_time() - began)
            said = b"".join(iter(lambda: ours.recv(1 << 18), b""))
        *lines, answer = [json.loads(each) for each in said.splitlines()]
        assert all(set(each) == {"line"} for each in lines), lines
        return answer

    def judge(self, message: hostile.Message, answer: dict[str, Any]) -> None:
        """Whether the answer is one of those that there may be."""
        assert set(answer) == ({"ok", "result"} if answer["ok"] is True else {"ok", "error"})
        if not answer["ok"]:
            assert answer["error"]["code"] in CODES
            assert not answer["error"]["message"].startswith("The host broke"), (message.line[:500], answer)

    def check(self, message: hostile.Message, answer: dict[str, Any], asked: list[tuple[str, Values]]) -> None:
        """Whether the machine was asked for what the message says, or for nothing."""
        if not asked:
            assert not message.good, (message.line, answer)
            assert not answer["ok"] or answer == self.done[json.loads(message.line)["id"]]  # told again, not done again
            return
        sent = json.loads(message.line)
        if answer["ok"]:
            self.done[sent["id"]] = answer
        (name, values), *inside = asked
        assert not inside or (name, inside[0][0], len(inside)) == ("commands.begin", "builds.run", 1)
        assert name == sent["op"]
        plain = {key: value for key, value in values.items() if key != "console"}
        assert all(_is_itself(name, key, value) for key, value in plain.items()), plain
        self._check_fence(name, sent["fence"], deployment_of(plain))

    def _check_fence(self, operation: str, fence: int | None, name: DeploymentName | None) -> None:
        """Nobody gets through whose fence is older than one that was seen."""
        if fence is None or name is None or not OPERATIONS[operation].changes:
            return
        assert fence >= self.highest.get(name, 0)
        self.highest[name] = 0 if operation in ("accounts.remove", "databases.drop") else fence


def _is_itself(operation: str, key: str, value: Any) -> bool:
    """Whether a value that reached the machine is one of its type, to the last field."""
    return codec.load(OPERATIONS[operation].parameters[key], json.loads(json.dumps(codec.dump(value)))) == value


def fuzz(name: str, count: int) -> None:
    dice, fake = random.Random(f"{SEED} {name}"), FakeHost()
    talk, good = Conversations(fake), 0
    with watched.machine() as seen:
        for message in hostile.messages(OPERATIONS[name], dice, count):
            answer = talk.ask(message.line)
            talk.judge(message, answer)
            talk.check(message, answer, fake.calls)
            good += message.good
            fake.calls.clear()
        assert talk.ask(request("accounts.releases", id="and-after"))["ok"]
    assert (seen.programs, seen.changed) == ([], set())
    assert good > count / 5
    assert talk.slowest < SLOWEST


@pytest.mark.parametrize("name", OPERATIONS)
def test_priv_02_every_operation_survives_what_nobody_means_well(name: str, journal: Journal) -> None:
    fuzz(name, FEW)
    assert journal.lines > FEW / 3


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_priv_02_every_operation_survives_ten_thousand(name: str, journal: Journal) -> None:
    fuzz(name, MANY)
