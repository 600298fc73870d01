"""Machines to run the contract suite on: one in memory, one that is real and reached over its socket."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from webops_host.daemon.client import HostClient
from webops_host.daemon.server import Server
from webops_host.embedded.host import EmbeddedHost
from webops_host.fake import FakeHost
from webops_host.layout import Layout
from webops_host.names import DeploymentName, ProcessKind, VariableKey
from webops_host.ports import Host
from webops_host.timed_values import TimedCommand
from webops_host.values import Console, HealthCheck, Limits, Mount, ProjectLine, Runtime, Site, Unit, UnitRef

T = TypeVar("T")
QUIET = Console(lambda line: None)
BLOG = DeploymentName("blog")
PAGES = DeploymentName("pages")
APP = Path(__file__).with_name("app.py")


class Fake:
    """The machine in memory."""

    def __init__(self) -> None:
        self.host: Host = FakeHost()
        self.host.timers_here.keeps_time = True

    def comes(
        self, command: TimedCommand, *lines: str, release: int = 1, status: int | None = 0, reason: str = ""
    ) -> bool:
        """The time of a command of the blog comes, which is to print this. False: no such command is arranged."""
        timers = self.host.timers_here
        if BLOG not in timers.arranged or timers.arranged[BLOG][0].release != release:
            return False
        at = 1_700_000_000.0 + len(timers.told.get(BLOG, ()))
        timers.come(BLOG, command.label, *lines, at=at, status=status, reason=reason)
        return command in timers.arranged[BLOG][1]

    def lay(self, name: DeploymentName, release: int, files: Mapping[str, str]) -> None:
        self.host.release(name, release).files.update({path: text.encode() for path, text in files.items()})

    def lay_public(self, name: DeploymentName, release: int, files: Mapping[str, str]) -> None:
        self.host.release(name, release).public.update({path: text.encode() for path, text in files.items()})


class Embedded:
    """The machine of a laptop, behind its daemon's socket."""

    def __init__(self, root: Path, port_base: int) -> None:
        self.layout = Layout(root)
        self.real = EmbeddedHost(self.layout, port_base=port_base, grace=1.0, first_wait=0.01)
        self.server = Server(self.real, self.layout.daemon_socket, self.real.fences)
        self.host: Host = HostClient(self.layout.daemon_socket)

    def open(self) -> None:
        self.real.restore()
        self.server.start()

    def close(self) -> None:
        self.server.stop()
        self.real.close()

    def lay(self, name: DeploymentName, release: int, files: Mapping[str, str]) -> None:
        write(self.layout.source(name, release), files)

    def lay_public(self, name: DeploymentName, release: int, files: Mapping[str, str]) -> None:
        write(self.layout.public(name, release), files)


@contextmanager
def embedded(root: Path, port_base: int | None = None) -> Iterator[Embedded]:
    machine = Embedded(root, port_base or free_ports())
    machine.open()
    try:
        yield machine
    finally:
        machine.close()


def write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())


def free_ports() -> int:
    """A port from which some are free, and far from those that the system hands out."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return 20000 + probe.getsockname()[1] % 8000


def until(condition: Callable[[], T], timeout: float = 10.0) -> T:
    """What the condition gives once it holds. Fails when the time is up."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.005)


def web(
    release: int = 1,
    *words: str,
    name: DeploymentName = BLOG,
    variables: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> Unit:
    """A unit that serves with the small app of the tests."""
    runtime = Runtime(
        name,
        release,
        variables={VariableKey(key): value for key, value in (variables or {}).items()},
        limits=limits or Limits(),
    )
    line = " ".join((f"exec {sys.executable} -I -S {APP}", *words))
    return Unit(UnitRef(name, release, ProcessKind("web")), ProjectLine(line), runtime, serves=True)


def worker(
    line: str, release: int = 1, *, limits: Limits | None = None, variables: Mapping[str, str] | None = None
) -> Unit:
    """A unit that serves nobody."""
    given = {VariableKey(key): value for key, value in (variables or {}).items()}
    runtime = Runtime(BLOG, release, limits=limits or Limits(), variables=given)
    return Unit(UnitRef(BLOG, release, ProcessKind("worker")), ProjectLine(line), runtime)


def publish(machine: Embedded, *words: str, release: int = 1, mounts: tuple[Mount, ...] = ()) -> tuple[str, UnitRef]:
    unit = web(release, *words)
    machine.host.processes.install(unit)
    machine.host.processes.start(unit.ref)
    machine.host.processes.ready(unit.ref, HealthCheck(), QUIET)
    return machine.host.sites.publish(Site(BLOG, release, unit=unit.ref, mounts=mounts)).url, unit.ref
