"""Commands that a host runs at times by itself, and what it tells of their runs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from webops_host import cron
from webops_host.errors import BadValue
from webops_host.values import ProjectLine

TAIL, LONGEST = 60, 1000
"""Lines of a run that are told, and signs of such a line."""


@dataclass(frozen=True, slots=True)
class TimedCommand:
    """A line of the project's owner, when it runs (five fields as in crontab(5), in UTC) and after how many seconds it
    is ended."""

    schedule: str
    line: ProjectLine
    timeout: float = 900.0

    def __post_init__(self) -> None:
        if len(self.schedule) > 100:
            raise BadValue("That is too long for a schedule.", hint="For example “0 3 * * *”.")
        try:
            cron.parse(self.schedule)
        except cron.BadSchedule as error:
            raise BadValue(str(error), hint="For example “0 3 * * *”.") from None
        if not 1 <= self.timeout <= 86400:
            raise BadValue(f"{self.timeout!r} is not a time limit.", hint="Use 1 to 86400 seconds.")

    @property
    def label(self) -> str:
        """The same in every release that has this command at these times."""
        words = f"{self.schedule}\n{self.line.line}"
        return f"c{hashlib.sha256(words.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class TimedRun:
    """One run. Times are Unix times; one that goes on has no end. `exit_status` is negative for a signal; `reason` says
    in words how it failed and is empty when it did not. `tail` is the end of what it printed."""

    id: str
    label: str
    began_at: float
    ended_at: float | None = None
    exit_status: int | None = None
    reason: str = ""
    tail: tuple[str, ...] = ()
