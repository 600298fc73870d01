"""Runs of commands on a schedule, read from what systemd itself wrote into the journal about their services.

Each start of a service has an id of its own there (`INVOCATION_ID`), so the same run is told the same way each time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from webops_host.linux import timer_units
from webops_host.usage import describe_end

STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
SUCCEEDED = "7ad2d189f7e94e70a38c781354912448"
FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
EXITED = "98e322203f7a4ed290d09fe03c09fe15"
"""Kinds of messages (sd-messages.h): stable, unlike their words."""
ONLY = ("_PID=1", *(f"MESSAGE_ID={kind}" for kind in (STARTING, SUCCEEDED, FAILED, EXITED)))
FIELDS = "MESSAGE_ID,UNIT,INVOCATION_ID,EXIT_CODE,EXIT_STATUS,UNIT_RESULT"


@dataclass
class Told:
    """What is known of one run. Times in microseconds; without an end it goes on, or the machine lost its power."""

    id: str
    unit: str
    label: str
    began: int
    ended: int = 0
    exit_status: int | None = None
    reason: str = ""


def read(output: bytes) -> list[Told]:
    """The runs whose start is among the journal's JSON lines, in the order of their starts."""
    runs: dict[str, Told] = {}
    for entry in _entries(output):
        kind, key = entry.get("MESSAGE_ID"), str(entry.get("INVOCATION_ID", ""))
        at, unit = int(entry.get("__REALTIME_TIMESTAMP", 0)), str(entry.get("UNIT", ""))
        known = timer_units.parse(unit) if unit.endswith(".service") else None
        if kind == STARTING and key and known is not None:
            runs[key] = Told(key, unit, known[2], at)
        elif key in runs:
            _note(runs[key], kind, at, entry)
    return list(runs.values())


def _note(run: Told, kind: object, at: int, entry: Mapping[str, Any]) -> None:
    if kind == EXITED:
        status = int(entry.get("EXIT_STATUS", 0))
        run.exit_status = status if entry.get("EXIT_CODE") == "exited" else -status
    elif kind == SUCCEEDED:
        run.ended, run.exit_status = at, 0
    elif kind == FAILED:
        run.ended, run.reason = at, _reason(str(entry.get("UNIT_RESULT", "")), run.exit_status)


def _reason(result: str, status: int | None) -> str:
    if result == "timeout":
        return "took longer than it may, and was ended"
    if result == "oom-kill":
        return "out of memory"
    return describe_end(status) if status is not None else "could not be started"


def _entries(output: bytes) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry
