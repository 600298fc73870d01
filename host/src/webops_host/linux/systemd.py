"""systemctl and journalctl as commands, and what they print as values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from webops_host import runner
from webops_host.command import Command

ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "MainPID", "ExecMainCode", "ExecMainStatus", "NRestarts",
    "MemoryCurrent", "CPUUsageNSec", "StateChangeTimestamp", "ControlGroup", "Job", "NeedDaemonReload",
)  # fmt: skip
LINES = "MESSAGE,_SYSTEMD_UNIT,UNIT"
NOBODY = "wo-nobody.service"  # journalctl fails when no unit has a name that it was given patterns of
KILLED, DUMPED = "2", "3"  # CLD_KILLED and CLD_DUMPED of waitid(2)


@dataclass(frozen=True, slots=True)
class Shown:
    """A unit as systemd sees it now. `waits`: something is still to be done with it. `outdated`: it remembers files of
    this name that were others."""

    unit: str
    load: str
    active: str
    sub: str
    result: str
    pid: int
    exit_status: int | None
    restarts: int
    memory_bytes: int
    cpu_seconds: float
    since: float
    cgroup: str
    waits: bool = False
    outdated: bool = False


def systemctl(*words: str, timeout: float = 90.0) -> Command:
    return Command(("/usr/bin/systemctl", "--no-ask-password", *words), env=ENV, timeout=timeout)


def show(units: Iterable[str]) -> dict[str, Shown]:
    """Each unit by its name; one that is not there has the load state `not-found`."""
    names = sorted(set(units))
    if not names:
        return {}
    command = systemctl("show", "--timestamp=unix", f"--property={','.join(PROPERTIES)}", "--", *names)
    output = runner.run_binary(command).decode(errors="replace")
    found = [_shown(dict(_pairs(block))) for block in output.strip().split("\n\n")]
    return {shown.unit: shown for shown in found}


def _pairs(block: str) -> Iterator[tuple[str, str]]:
    for line in block.splitlines():
        key, _, value = line.partition("=")
        yield key, value


def _shown(data: Mapping[str, str]) -> Shown:
    status = data.get("ExecMainStatus", "0")
    code = data.get("ExecMainCode", "0")
    exit_status = None if code == "0" else -int(status) if code in (KILLED, DUMPED) else int(status)
    return Shown(
        unit=data.get("Id", ""),
        load=data.get("LoadState", ""),
        active=data.get("ActiveState", ""),
        sub=data.get("SubState", ""),
        result=data.get("Result", ""),
        pid=_number(data.get("MainPID", "")),
        exit_status=exit_status,
        restarts=_number(data.get("NRestarts", "")),
        memory_bytes=_number(data.get("MemoryCurrent", "")),
        cpu_seconds=_number(data.get("CPUUsageNSec", "")) / 1e9,
        since=float(_number(data.get("StateChangeTimestamp", "").lstrip("@"))),
        cgroup=data.get("ControlGroup", ""),
        waits=_number(data.get("Job", "")) > 0,
        outdated=data.get("NeedDaemonReload") == "yes",
    )


def _number(text: str) -> int:
    """Zero for what systemd does not know: `[not set]`, or the largest number there is."""
    return int(text) if text.isdigit() and len(text) < 19 else 0


def journal(
    *units: str, after: int, limit: int, before: int = 0, fields: str = LINES, only: Iterable[str] = ()
) -> Command:
    """What units printed, and systemd of them, since a time in microseconds (and until another), as JSON lines: all, or
    with a `limit` the last of them. `only` are matches such as `_PID=1`."""
    words = (
        "--quiet",
        "--no-pager",
        "--output=json",
        f"--output-fields={fields}",
        *(f"--unit={u}" for u in (*units, NOBODY)),
    )
    until = (f"--until={_moment(before)}",) if before else ()
    place = (f"--since={_moment(after)}", *until, *((f"--lines={limit}",) if limit else ()))
    return Command(("/usr/bin/journalctl", *words, *place, *only), env=ENV, timeout=30.0)


def _moment(microseconds: int) -> str:
    return f"@{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


def entries(output: bytes) -> Iterator[tuple[int, str, str]]:
    """Microseconds, unit and text of each line of a journal. Text that is not UTF-8 comes as a list of bytes."""
    for line in output.splitlines():
        try:
            data = json.loads(line)
        except ValueError:
            continue
        message = data.get("MESSAGE")
        shown = bytes(message).decode(errors="replace") if isinstance(message, list) else str(message or "")
        yield int(data.get("__REALTIME_TIMESTAMP", 0)), str(data.get("UNIT") or data.get("_SYSTEMD_UNIT", "")), shown
