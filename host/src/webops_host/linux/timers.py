"""Commands on a schedule as timers of systemd: the `Timers` port, inside hostd.

A release's timers are new to systemd like its other units, so that no daemon-reload is needed; one of the release
before that has the same label hands over when it last came, so that no turn is lost or taken twice in between.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from webops_host import runner
from webops_host.errors import BadValue
from webops_host.linux import systemd, timer_journal, timer_units, units
from webops_host.linux.people import People
from webops_host.linux.timer_journal import Told
from webops_host.linux.units import Surroundings
from webops_host.names import DeploymentName
from webops_host.timed_values import LONGEST, TAIL, TimedCommand, TimedRun
from webops_host.values import Runtime

MOST = 100  # commands of a deployment, and runs that are told at once
EVENTS = 4 * MOST  # each has up to three, and there may be some that go on
EARLY, LATE = 1_000_000, 5_000_000  # microseconds by which a line may come before and after its run


class LinuxTimers:
    """Satisfies `ports.Timers`."""

    def __init__(self, around: Surroundings, people: People) -> None:
        self._around, self._layout, self._people = around, around.layout, people

    def arrange(self, runtime: Runtime, commands: tuple[TimedCommand, ...]) -> bool:
        if len(commands) > MOST:
            raise BadValue(f"{len(commands)} commands are too many.", hint=f"At most {MOST} run on a schedule.")
        wanted = {timer_units.name_of(runtime.name, runtime.release, one.label): one for one in commands}
        others = [unit for unit in self._installed(runtime.name) if unit not in wanted]
        user = self._people.user(runtime.name)
        rewritten = [self._write(runtime, one, user) for one in wanted.values()]
        self._hold(others)
        shown = systemd.show(f"{unit}{suffix}" for unit in wanted for suffix in (".timer", ".service"))
        if any(rewritten) or any(one.outdated for one in shown.values()):  # not on a release: its names are new
            runner.run(systemd.systemctl("daemon-reload"))
        idle = [unit for unit in wanted if shown[f"{unit}.timer"].active != "active"]
        for unit in idle:
            self._hand_over(unit, others)
        self._begin(idle)
        self._forget_idle(others)
        return True

    def stop(self, name: DeploymentName) -> None:
        self._hold(self._installed(name))

    def runs(self, name: DeploymentName, since: int) -> tuple[TimedRun, ...]:
        if not self._people.knows(name):
            return ()
        after = int(1e6 * max(since, self._people.since(name)))
        pattern = f"wo-{name}{timer_units.PATTERN}.service"
        only, fields = timer_journal.ONLY, timer_journal.FIELDS
        command = systemd.journal(pattern, after=after, limit=EVENTS, fields=fields, only=only)
        told = timer_journal.read(runner.run_binary(command))[-MOST:]
        return tuple(_run(one, self._tail(one, told)) for one in told)

    # --- for the other parts of the host -----------------------------------------------------------------------

    def forget(self, name: DeploymentName, release: int | None = None) -> None:
        """Remove all timers of a deployment, or of one of its releases, and end what they started."""
        beginning = f"wo-{name}--" if release is None else f"wo-{name}--{release}-"
        found = [unit for unit in self._installed(name) if unit.startswith(beginning)]
        self._hold(found)
        if found:
            runner.run(systemd.systemctl("stop", "--", *(f"{unit}.service" for unit in found)), check=False)
        self._remove(found)

    # --- parts -------------------------------------------------------------------------------------------------

    def _installed(self, name: DeploymentName) -> list[str]:
        """Names, without a suffix, of all that have files here."""
        found = {path.name.rsplit(".", 1)[0] for path in self._layout.units.glob(f"wo-{name}{timer_units.PATTERN}")}
        return sorted(unit for unit in found if (known := timer_units.parse(unit)) and known[0] == name)

    def _write(self, runtime: Runtime, command: TimedCommand, user: str) -> bool:
        """Have its files. True when one was there in another form."""
        unit = timer_units.name_of(runtime.name, runtime.release, command.label)
        return timer_units.files(self._around, runtime, command, user).have(self._layout, unit)

    def _begin(self, found: Iterable[str]) -> None:
        timers = [f"{unit}.timer" for unit in found]
        for timer in timers:
            link = self._wants(timer)
            link.parent.mkdir(mode=0o755, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.symlink(f"../{timer}", link)
        if timers:
            runner.run(systemd.systemctl("start", "--", *timers))

    def _hold(self, found: Iterable[str]) -> None:
        """No more turns of these; what one of them started goes on to its end."""
        timers = [f"{unit}.timer" for unit in found if (self._layout.units / f"{unit}.timer").exists()]
        for timer in timers:
            self._wants(timer).unlink(missing_ok=True)
        if timers:
            runner.run(systemd.systemctl("stop", "--", *timers), check=False)

    def _hand_over(self, unit: str, others: Iterable[str]) -> None:
        """When the timer that this one takes the place of last came: from there on it counts."""
        label = unit.rsplit("-", 1)[1]
        before = [self._layout.timer_stamp(f"{other}.timer") for other in others if other.endswith(f"-{label}")]
        times = [stamp.stat().st_mtime for stamp in before if stamp.exists()]
        if times:
            stamp = self._layout.timer_stamp(f"{unit}.timer")
            stamp.touch(0o644)
            os.utime(stamp, (max(times), max(times)))

    def _forget_idle(self, found: list[str]) -> None:
        """Remove those that are at rest; one that still runs is looked at again with the next release."""
        shown = systemd.show(f"{unit}.service" for unit in found)
        busy = {service for service, one in shown.items() if one.active in ("active", "activating", "deactivating")}
        for unit in found:
            (self._layout.units / f"{unit}.timer").unlink(missing_ok=True)
            self._layout.timer_stamp(f"{unit}.timer").unlink(missing_ok=True)
        self._remove([unit for unit in found if f"{unit}.service" not in busy])

    def _remove(self, found: list[str]) -> None:
        for unit in found:
            for suffix in (".timer", ".service"):
                (self._layout.units / f"{unit}{suffix}").unlink(missing_ok=True)
            self._layout.unit_variables(unit).unlink(missing_ok=True)
            self._layout.timer_stamp(f"{unit}.timer").unlink(missing_ok=True)
        if found:  # a failed unit stays known until this is forgotten
            runner.run(systemd.systemctl("reset-failed", "--", *(f"{unit}.service" for unit in found)), check=False)

    def _wants(self, timer: str) -> Path:
        """The link by which the timer comes back after the machine was off."""
        return self._layout.units / f"{units.TARGET}.wants" / timer

    def _tail(self, run: Told, told: list[Told]) -> tuple[str, ...]:
        """The end of what it printed: lines of its service between the run before and the one after."""
        mine = [one for one in told if one.unit == run.unit]
        first = max([run.began - EARLY, *(one.ended for one in mine if one.began < run.began)])
        ends = [*(one.began for one in mine if one.began > run.began), *((run.ended + LATE,) if run.ended else ())]
        until = min(ends, default=0)
        command = systemd.journal(run.unit, after=first, before=until, limit=TAIL, only=systemd.PRINTED)
        lines = systemd.entries(runner.run_binary(command))
        return tuple(text[:LONGEST].replace("\x00", "") for _, _, text in lines)


def _run(told: Told, tail: tuple[str, ...]) -> TimedRun:
    ended = told.ended / 1e6 if told.ended else None
    return TimedRun(told.id, told.label, told.began / 1e6, ended, told.exit_status, told.reason, tail)
