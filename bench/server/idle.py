"""What the platform takes at rest, with 100 deployments: memory by process, processor time."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from bench import report
from bench.server.ground import Ground

DEPLOYMENTS = 100

LOOK = """
import json, pathlib
found, slice_ = [], "webops-platform.slice"
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if slice_ not in (folder / "cgroup").read_text():
            continue
        rolled = dict(line.split(":", 1) for line in (folder / "smaps_rollup").read_text().splitlines()[1:])
        words = (folder / "cmdline").read_bytes().replace(b"\\0", b" ").decode(errors="replace").strip()
        unit = (folder / "cgroup").read_text().strip().rpartition("/")[2]
        found.append({"unit": unit, "words": words, "pss": int(rolled["Pss"].split()[0])})
    except (OSError, KeyError):
        continue
groups = pathlib.Path("/sys/fs/cgroup")
usage = [path for path in groups.rglob("cpuacct.usage") if path.parent.name == slice_]
stat = [path for path in groups.rglob("cpu.stat") if path.parent.name == slice_]
if usage:
    used = int(usage[0].read_text()) / 1e9
else:
    used = int(stat[0].read_text().split()[1]) / 1e6
print(json.dumps({"processes": found, "cpu": used}))
"""
APPS = "systemctl list-units --plain --no-legend 'wo-*.service' | wc -l"


def run(ground: Ground, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """`rounds` minutes, after as many as hostd and pgd need to end. Nobody asks anything meanwhile."""
    count = _filled(ground, say)
    time.sleep(75)
    before, began = ground.ask(LOOK), time.monotonic()
    time.sleep(60 * rounds)
    after, seconds = ground.ask(LOOK), time.monotonic() - began
    apps = int(ground.server.run(APPS).stdout)
    say(f"looked for {seconds:.0f} s")
    return {
        "processes": after["processes"],
        "ms_a_second": (after["cpu"] - before["cpu"]) * 1000 / seconds,
        "apps": apps,
        "deployments": count,
    }


def _filled(ground: Ground, say: Callable[[str], None]) -> int:
    """How many deployments there are, once small sites have been added to those that earlier parts left."""
    ground.repository("bench/rest").commit({"index.html": "<p>At rest.</p>\n"}, "A page")
    there = {row["name"] for row in ground.client.call("GET", "deployments")["items"]}
    wanted = [f"bench-rest-{number}" for number in range(1, DEPLOYMENTS + 1)]
    added = [name for name in wanted if name not in there][: max(0, DEPLOYMENTS - len(there))]
    for name in added:
        ground.client.create(name, ground.git.url("bench/rest"))
    for name in there.intersection(wanted).union(added):
        if ground.client.over(name, 1)["state"] not in ("live", "retired"):
            ground.created(name, "bench/rest")
    say(f"{len(added)} deployments added")
    return len(there) + len(added)


def shown(found: dict[str, Any]) -> str:
    parts: dict[str, int] = defaultdict(int)
    for one in found["processes"]:
        parts[one["unit"]] += one["pss"]
    rows = [(unit, f"{size / 1024:.1f}") for unit, size in sorted(parts.items(), key=lambda part: -part[1])]
    rows.append(("**all of it**", f"**{sum(parts.values()) / 1024:.1f}**"))
    return (
        f"{report.table(('unit', 'PSS, MiB'), rows)}\n\n"
        f"Processor time of the slice: {found['ms_a_second']:.1f} ms a second, with {found['deployments']} "
        f"deployments and {found['apps']} processes of theirs beside it.\n"
    )
