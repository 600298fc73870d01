"""Units as child processes of the host: the `Processes` port on a machine without systemd."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from webops_host import files, programs, readiness, usage
from webops_host.command import Command
from webops_host.embedded.journal import Journal
from webops_host.embedded.keeper import Care, Keeper
from webops_host.embedded.units import Record, Units
from webops_host.errors import HostError, NotFound
from webops_host.layout import Layout
from webops_host.names import DeploymentName
from webops_host.programs import Door
from webops_host.values import Console, HealthCheck, LogLine, Ready, Unit, UnitRef, UnitState, UnitStatus

log = logging.getLogger("webops.host")

GRACE = 30.0
LEAVING = 5.0  # seconds for all units together when the host itself ends
LOOK = 1.0  # seconds between looks at memory
UNIT_PORTS = 4000  # how many ports are tried for units


class EmbeddedProcesses:
    """Satisfies `ports.Processes`. `unit_ports` is the first loopback port that units may get."""

    def __init__(
        self, layout: Layout, *, unit_ports: int = 12000, grace: float = GRACE, first_wait: float = 1.0
    ) -> None:
        self._layout = layout
        self._units = Units(layout)
        self._first_port, self._grace, self._first_wait = unit_ports, grace, first_wait
        self._lock = threading.RLock()
        self._keepers: dict[UnitRef, Keeper] = {}
        self._doors: dict[UnitRef, Door] = {}
        self._journals: dict[DeploymentName, Journal] = {}
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="memory", daemon=True)

    # --- the port ----------------------------------------------------------------------------------------------

    def install(self, unit: Unit) -> None:
        with self._lock:
            record = self._units.get(unit.ref)
            self._units.put(Record(unit) if record is None else replace(record, unit=unit))

    def start(self, ref: UnitRef) -> None:
        record = self._record(ref)
        self._units.put(replace(record, wanted=True))
        self._keeper(ref).start()

    def stop(self, ref: UnitRef) -> None:
        record = self._units.get(ref)
        if record is not None:
            self._units.put(replace(record, wanted=False))
        self._end(ref, self._grace)

    def remove(self, ref: UnitRef) -> None:
        self.stop(ref)
        with self._lock:
            self._keepers.pop(ref, None)
            self._doors.pop(ref, None)
            self._units.forget(ref)

    def status(self, name: DeploymentName) -> tuple[UnitStatus, ...]:
        found = [self._status(record) for record in self._units.of(name)]
        measured = usage.by_session(status.pid for status in found if status.pid is not None)
        return tuple(
            status
            if status.pid is None
            else replace(
                status,
                memory_bytes=usage.proportional(measured[status.pid].pids) or measured[status.pid].resident,
                cpu_seconds=round(measured[status.pid].cpu_seconds, 2),
            )
            for status in found
        )

    def ready(self, ref: UnitRef, check: HealthCheck, console: Console) -> Ready:
        record = self._record(ref)
        keeper = self._keeper(ref)
        ready = readiness.wait(readiness.Candidate(ref, self.door(ref), keeper), check, console)
        if not record.proven:
            self.prove(ref)
        return ready

    def logs(self, name: DeploymentName, *, after: int = 0, limit: int = 500) -> tuple[LogLine, ...]:
        return self._journal(name).read(after, limit)

    # --- for the other parts of the host -----------------------------------------------------------------------

    def installed(self, ref: UnitRef) -> Unit | None:
        record = self._units.get(ref)
        return None if record is None else record.unit

    def units(self, name: DeploymentName) -> list[Unit]:
        return [record.unit for record in self._units.of(name)]

    def door(self, ref: UnitRef) -> Door | None:
        """Where a serving unit may be reached, None for others. The port is kept for it until it is removed."""
        with self._lock:
            record = self._units.get(ref)
            if record is None or not record.unit.serves:
                return None
            if ref not in self._doors:
                self._doors[ref] = Door(programs.socket_path(self._layout, ref), self._free_port())
            return self._doors[ref]

    def prove(self, ref: UnitRef) -> None:
        """It has answered, or visitors are sent to it: from now on a crash is followed by a new start."""
        with self._lock:
            record = self._units.get(ref)
            if record is not None:
                self._units.put(replace(record, proven=True))

    def may_come_back(self, ref: UnitRef) -> bool:
        """Whether a unit that can not be reached now is running, or will be started again."""
        keeper = self._keepers.get(ref)
        return keeper is not None and keeper.comes_back

    def restore(self) -> None:
        """After a start of the host: end what an earlier one left behind, start what should be up."""
        files.private_folder(self._layout.run)
        left = usage.kill_marked(programs.mark(self._layout))
        if left:
            log.warning("ended %d programs that an earlier host left running", left)
        self._watcher.start()
        wanted = [record.unit.ref for record in self._units.all() if record.wanted]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._restore_one, wanted))

    def forget(self, name: DeploymentName) -> None:
        """Stop and forget all units of a deployment, at once."""
        self._remove_many([unit.ref for unit in self.units(name)])
        with self._lock:
            self._units.forget_all(name)
            self._journals.pop(name, None)

    def forget_release(self, name: DeploymentName, release: int) -> None:
        self._remove_many([unit.ref for unit in self.units(name) if unit.ref.release == release])

    def close(self) -> None:
        """End all programs within a few seconds. What should be up is started again by the next host."""
        self._closing.set()
        refs = list(self._keepers)
        if refs:
            with ThreadPoolExecutor(len(refs)) as pool:
                list(pool.map(lambda ref: self._end(ref, min(self._grace, LEAVING)), refs))

    # --- parts -------------------------------------------------------------------------------------------------

    def _restore_one(self, ref: UnitRef) -> None:
        try:
            self._keeper(ref).start()
        except HostError as error:
            log.warning("%s did not come back: %s", ref, error.message)

    def _remove_many(self, refs: list[UnitRef]) -> None:
        if refs:
            with ThreadPoolExecutor(len(refs)) as pool:
                list(pool.map(self.remove, refs))

    def _end(self, ref: UnitRef, grace: float) -> None:
        keeper = self._keepers.get(ref)
        if keeper is not None:
            keeper.stop(grace)
            programs.socket_path(self._layout, ref).unlink(missing_ok=True)

    def _record(self, ref: UnitRef) -> Record:
        record = self._units.get(ref)
        if record is None:
            raise NotFound(f"There is no unit {ref}.", hint="Install it first.")
        return record

    def _keeper(self, ref: UnitRef) -> Keeper:
        with self._lock:
            if ref not in self._keepers:
                unit = self._record(ref).unit
                mark = programs.mark(self._layout, ref)
                self._keepers[ref] = Keeper(
                    ref,
                    Care(
                        build=lambda: self._build(ref),
                        say=lambda texts: self._journal(ref.name).add(str(ref), texts),
                        forgiving=lambda: self._forgiving(ref),
                        mark=mark,
                        memory_mib=unit.runtime.limits.memory_mib,
                        first_wait=self._first_wait,
                    ),
                )
            return self._keepers[ref]

    def _build(self, ref: UnitRef) -> Command:
        door = self.door(ref)
        if door is not None:
            files.private_folder(self._layout.run)
            door.socket.unlink(missing_ok=True)
        return programs.command(self._layout, self._record(ref).unit, door)

    def _forgiving(self, ref: UnitRef) -> bool:
        record = self._units.get(ref)
        return record is not None and (record.proven or not record.unit.serves)

    def _status(self, record: Record) -> UnitStatus:
        ref = record.unit.ref
        keeper = self._keepers.get(ref)
        if keeper is None:
            return UnitStatus(ref, UnitState.STOPPED)
        status = keeper.status()
        if status.state is UnitState.RUNNING and record.unit.serves and not record.proven:
            return replace(status, state=UnitState.STARTING)
        return status

    def _journal(self, name: DeploymentName) -> Journal:
        with self._lock:
            if name not in self._journals:
                self._journals[name] = Journal(self._layout.logs(name))
            return self._journals[name]

    def _free_port(self) -> int:
        taken = {door.port for door in self._doors.values()}
        for port in range(self._first_port, self._first_port + UNIT_PORTS):
            if port not in taken and _is_free(port):
                return port
        raise HostError("No loopback port is free for another program.", hint="Stop some deployments.")

    def _watch(self) -> None:
        """Once a second, end what takes more memory than it may."""
        while not self._closing.wait(LOOK):
            keepers = {keeper.pid: keeper for keeper in list(self._keepers.values())}
            measured = usage.by_session(pid for pid in keepers if pid is not None)
            for pid, used in measured.items():
                self._check_memory(keepers[pid], used)

    def _check_memory(self, keeper: Keeper, used: usage.Usage) -> None:
        unit = self.installed(keeper.ref)
        limit = 0 if unit is None else unit.runtime.limits.memory_mib << 20
        # resident counts shared pages several times; the true number costs more to read
        if limit and used.resident > limit and usage.proportional(used.pids) > limit:
            keeper.kill_for_memory()


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
