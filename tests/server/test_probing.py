"""Somebody who speaks as the panel and means harm: the installed daemons answer each message, live on, and tell.

And visitors who mean harm by taking their time, which the other tests need not wait for.
"""

from __future__ import annotations

import base64
import json
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from tests.host.test_fuzz import SEED
from tests.server.installed import PANEL, Installed
from tests.server.lab.server import Server
from tests.server.lab.visitor import connected
from tests.support import hostile
from tests.support.waiting import until

from webops_host.operations import OPERATIONS

pytestmark = pytest.mark.server

EACH = 80  # messages an operation
DESCRIBE = b'{"v":1,"id":"and-after","fence":null,"op":"host.describe","params":{}}'
SAY = """
import base64, json, socket, sys
path, lines, said = sys.argv[1], json.load(sys.stdin), {}
for line in lines:
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(60)
        talk.connect(path)
        try:
            talk.sendall(base64.b64decode(line) + b"\\n")
        except BrokenPipeError:
            pass
        heard = b"".join(iter(lambda: talk.recv(65536), b"")).splitlines()
        answer = json.loads(heard[-1]) if heard else {"error": {"code": "silence"}}
        code = "ok" if answer.get("ok") else answer["error"]["code"]
        broke = not answer.get("ok") and answer["error"].get("message", "").startswith("The host broke")
        said["broke" if broke else code] = said.get("broke" if broke else code, 0) + 1
print(json.dumps(said))
"""
CROWD = """
import socket, sys, threading
many = b"[],{}," * 600_000
line = b'{"v":1,"id":"a-crowd","fence":null,"op":"accounts.releases","params":{"name":[' + many + b'0]}}\\n'
told = []
def ask():
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(100)
        try:
            talk.connect(sys.argv[1])
            talk.sendall(line)
        except OSError:
            pass  # it was refused before it was sent whole
        try:
            told.append(talk.recv(65536))
        except OSError:
            pass
crowd = [threading.Thread(target=ask) for _ in range(60)]
for one in crowd: one.start()
for one in crowd: one.join()
print(sum(b"bad_value" in each for each in told))
"""


@pytest.fixture
def server(installed: Installed) -> Server:
    return installed.server


@pytest.fixture(scope="module", autouse=True)
def dawdlers(installed: Installed) -> Iterator[list[Future[float]]]:
    """Who sends a request byte by byte, from the beginning: how long nginx listens to each."""
    address = installed.server.address
    with (
        ThreadPoolExecutor() as pool,
        connected(address, PANEL) as secure,
        socket.create_connection((address, 80)) as plain,
    ):
        yield [pool.submit(dawdle, talk) for talk in (secure, plain)]


def dawdle(talk: socket.socket) -> float:
    began = time.monotonic()
    talk.sendall(f"GET / HTTP/1.1\r\nHost: {PANEL}\r\nX-Slow: ".encode())
    talk.settimeout(0.5)
    while time.monotonic() < began + 120:
        try:
            talk.sendall(b"x")
            if not talk.recv(100):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


def as_user(server: Server, user: str, program: str, socket: str, given: str) -> str:
    """A program that reads `given`, as a user of the platform."""
    server.write("/tmp/say.py", program, 0o644)
    server.write("/tmp/say.json", given, 0o644)
    line = f"runuser -u {user} -- /usr/bin/python3 -I /tmp/say.py {socket} < /tmp/say.json"
    return server.run(("bash", "-c", line), timeout=900).stdout


def state(server: Server, unit: str) -> dict[str, str]:
    words = ("systemctl", "show", f"webops-{unit}.service", "--property=Result,ExecMainStatus,NRestarts")
    return dict(line.split("=", 1) for line in server.run(words).stdout.splitlines())


@pytest.mark.parametrize("daemon", ["hostd", "pgd"])
def test_priv_02_the_installed_daemon_answers_whatever_the_panel_says(server: Server, daemon: str) -> None:
    dice = random.Random(f"{SEED} {daemon}")
    messages = [message for name in OPERATIONS for message in hostile.messages(OPERATIONS[name], dice, EACH)]
    lines = [message.line.replace(b"\n", b" ") for message in messages if message.line]
    given = json.dumps([base64.b64encode(line).decode() for line in lines])
    said = json.loads(as_user(server, "webops", SAY, f"/run/webops/{daemon}.sock", given))
    assert sum(said.values()) == len(lines) > 3000
    assert set(said) <= {
        "ok",
        "bad_value",
        "forbidden",
        "not_found",
        "not_supported",
        "not_ready",
        "command_failed",
        "stale",
    }
    assert said["forbidden"] > 300
    assert said["bad_value"] > 1000
    assert state(server, daemon) == {"Result": "success", "ExecMainStatus": "0", "NRestarts": "0"}


@pytest.mark.parametrize("daemon", ["hostd", "pgd"])
def test_priv_02_a_crowd_with_large_requests_does_not_end_the_installed_daemon(server: Server, daemon: str) -> None:
    path = f"/run/webops/{daemon}.sock"
    assert int(as_user(server, "webops", CROWD, path, "")) > 0
    line = json.dumps([base64.b64encode(DESCRIBE).decode()])
    assert json.loads(as_user(server, "webops", SAY, path, line)) == {"ok": 1}
    assert state(server, daemon) == {"Result": "success", "ExecMainStatus": "0", "NRestarts": "0"}


def alerts(server: Server) -> str:
    line = "select text from alerts where kind = 'daemon.refusals' and resolved_at is null"
    words = ("runuser", "-u", "webops", "--", "psql", "-X", "-q", "-t", "-U", "webops", "-d", "webops", "-c", line)
    return server.run(words).stdout.strip()


def test_priv_09_probing_is_told_to_the_journal_and_to_who_looks_after_the_platform(server: Server) -> None:
    probe = base64.b64encode(b'{"v":1,"id":"probing-1","fence":null,"op":"os.system","params":{}}').decode()
    said = as_user(server, "webops", SAY, "/run/webops/hostd.sock", json.dumps([probe] * 25))
    assert json.loads(said) == {"bad_value": 25}
    journal = ("journalctl", "--no-pager", "-o", "cat", "-u", "webops-hostd.service")
    until(lambda: "ALARM: more than 20 refusals within a minute" in server.run(journal).stdout, "the journal's line")
    until(lambda: "os.system" in alerts(server), "the alert", timeout=180, every=1)
    server.run("rm -f /run/webops-hostd/alarm.json /run/webops-pgd/alarm.json")
    until(lambda: alerts(server) == "", "its end", timeout=180, every=1)


def test_ngx_03_who_sends_headers_slowly_is_cut_off(dawdlers: list[Future[float]]) -> None:
    for each in dawdlers:
        assert 25 < each.result(timeout=120) < 40
