"""Puts to sleep what nobody visits: a unit that asked for it is stopped, its socket stays, and the next visitor starts
it again. Run every minute, as root, by a timer, while there is anything that may sleep.

When a site was last visited is read from the web server's own log, from where the last run stopped reading.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from webops_host import codec, files, runner
from webops_host.linux import connections, platform, systemd, units
from webops_host.linux.layout import ServerLayout
from webops_host.linux.sites import Record
from webops_host.names import DeploymentName
from webops_host.values import UnitRef

LOG = Path("/var/log/nginx/webops.log")
LARGEST = 64 << 20  # bytes of the log that are read in a turn; what is older says nothing about now
LONGEST = 64 << 10  # bytes of a line
WISH = re.compile(rf"^{units.SLEEP}=(\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Seen:
    """Where reading stopped (`inode`, `offset`), and when each name was last visited (Unix time)."""

    inode: int = 0
    offset: int = 0
    visits: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sleeper:
    """A unit that may sleep after `minutes`, and the names that it is visited under."""

    ref: UnitRef
    minutes: int
    names: tuple[str, ...]

    def hosts(self, domain: str) -> tuple[str, ...]:
        """All of its names: its own under the platform's domain first."""
        return (f"{self.ref.name}.{domain}", *self.names)


def read_visits(log: Path, seen: Seen, names: Iterable[str], now: float) -> Seen:
    """What the log says of these names that was not read yet. A log that was begun anew is read from its start, one of
    which nothing is remembered not at all: each name that is new to us counts as visited now."""
    visits = {name: seen.visits.get(name, now) for name in names}
    try:
        state = log.stat()
    except OSError:
        return Seen(seen.inode, seen.offset, visits)
    if not seen.inode:
        return Seen(state.st_ino, state.st_size, visits)
    same = state.st_ino == seen.inode and state.st_size >= seen.offset
    start = max(seen.offset if same else 0, state.st_size - LARGEST)
    with log.open("rb") as file:
        file.seek(start)
        end = _note(file, state.st_size, visits)
    return Seen(state.st_ino, end, visits)


def _note(file: BinaryIO, until: int, visits: dict[str, float]) -> int:
    """Note when each of the names was visited, by lines that begin before `until`; where the last whole one ends."""
    position = file.tell()
    while position < until and (line := file.readline(LONGEST)):
        if len(line) < LONGEST and not line.endswith(b"\n"):
            break  # it is being written
        position += len(line)
        at, host, *_ = (*line.decode(errors="replace").split(" ", 2), "", "")
        if host in visits:
            with suppress(ValueError):
                visits[host] = datetime.fromisoformat(at).timestamp()
    return position


def sleepers(layout: ServerLayout) -> Iterator[Sleeper]:
    """Units whose files say so, and that should be up."""
    for path in sorted(layout.sleepers.glob("wo-*.service")):
        ref = units.parse(path.name)
        try:
            wish = WISH.search((layout.units / path.name).read_text())
        except OSError:
            continue
        if ref is not None and wish is not None and int(wish[1]):
            yield Sleeper(ref, int(wish[1]), _names(layout, ref.name))


def _names(layout: ServerLayout, name: DeploymentName) -> tuple[str, ...]:
    try:
        site = codec.load(Record, json.loads(layout.site_record(name).read_bytes())).site
    except (OSError, ValueError):
        return ()
    return () if site is None else tuple(str(domain) for domain in site.domains)


def tired(sleeper: Sleeper, shown: systemd.Shown, visits: Mapping[str, float], domain: str, now: float) -> bool:
    """Whether it runs, has run for a while, and nobody came for as long as was asked."""
    last = max(visits.get(host, 0.0) for host in sleeper.hosts(domain))
    return shown.active == "active" and now - max(last, shown.since) > 60 * sleeper.minutes


def put_to_sleep(layout: ServerLayout, domain: str, found: Iterable[Sleeper], seen: Seen, now: float) -> list[UnitRef]:
    """Stop those that nobody visits or is connected to; which."""
    service = {sleeper: f"{units.name_of(sleeper.ref)}.service" for sleeper in found}
    shown = systemd.show(service.values())
    done = []
    for sleeper, unit in service.items():
        is_tired = unit in shown and tired(sleeper, shown[unit], seen.visits, domain, now)
        if is_tired and connections.count(layout.socket(sleeper.ref)) == 0:
            runner.run(systemd.systemctl("stop", "--", unit), check=False)
            done.append(sleeper.ref)
    return done


def main() -> int:
    for ref in run(ServerLayout(), platform.read().domain):
        print(f"{ref} sleeps: nobody came")  # noqa: T201
    return 0


def run(layout: ServerLayout, domain: str, log: Path = LOG) -> list[UnitRef]:
    found = list(sleepers(layout))
    if not found:
        return []
    record = layout.run / "idle.json"
    try:
        before = codec.load(Seen, json.loads(record.read_bytes()))
    except (OSError, ValueError):
        before = Seen()
    now = time.time()
    seen = read_visits(log, before, [host for sleeper in found for host in sleeper.hosts(domain)], now)
    files.write_whole(record, json.dumps(codec.dump(seen)).encode())
    return put_to_sleep(layout, domain, found, seen, now)
