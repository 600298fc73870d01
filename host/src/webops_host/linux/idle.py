"""Puts to sleep what nobody visits: a unit that asked for it is stopped, its socket stays, and the next visitor starts
it again. Run every minute, as root, by a timer, while there is anything that may sleep.

When a site was last visited is read from the web server's own log, from where the last run stopped reading.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from webops_host import codec, files, runner
from webops_host.linux import connections, platform, systemd, units
from webops_host.linux.layout import ServerLayout
from webops_host.linux.sites import Record
from webops_host.names import DeploymentName
from webops_host.values import UnitRef

LOG = Path("/var/log/nginx/webops.log")
LARGEST = 64 << 20  # bytes of the log that are read at once; what is older says nothing about now
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


def read_visits(log: Path, seen: Seen) -> Seen:
    """What the log says that was not read yet. A log that was begun anew is read from its start."""
    try:
        state = log.stat()
    except OSError:
        return seen
    same = state.st_ino == seen.inode and state.st_size >= seen.offset
    start = max(seen.offset if same else 0, state.st_size - LARGEST)
    with log.open("rb") as file:
        file.seek(start)
        text = file.read()
    whole = text[: text.rfind(b"\n") + 1]
    visits = dict(seen.visits)
    for line in whole.decode(errors="replace").splitlines():
        at, _, rest = line.partition(" ")
        host = rest.partition(" ")[0]
        try:
            visits[host] = datetime.fromisoformat(at).timestamp()
        except ValueError:
            continue
    return Seen(state.st_ino, start + len(whole), visits)


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


def tired(sleeper: Sleeper, shown: systemd.Shown, visits: Mapping[str, float], own: str, now: float) -> bool:
    """Whether it runs, has run for a while, and nobody came for as long as was asked."""
    last = max((visits.get(name, 0.0) for name in (own, *sleeper.names)), default=0.0)
    return shown.active == "active" and now - max(last, shown.since) > 60 * sleeper.minutes


def put_to_sleep(layout: ServerLayout, domain: str, found: Iterable[Sleeper], seen: Seen, now: float) -> list[UnitRef]:
    """Stop those that nobody visits or is connected to; which."""
    service = {sleeper: f"{units.name_of(sleeper.ref)}.service" for sleeper in found}
    shown = systemd.show(service.values())
    done = []
    for sleeper, unit in service.items():
        own = f"{sleeper.ref.name}.{domain}"
        is_tired = unit in shown and tired(sleeper, shown[unit], seen.visits, own, now)
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
    seen = read_visits(log, before)
    files.write_whole(record, json.dumps(codec.dump(seen)).encode())
    return put_to_sleep(layout, domain, found, seen, time.time())
