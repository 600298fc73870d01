"""PRIV-02: ten thousand messages that nobody means well: the daemon answers each, does nothing, and still serves."""

from __future__ import annotations

import json
import random
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from tests.host.test_protocol import request, serving

from webops_host.daemon import protocol
from webops_host.daemon.client import HostClient
from webops_host.errors import BadValue
from webops_host.fake import FakeHost
from webops_host.names import DeploymentName
from webops_host.operations import OPERATIONS

COUNT = 10_000
SEED = 20261123
WORDS: list[Any] = [
    None, True, False, 0, -1, 1.5, 1 << 70, "", "blog", "../../etc/passwd", "-rf", "a\x00b", "a\nb", "$(id)", "é",
    "x" * 5000, [], {}, [[]], {"name": "blog"}, {"__class__": "str"}, [None] * 50, "\ud800",
]  # fmt: skip


def mangled(dice: random.Random) -> bytes:
    """A request with something wrong in one place, or in all."""
    operation = OPERATIONS[dice.choice(sorted(OPERATIONS))]
    params = {name: dice.choice(WORDS) for name in ("name", "release", "ref", "unit", "spec", "commit", "paths", "x")}
    chosen = {name: params[name] for name in dice.sample(sorted(params), dice.randrange(len(params)))}
    whole: dict[str, Any] = {"v": 1, "id": f"fuzz-{dice.randrange(1 << 30):08x}", "fence": None, "op": operation.name}
    whole["params"] = chosen
    for _ in range(dice.randrange(3)):
        whole[dice.choice(["v", "id", "fence", "op", "params", "more"])] = dice.choice(WORDS)
    line = json.dumps(whole).encode() + b"\n"
    if dice.random() < 0.3:
        at = dice.randrange(len(line))
        line = line[:at] + bytes(dice.randrange(256) for _ in range(dice.randrange(4))) + line[at + dice.randrange(3) :]
    return line.replace(b"\n", b" ") + b"\n"


def test_priv_02_no_message_is_more_than_refused():
    dice = random.Random(SEED)
    began, let_through, longest = time.process_time(), 0, 0
    for _ in range(COUNT):
        line = mangled(dice)
        try:
            asked = protocol.parse(line)
        except BadValue as error:
            longest = max(longest, len(error.message))
            continue
        let_through += 1
        assert asked.operation.name in OPERATIONS
        name = asked.values.get("name")
        assert name is None or isinstance(name, DeploymentName)
    assert let_through < COUNT / 10
    assert longest < 6000
    assert time.process_time() - began < 10


@pytest.mark.slow
def test_priv_02_the_daemon_answers_ten_thousand_and_still_serves(tmp_path_factory):
    dice, fake, folder = random.Random(SEED + 1), FakeHost(), Path(tmp_path_factory.mktemp("f"))
    with serving(fake, folder):
        path = str(folder / "run/host.sock")
        for number in range(COUNT):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(10)
                connection.connect(path)
                line = mangled(dice)
                if number % 10 == 0:
                    connection.sendall(line[: len(line) // 2])  # half a message, and gone
                    continue
                connection.sendall(line)
                answer = b"".join(iter(lambda c=connection: c.recv(65536), b""))
                assert json.loads(answer)["ok"] in (True, False)
        assert HostClient(Path(path)).describe()
        HostClient(Path(path)).accounts.ensure(DeploymentName("after"))
        assert "accounts.ensure after" in fake.did


def test_priv_02_silent_connections_leave_room_for_others(tmp_path_factory):
    folder = Path(tmp_path_factory.mktemp("f"))
    with serving(FakeHost(), folder):
        path = str(folder / "run/host.sock")
        silent = [socket.socket(socket.AF_UNIX) for _ in range(200)]
        try:
            for connection in silent:
                connection.connect(path)
                connection.sendall(b'{"v": 1,')
            assert HostClient(Path(path)).describe()
        finally:
            for connection in silent:
                connection.close()


def test_priv_02_a_good_request_after_a_bad_one_is_done():
    with pytest.raises(BadValue):
        protocol.parse(b"{}\n")
    assert protocol.parse(request()[:-1]).operation.name == "accounts.ensure"
