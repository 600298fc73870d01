"""Units of deployments on systemd: the `Processes` port, inside hostd."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from webops_host import programs, readiness, runner
from webops_host.errors import CommandFailed, HostError, NotFound
from webops_host.linux import systemd, units
from webops_host.linux.people import People
from webops_host.linux.ports import Ports
from webops_host.linux.systemd import Shown
from webops_host.linux.units import Surroundings, name_of
from webops_host.names import DeploymentName
from webops_host.programs import Door
from webops_host.usage import describe_end
from webops_host.values import Console, HealthCheck, LogLine, Ready, Unit, UnitRef, UnitState, UnitStatus

LOOK, SELDOM = 0.1, 1.0  # seconds between looks at a unit that is being waited for, and at one whose process is there
MOST_LINES = 10_000  # that are told at once
WANTED = (".service", ".socket")  # what is started, now and after the machine was off
SUFFIXES = (*WANTED, ".proxy.service")  # the proxy is started by its socket


class LinuxProcesses:
    """Satisfies `ports.Processes`."""

    def __init__(self, around: Surroundings, people: People) -> None:
        self._around, self._layout, self._people = around, around.layout, people
        self._reserved = Ports(around.layout.state / "ports.json", _reload_firewall)

    def install(self, unit: Unit) -> None:
        """Write the unit's files. What systemd knows already in another form is read anew, which is rare: a release
        has units of its own."""
        name = name_of(unit.ref)
        user = self._people.user(unit.ref.name)
        port = self._port(unit) if unit.serves and programs.needs_port(self._layout, unit) else 0
        if units.files(self._around, unit, user, port).have(self._layout, name):
            runner.run(systemd.systemctl("daemon-reload"))

    def start(self, ref: UnitRef) -> None:
        service = self._service(ref)
        known = systemd.show(self._files(ref))
        if any(shown.outdated for shown in known.values()):  # a unit of this name that was removed
            runner.run(systemd.systemctl("daemon-reload"))
        shown = known[service]
        text = (self._layout.units / service).read_text()
        self._want(ref, sleeps=units.SLEEP in text)
        if shown.active in ("active", "activating", "reloading"):
            return
        if shown.active == "failed":
            runner.run(systemd.systemctl("reset-failed", "--", service), check=False)
        names = self._files(ref, WANTED)
        slow = "Type=notify" in text  # others are started at once
        try:
            runner.run(systemd.systemctl("start", *(("--no-block",) if slow else ()), "--", *names))
        except CommandFailed as error:
            raise HostError(f"{ref} could not be started.", hint=str(error.facts.get("last", ""))) from error

    def stop(self, ref: UnitRef) -> None:
        for suffix in WANTED:
            self._wants(ref, suffix).unlink(missing_ok=True)
        self._sleeper(ref).unlink(missing_ok=True)
        names = self._files(ref)
        if names:
            runner.run(systemd.systemctl("stop", "--", *names), check=False)

    def remove(self, ref: UnitRef) -> None:
        self.stop(ref)
        names = self._files(ref)
        for file in names:
            (self._layout.units / file).unlink(missing_ok=True)
        self._layout.unit_variables(name_of(ref)).unlink(missing_ok=True)
        if names:  # a failed unit stays known until this is forgotten
            runner.run(systemd.systemctl("reset-failed", "--", *names), check=False)

    def status(self, name: DeploymentName) -> tuple[UnitStatus, ...]:
        refs = {f"{name_of(ref)}.service": ref for ref in self.installed(name)}
        found = [_status(refs[unit], shown) for unit, shown in systemd.show(refs).items() if unit in refs]
        return tuple(self._with_sleep(status) for status in found)

    def ready(self, ref: UnitRef, check: HealthCheck, console: Console) -> Ready:
        service = self._service(ref)
        door = Door(self._layout.socket(ref), 0) if self.serves(ref) else None
        return readiness.wait(readiness.Candidate(ref, door, _Watch(ref, service)), check, console)

    def logs(self, name: DeploymentName, *, after: int = 0, limit: int = 500) -> tuple[LogLine, ...]:
        first, limit = max(after, self._first(name)), max(1, min(limit, MOST_LINES))
        kept = (f"wo-{name}--*-{index}.*" for index in ("[0-9]", "[0-9][0-9]"))  # no commands on a schedule
        only = (*systemd.PRINTED, "+", "_PID=1")
        command = systemd.journal(*kept, after=first, limit=0 if after else limit, only=only, newest_first=not after)
        found = systemd.first_entries(command, limit, after=first)
        lines = [LogLine(at, at / 1e6, str(units.parse(unit) or unit), text) for at, unit, text in found]
        return tuple(lines if after else reversed(lines))

    # --- for the other parts of the host -----------------------------------------------------------------------

    def installed(self, name: DeploymentName) -> tuple[UnitRef, ...]:
        """Every unit of the deployment that has files here, by release."""
        found = (units.parse(path.name) for path in self._layout.units.glob(f"wo-{name}--*.service"))
        mine = {ref for ref in found if ref is not None and ref.name == name}
        return tuple(sorted(mine, key=lambda ref: (ref.release, ref.kind, ref.index)))

    def want_sockets(self) -> None:
        """Have the socket of every wanted unit wanted too, where an earlier version wanted the service alone."""
        for link in self._all_wants.glob("wo-*--*.service"):
            socket = link.with_suffix(".socket")
            if (self._layout.units / socket.name).exists() and not socket.is_symlink():
                os.symlink(f"../{socket.name}", socket)

    def serves(self, ref: UnitRef) -> bool:
        return (self._layout.units / f"{name_of(ref)}.socket").exists()

    def forget(self, name: DeploymentName, release: int | None = None) -> None:
        """Remove all units of a deployment, or of one of its releases."""
        for ref in self.installed(name):
            if release is None or ref.release == release:
                self.remove(ref)
        for path in self._left(name, release):
            path.unlink(missing_ok=True)
        if release is None and self._people.knows(name):
            self._reserved.forget(self._people.uid(name))

    def _left(self, name: DeploymentName, release: int | None) -> Iterator[Path]:
        """Files of its units that a daemon left which was killed while it wrote them: variables may be in them."""
        for folder in (self._layout.units, self._layout.unit_variables("").parent):
            for path in folder.glob(f"*wo-{name}--*"):
                ref = units.parse(f"{path.name.removeprefix('.').partition('.')[0]}.service")
                if ref is not None and ref.name == name and release in (None, ref.release):
                    yield path

    def texts(self, name: DeploymentName) -> dict[str, str]:
        """Its unit files, to read: they hold no variable."""
        paths = sorted(self._layout.units.glob(f"wo-{name}--*"))
        return {path.name: path.read_text() for path in paths if path.is_file()}

    # --- parts -------------------------------------------------------------------------------------------------

    def _first(self, name: DeploymentName) -> int:
        """Microseconds from which lines under this name are this deployment's: an earlier one may have had it."""
        return int(1e6 * (self._people.since(name) if self._people.knows(name) else time.time()))

    def _service(self, ref: UnitRef) -> str:
        service = f"{name_of(ref)}.service"
        if not (self._layout.units / service).exists():
            raise NotFound(f"There is no unit {ref}.", hint="Install it first.")
        return service

    def _files(self, ref: UnitRef, suffixes: tuple[str, ...] = SUFFIXES) -> list[str]:
        names = [f"{name_of(ref)}{suffix}" for suffix in suffixes]
        return [name for name in names if (self._layout.units / name).exists()]

    @property
    def _all_wants(self) -> Path:
        return self._layout.units / f"{units.TARGET}.wants"

    def _wants(self, ref: UnitRef, suffix: str = ".service") -> Path:
        """The link by which the unit comes back after the machine was off."""
        return self._all_wants / f"{name_of(ref)}{suffix}"

    def _sleeper(self, ref: UnitRef) -> Path:
        return self._layout.sleepers / f"{name_of(ref)}.service"

    def _want(self, ref: UnitRef, *, sleeps: bool) -> None:
        self._all_wants.mkdir(mode=0o755, exist_ok=True)
        for file in self._files(ref, WANTED):
            with contextlib.suppress(FileExistsError):
                os.symlink(f"../{file}", self._all_wants / file)
        sleeper = self._sleeper(ref)
        if sleeps:
            sleeper.parent.mkdir(mode=0o700, exist_ok=True)
            sleeper.touch()
        else:
            sleeper.unlink(missing_ok=True)

    def _with_sleep(self, status: UnitStatus) -> UnitStatus:
        """A unit that is stopped and wanted, while its socket is held, waits for its next visitor."""
        if status.state is UnitState.STOPPED and self._wants(status.ref).is_symlink() and self.serves(status.ref):
            return replace(status, state=UnitState.ASLEEP, reason="")
        return status

    def _port(self, unit: Unit) -> int:
        """The port of a program that wants one: the same each time, and its own while it is installed."""
        taken = self._ports()
        if unit.ref in taken:
            return taken[unit.ref]
        return self._reserved.reserve(self._people.uid(unit.ref.name), taken.values())

    def _ports(self) -> dict[UnitRef, int]:
        found = {}
        for path in self._layout.units.glob("wo-*--*.proxy.service"):
            ref = units.parse(path.name.removesuffix(".proxy.service"))
            port = path.read_text().partition("127.0.0.1:")[2].partition('"')[0]
            if ref is not None and port.isdigit():
                found[ref] = int(port)
        return found


