"""A release while 10, 100 and 1,000 sites are configured, and what it made nginx and systemd read again."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from typing import Any

from bench import report, samples
from bench.server.ground import Ground, Sample
from bench.stats import ratio

COUNTS = (10, 100, 1000)
FILL = """
import json
from pathlib import Path
from webops_host.linux import platform
from webops_host.linux.layout import ServerLayout
from webops_host.linux.people import People
from webops_host.linux.sites import LinuxSites, Record
from webops_host.names import DeploymentName
from webops_host.values import Site
class Nothing:
    def installed(self, name): return ()
    def serves(self, ref): return False
wanted, layout = int(sys.argv[1]), ServerLayout()
sites = LinuxSites(layout, platform.read(), Nothing())
names = [DeploymentName(f"filler-{number}") for number in range(1, max(wanted, 1000) + 1)]
texts = {}
with sites._locked():
    for number, name in enumerate(names, 1):
        if number <= wanted:
            record = Record(Site(name, 1))
            sites._keep(name, record)
            texts[name] = sites._text(name, record)
        elif layout.nginx_site(name).exists():
            layout.site_record(name).unlink(missing_ok=True)
            texts[name] = None
    sites._swap(texts)
people = People(layout.state / "registry.json")
registry = people._read()
for number, name in enumerate(names, 1):
    registry = registry.with_user(name) if number <= wanted else registry.without(name)
people._keep(registry)
print(json.dumps(len(list(layout.nginx_sites.glob("*.conf")))))
"""
WORKERS = "pgrep -P $(cat /run/nginx.pid) | sort | tr '\\n' ' '"
READ = "journalctl -q -o cat _PID=1 --grep '^Reloading' --since @{since} | wc -l"


def run(ground: Ground, rounds: int, say: Callable[[str], None], counts: tuple[int, ...] = COUNTS) -> dict[str, Any]:
    shop = samples.Shop(ground.repository("bench/many"), "many")
    ground.created("bench-many", "bench/many")
    found: dict[int, list[Sample]] = {count: [] for count in counts}
    nginx = systemd = 0
    try:
        for number in range(rounds):
            for count in counts if number % 2 == 0 else reversed(counts):
                ground.ask(FILL, str(count), timeout=600)
                ground.timed("bench-many", shop.change_code(), lambda: ground.client.deploy("bench-many"))  # settled
                workers, since = ground.server.run(WORKERS).stdout, ground.server.run("date +%s.%N").stdout.strip()
                sample = ground.timed("bench-many", shop.change_code(), lambda: ground.client.deploy("bench-many"))
                nginx += ground.server.run(WORKERS).stdout != workers
                systemd += int(ground.server.run(READ.format(since=since)).stdout)
                found[count].append(sample)
                say(f"round {number + 1}, {count} sites: {sample.seconds:.2f} s")
    finally:
        ground.ask(FILL, "0", timeout=600)
    return {"samples": found, "nginx reloads": nginx, "daemon-reloads": systemd}


def shown(found: dict[str, Any]) -> str:
    lanes = {count: [one.seconds for one in samples] for count, samples in found["samples"].items()}
    cpu = {count: [one.cpu for one in samples] for count, samples in found["samples"].items()}
    few = min(lanes)
    rows = [
        (
            f"{count:,}",
            f"{median(lane) * 1000:,.0f}",
            str(ratio(lane, lanes[few])),
            f"{median(cpu[count]) * 1000:,.0f}",
            str(ratio(cpu[count], cpu[few])),
        )
        for count, lane in lanes.items()
    ]
    slope = math.log(median(lanes[max(lanes)]) / median(lanes[few])) / math.log(max(lanes) / few)
    head = ("sites", "release of code, ms", f"of that with {few}", "CPU of the server, ms", f"of that with {few}")
    return (
        f"{report.table(head, rows)}\n\n"
        f"Slope in log–log: {slope:.3f}. During those releases nginx was reloaded {found['nginx reloads']} times and "
        f"systemd read its files anew {found['daemon-reloads']} times.\n"
    )
