"""From the request for a release to the first step of it running."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bench import report, samples
from bench.server.ground import Ground
from bench.stats import percentile

QUERY = """
select extract(epoch from s.started_at) - extract(epoch from r.created_at), extract(epoch from s.started_at)
from release_steps s join releases r on r.id = s.release_id join deployments d on d.id = r.deployment_id
where d.name = 'bench-click' and r.number = {number} and s.position = 0
"""


def run(ground: Ground, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    site = samples.StaticSite(ground.repository("bench/click"), "click")
    ground.created("bench-click", "bench/click")
    queued, clicked = [], []
    for _ in range(rounds):
        site.change_page()
        at = time.time()
        number = ground.client.deploy("bench-click")
        ground.client.over("bench-click", number)
        text = QUERY.format(number=number)
        said = ground.server.run(("psql", "-AtF", " ", "-d", "webops", "-c", text), user="postgres").stdout.split()
        queued.append(float(said[0]))
        clicked.append(float(said[1]) - at)
    say(f"{rounds} releases asked for")
    return {"queued": queued, "clicked": clicked}


def shown(found: dict[str, Any]) -> str:
    names = {"queued": "from the row to the step", "clicked": "from the visitor's request to the step"}
    rows = [
        (names[key], *(f"{percentile(lane, share) * 1000:.0f}" for share in (0.5, 0.95, 1.0)))
        for key, lane in found.items()
    ]
    return f"{report.table(('time', 'p50 ms', 'p95 ms', 'longest ms'), rows)}\n"
