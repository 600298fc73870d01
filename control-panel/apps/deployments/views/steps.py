"""A release as people watch it: its steps with what each took last time, and the end of its log."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from apps.deployments import logs, pipeline
from apps.deployments.models import Release, ReleaseStep, State, StepState

SHOWN_LINES = 300
TAIL_BYTES = 64 * 1024
LOOKED_BACK = 8

WORDS = {
    "fetch": "Fetch",
    "inspect": "Inspect",
    "build": "Build",
    "release": "Release tasks",
    "start": "Start",
    "check": "Health check",
    "switch": "Go live",
    "finish": "Tidy up",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it is shown. `usual` is the median of what it took in the last good releases."""

    name: str
    word: str
    state: str
    note: str
    seconds: float | None
    since: datetime | None
    usual: float | None


@dataclass(frozen=True, slots=True)
class Tail:
    """The last lines of a log, and where the next one begins. `cut` says that there are earlier ones."""

    lines: list[logs.Line]
    position: int
    cut: bool


def of(release: Release) -> list[Step]:
    """Its steps, also those to come."""
    usual = _usual(release)
    rows = {row.name: row for row in release.steps.all()}
    names = list(rows) or [name for name, _ in pipeline.STEPS[release.kind]]
    return [_step(name, rows.get(name), usual.get(name)) for name in names]


def _step(name: str, row: ReleaseStep | None, usual: float | None) -> Step:
    running = row is not None and row.state == StepState.RUNNING
    return Step(
        name=name,
        word=WORDS.get(name, name.capitalize()),
        state=row.state if row else StepState.WAITING,
        note=row.note if row else "",
        seconds=row.seconds if row else None,
        since=row.started_at if row and running else None,
        usual=usual,
    )


def _usual(release: Release) -> dict[str, float]:
    good = release.deployment.releases.filter(kind=release.kind, state__in=(State.LIVE, State.RETIRED, State.READY))
    recent = list(good.exclude(pk=release.pk).order_by("-pk").values_list("pk", flat=True)[:LOOKED_BACK])
    took: dict[str, list[float]] = defaultdict(list)
    for row in ReleaseStep.objects.filter(release__in=recent, state=StepState.DONE):
        if row.seconds is not None:
            took[row.name].append(row.seconds)
    return {name: median(seconds) for name, seconds in took.items()}


def tail(release: Release) -> Tail:
    """The end of its log, without reading all of a long one."""
    return tail_of(logs.path(release.pk))


def tail_of(file: Path) -> Tail:
    """The same of a file of lines."""
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return Tail([], 0, cut=False)
    begin = max(0, size - TAIL_BYTES)
    lines = logs.read_file(file, after=begin, limit=100_000)
    return Tail(lines[-SHOWN_LINES:], lines[-1].position if lines else begin, begin > 0 or len(lines) > SHOWN_LINES)


def open_steps_usual(steps: list[Step]) -> float | None:
    """What all of it usually takes, when each step is known."""
    known = [step.usual for step in steps if step.usual is not None]
    return sum(known) if len(known) >= len(steps) / 2 and known else None
