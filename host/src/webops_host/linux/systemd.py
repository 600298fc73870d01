"""systemctl and journalctl as commands, and what they print as values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from webops_host import runner
from webops_host.command import Command

ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "MainPID", "ExecMainCode", "ExecMainStatus", "NRestarts",
    "MemoryCurrent", "CPUUsageNSec", "StateChangeTimestamp", "ControlGroup", "Job", "NeedDaemonReload",
)  # fmt: skip
JOURNALCTL = "/usr/bin/journalctl"
LINES = "MESSAGE,_SYSTEMD_UNIT,UNIT"
PRINTED = ("_TRANSPORT=stdout", "_TRANSPORT=syslog")
"""What a program printed or logged: lines of a length that systemd limits."""
LONGEST, MOST_TEXT = 16 << 10, 4 << 20  # characters that are kept of a line, and of all that are read at once
NOBODY = "wo-nobody.service"  # journalctl fails when no unit has a name that it was given patterns of
KILLED, DUMPED = "2", "3"  # CLD_KILLED and CLD_DUMPED of waitid(2)


Entry = tuple[int, str, str]


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
    *units: str,
    after: int,
    limit: int = 0,
    before: int = 0,
    fields: str = LINES,
    only: Iterable[str] = (),
    newest_first: bool = False,
) -> Command:
    """What units printed, and systemd of them, since a time in microseconds (and until another), as JSON lines: all, or
    with a `limit` the last of them. `only` are matches such as `_PID=1`.

    Fields come whole (`--all`: else a long one is left out), so let `only` keep away what a program may make as large
    as it likes: what it tells the journal itself.
    """
    words = (
        "--quiet",
        "--no-pager",
        "--all",
        "--output=json",
        f"--output-fields={fields}",
        *(f"--unit={u}" for u in (*units, NOBODY)),
        *(("--reverse",) if newest_first else ()),
    )
    until = (f"--until={_moment(before)}",) if before else ()
    place = (f"--since={_moment(after)}", *until, *((f"--lines={limit}",) if limit else ()))
    return Command((JOURNALCTL, *words, *place, *only), env=ENV, timeout=30.0)


def _moment(microseconds: int) -> str:
    return f"@{microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


def entries(output: bytes) -> Iterator[Entry]:
    """Microseconds, unit and text of each line of a journal."""
    return filter(None, map(_entry, output.splitlines()))


def first_entries(command: Command, limit: int, *, after: int) -> list[Entry]:
    """The first of a journal's entries after a time, without reading the others. Raises CommandFailed."""
    first = _First(limit, after)
    with suppress(_Enough):
        ended = runner.stream(command, first.feed)
        if ended.status != 0:
            raise runner.failed(command, ended)
    return first.entries


class _Enough(Exception):
    """What was wanted is there."""


class _First:
    """Takes entries from chunks until there are as many, or as much text, as one answer may hold."""

    def __init__(self, limit: int, after: int) -> None:
        self.entries: list[Entry] = []
        self._limit, self._after = limit, after
        self._room, self._rest = MOST_TEXT, b""

    def feed(self, chunk: bytes) -> None:
        whole, _, self._rest = (self._rest + chunk).rpartition(b"\n")
        for entry in entries(whole):
            if entry[0] > self._after:
                self.entries.append(entry)
                self._room -= len(entry[2])
                if len(self.entries) >= self._limit or self._room <= 0:
                    raise _Enough


def _entry(line: bytes) -> Entry | None:
    try:
        data = json.loads(line)
        at, unit = int(data["__REALTIME_TIMESTAMP"]), data.get("UNIT") or data.get("_SYSTEMD_UNIT", "")
    except (ValueError, TypeError, KeyError):
        return None
    text = _text(data.get("MESSAGE"))
    more = f" … ({len(text) - LONGEST} more characters)" if len(text) > LONGEST else ""
    return at, str(unit), text[:LONGEST] + more


def _text(value: object) -> str:
    """A field as systemd writes it in JSON: text, its bytes when it is not UTF-8, or several of these when it was given
    more than once. Anything else says nothing."""
    if not isinstance(value, list):
        return value if isinstance(value, str) else ""
    with suppress(TypeError, ValueError):
        return bytes(value).decode(errors="replace")
    return " ".join(filter(None, map(_text, value)))
