"""A booted server as a machine for the contract suite: hostd's socket, reached as the worker reaches it.

The daemon takes the caller's user from the kernel, so what is asked here goes through a relay that runs as that user on
the server. Programs of the tests are found elsewhere there, and their lines are changed accordingly.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.server.lab.server import Server
from tests.support.machine import APP, BLOG
from tests.support.waiting import until

from webops_host.daemon.client import HostClient
from webops_host.errors import HostError
from webops_host.linux import timer_units
from webops_host.names import DeploymentName
from webops_host.operations import Operation, Values
from webops_host.ports import Host
from webops_host.timed_values import TimedCommand
from webops_host.values import ProjectLine, Unit

OTHERS = (DeploymentName("blog-two"), DeploymentName("shop"))
THERE = "/usr/local/lib/webops-tests/app.py"
SOCKET = "/run/webops-tests/hostd.sock"
RELAY = """
import os, socket, sys, threading
listening, served = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(listening)
os.chmod(listening, 0o666)
listener.listen(64)

def copy(source, target):
    try:
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass

def join(caller):
    with caller, socket.socket(socket.AF_UNIX) as host:
        host.connect(served)
        back = threading.Thread(target=copy, args=(host, caller))
        back.start()
        copy(caller, host)
        back.join()

while True:
    threading.Thread(target=join, args=(listener.accept()[0],), daemon=True).start()
"""
LAY = """
import json, os, pwd, grp, sys
order = json.load(sys.stdin)
user, web = pwd.getpwnam(order["user"]), grp.getgrnam("www-data").gr_gid
def have(path):
    if not os.path.isdir(path):
        have(os.path.dirname(path))
        os.mkdir(path)
        os.chown(path, user.pw_uid, web)
        os.chmod(path, 0o2750)
have(order["folder"])
for name, text in order["files"].items():
    path = os.path.join(order["folder"], name)
    have(os.path.dirname(path))
    with open(path, "w") as file:
        file.write(text)
    os.chown(path, user.pw_uid, web)
    os.chmod(path, 0o640)
"""


class _Client(HostClient):
    """Asks for the tests' programs where they are on the server."""

    def _call(self, operation: Operation, values: Values) -> Any:
        unit = values.get("unit")
        if isinstance(unit, Unit) and isinstance(unit.program, ProjectLine):
            line = unit.program.line.replace(sys.executable, "/usr/bin/python3").replace(str(APP), THERE)
            values = {**values, "unit": replace(unit, program=ProjectLine(line))}
        return super()._call(operation, values)

    def fenced(self, name: DeploymentName, fence: int) -> Host:
        return _Client(self._path, fence=(name, fence))


class LinuxMachine:
    """The same to a test as `tests.support.machine.Embedded`."""

    def __init__(self, server: Server, socket: Path) -> None:
        self.server = server
        self.host: Host = _Client(socket)

    def lay(self, name: DeploymentName, release: int, files: Mapping[str, str]) -> None:
        self._lay(name, release, "source", files)

    def lay_public(self, name: DeploymentName, release: int, files: Mapping[str, str]) -> None:
        self._lay(name, release, "public", files)

    def _lay(self, name: DeploymentName, release: int, part: str, files: Mapping[str, str]) -> None:
        folder = f"/srv/webops/{name}/releases/{release}/{part}"
        order = {"user": f"wo-{name}", "folder": folder, "files": dict(files)}
        self.server.run(("python3", "-c", LAY), input=json.dumps(order))

    def comes(
        self, command: TimedCommand, *lines: str, release: int = 1, status: int | None = 0, reason: str = ""
    ) -> bool:
        """The time of a command comes: what its timer does then, done now."""
        unit = timer_units.name_of(BLOG, release, command.label)
        if self.server.run(("systemctl", "is-active", f"{unit}.timer"), check=False).stdout.strip() != "active":
            return False
        self.server.run(("systemctl", "start", "--no-block", f"{unit}.service"))
        return True

    def begin(self, *names: DeploymentName) -> None:
        """Places for the deployments that tests speak of, as `tests/host/conftest.py` makes them."""
        for name in names or (BLOG,):
            self.host.accounts.ensure(name)
            for release in (1, 2):
                self.lay(name, release, {})

    def end(self, *names: DeploymentName) -> None:
        for name in names or (BLOG,):
            self.host.accounts.remove(name)


@contextmanager
def machine_of(server: Server) -> Iterator[LinuxMachine]:
    server.write(THERE, APP.read_text(), 0o755)
    server.run("install -d -m 0777 /run/webops-tests; rm -f /run/webops-tests/hostd.sock")
    words = server.enter(("python3", "-c", RELAY, SOCKET, "/run/webops/hostd.sock"), user="webops-worker")
    relay = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        seen = Path(f"/proc/{server.leader}/root{SOCKET}")
        machine = LinuxMachine(server, seen)
        until(lambda: _answers(machine.host), "the relay to hostd", timeout=60)
        yield machine
    finally:
        server.run(("pkill", "-f", SOCKET), check=False)
        relay.wait(20)


def _answers(host: Host) -> bool:
    try:
        return bool(host.describe())
    except HostError:
        return False
