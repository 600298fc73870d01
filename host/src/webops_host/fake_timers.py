"""The clock of the fake host: its time passes when a test says so."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from webops_host.errors import NotFound
from webops_host.names import DeploymentName
from webops_host.timed_values import TAIL, TimedCommand, TimedRun
from webops_host.values import Runtime


class FakeTimers:
    """Satisfies `ports.Timers`. With `keeps_time` off it is like a laptop, which is what it is until a test says else.

    `come` is the moment at which a command's time has come.
    """

    def __init__(self, homes: Mapping[DeploymentName, Mapping[int, Any]]) -> None:
        self.keeps_time = False
        self.arranged: dict[DeploymentName, tuple[Runtime, tuple[TimedCommand, ...]]] = {}
        self.told: dict[DeploymentName, list[TimedRun]] = {}
        self._homes = homes
        self._numbers = itertools.count(1)

    def arrange(self, runtime: Runtime, commands: tuple[TimedCommand, ...]) -> bool:
        if commands and runtime.release not in self._homes.get(runtime.name, {}):
            raise NotFound(f"The files of release {runtime.release} of {runtime.name} are not here.")
        if self.keeps_time:
            self.arranged[runtime.name] = (runtime, tuple(commands))
        return self.keeps_time

    def stop(self, name: DeploymentName) -> None:
        self.arranged.pop(name, None)

    def runs(self, name: DeploymentName, since: int) -> tuple[TimedRun, ...]:
        return tuple(run for run in self.told.get(name, []) if run.began_at >= since)[-100:]

    def come(
        self, name: DeploymentName, label: str, *lines: str, at: float, status: int | None = 0, reason: str = ""
    ) -> bool:
        """One of the arranged commands runs for a second and prints these lines; without a status it goes on. False: it
        is not arranged, or it still runs."""
        commands = self.arranged[name][1] if name in self.arranged else ()
        runs = self.told.setdefault(name, [])
        going = any(run.label == label and run.ended_at is None for run in runs)
        if going or label not in {command.label for command in commands}:
            return False
        key = f"{next(self._numbers):032x}"
        reason = reason or (f"exited with status {status}" if status else "")
        runs.append(TimedRun(key, label, at, None if status is None else at + 1, status, reason, lines[-TAIL:]))
        return True

    def end(self, name: DeploymentName, label: str, *lines: str, at: float) -> None:
        """The run that goes on comes to its end."""
        runs = self.told[name]
        runs[:] = [
            TimedRun(run.id, label, run.began_at, at, 0, "", lines)
            if (run.label, run.ended_at) == (label, None)
            else run
            for run in runs
        ]

    def forget(self, name: DeploymentName, release: int | None = None) -> None:
        """The deployment, or the release, is gone."""
        if release is None:
            self.told.pop(name, None)
        if name in self.arranged and release in (None, self.arranged[name][0].release):
            self.arranged.pop(name)
