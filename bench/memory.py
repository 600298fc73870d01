"""How much memory the platform takes when it rests, with a Django app and a static site deployed.

Memory is PSS, the sum over processes in which shared pages count by their share. Of panel and worker together, with
whatever they started; the host's daemon and the supervisor beside them; what is hosted is not the platform's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from bench import children, report
from bench.sides import Ours
from bench.world import World

AIM_MIB = 150.0


@dataclass(frozen=True)
class Part:
    name: str
    processes: int
    pss: float
    private: float
    rss: float
    idle_cpu_percent: float


def measure(world: World, *, settle: float) -> list[Part]:
    """The parts after `settle` seconds of rest, and what they did with the CPU meanwhile."""
    ours = Ours(world)
    ours.new_app("shop")
    ours.new_site("site")
    ours.redeploy("shop", ours.shop.change_code())
    names = ("panel", "worker", "host", "supervisor")
    time.sleep(settle / 3)
    pids = {name: world.platform.pid(name) for name in names}
    before = {name: children.own_cpu(pids[name]) for name in names}
    began = time.monotonic()
    time.sleep(settle)
    seconds = time.monotonic() - began
    return [_part(name, pids[name], (children.own_cpu(pids[name]) - before[name]) / seconds) for name in names]


def shown(parts: list[Part]) -> str:
    rows = [
        (part.name, str(part.processes), f"{part.pss:.1f}", f"{part.private:.1f}", f"{part.idle_cpu_percent:.2f}")
        for part in parts
    ]
    together = sum(part.pss for part in parts if part.name in ("panel", "worker"))
    rows.append(("**panel + worker**", "", f"**{together:.1f}**", "", ""))
    rows.append(("everything", "", f"{sum(part.pss for part in parts):.1f}", "", ""))
    word = "met" if together <= AIM_MIB else "missed"
    head = ("part", "processes", "PSS, MiB", "private, MiB", "CPU at rest, % of a core")
    return f"{report.table(head, rows)}\n\nAim: panel + worker at most {AIM_MIB:g} MiB: {word}.\n"


def _part(name: str, pid: int, cpu: float) -> Part:
    """The process; for panel and worker with everything below it. The host's children are what it hosts, the
    supervisor's are the other parts."""
    pids = [pid]
    if name in ("panel", "worker"):
        pids += [process.pid for process in children.descendants(pid)]
    found = [children.memory(one) for one in pids]
    pss, private, rss = (sum(one[key] for one in found) for key in ("pss", "private", "rss"))
    return Part(name, len(pids), pss, private, rss, 100 * cpu)