def _reload_firewall() -> None:
    runner.run(systemd.systemctl("reload", "--", units.FIREWALL))


class _Watch:
    """How a candidate is. Systemd is asked while its process is not there yet, when that has ended, and else seldom:
    asking takes time from a program that is just starting."""

    def __init__(self, ref: UnitRef, service: str) -> None:
        self._ref, self._service = ref, service
        self._next, self._shown = 0.0, None

    def status(self) -> UnitStatus:
        now = time.monotonic()
        if self._shown is None or now > self._next or (self._shown.pid and not _lives(self._shown.pid)):
            self._shown = systemd.show([self._service])[self._service]
            self._next = now + (SELDOM if self._shown.pid else LOOK)
        status = _status(self._ref, self._shown)
        is_new = status.restarts == 0 and status.exit_status is None
        if is_new and status.state in (UnitState.STARTING, UnitState.STOPPED):  # its start may still be in the queue
            return UnitStatus(self._ref, UnitState.RUNNING, status.pid)
        return status

    @property
    def ran_out_of_memory(self) -> bool:
        return self._shown is not None and self._shown.result == "oom-kill"

    _shown: Shown | None


def _lives(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def _status(ref: UnitRef, shown: Shown) -> UnitStatus:
    state = _state(shown)
    over = state in (UnitState.CRASHED, UnitState.STOPPED)
    return UnitStatus(
        ref,
        state,
        pid=shown.pid or None,
        since=shown.since,
        restarts=shown.restarts,
        exit_status=shown.exit_status if state is UnitState.CRASHED or shown.restarts else None,
        reason=_reason(shown) if over else "",
        memory_bytes=shown.memory_bytes,
        cpu_seconds=round(shown.cpu_seconds, 2),
    )


def _state(shown: Shown) -> UnitState:
    if shown.load == "not-found":
        return UnitState.ABSENT
    if shown.active == "failed" or shown.sub == "auto-restart":
        return UnitState.CRASHED
    if shown.active in ("active", "reloading"):
        return UnitState.RUNNING
    queued = shown.active == "inactive" and shown.waits  # as while its socket is being made
    return UnitState.STARTING if shown.active == "activating" or queued else UnitState.STOPPED


def _reason(shown: Shown) -> str:
    if shown.result == "oom-kill":
        return "out of memory"
    if shown.result == "start-limit-hit":
        return f"crashed {units.CRASHES} times within a minute; not started again"
    if shown.result in ("timeout", "watchdog"):
        return "did not get ready in time"
    if shown.result == "resources":
        return "could not be started; the system's log says why"
    return "" if shown.exit_status is None else describe_end(shown.exit_status)
