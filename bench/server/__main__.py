"""`python -m bench server [PART …] [--rounds N] [--quick]`: one server, installed once, for all parts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tests.server.lab.places import LabError

from bench import downtime, report
from bench.children import Failed
from bench.patient import PatientApp
from bench.server import clicks, idle, many, redeploys, serving, wake
from bench.server.ground import Ground

ROUNDS: dict[str, tuple[ModuleType, int, int]] = {
    "redeploys": (redeploys, 5, 1),
    "serving": (serving, 5, 1),
    "many": (many, 5, 1),
    "wake": (wake, 10, 2),
    "clicks": (clicks, 40, 5),
    "idle": (idle, 5, 1),
}
"""Each part with its rounds, and how many when it is only to be seen that it works."""
PARTS = (*ROUNDS, "downtime")
FULL = downtime.Size(deploys=20, rollbacks=10, failing=5, changes=5, rate=120.0)
QUICK = downtime.Size(deploys=2, rollbacks=1, failing=1, changes=1, rate=60.0)


def main(words: list[str]) -> int:
    options = _options(words)
    good = True
    with Ground() as ground:
        for part in options.part or PARTS:
            say(f"# {part}")
            try:
                before = report.machine()
                found, text, kept = _take(ground, part, options)
                path = report.keep(f"server-{part}", before, found)
                say(f"\n{text}\nRaw samples: {path.name}")
                good &= kept
            except (Failed, LabError, OSError) as failure:
                say(f"{part} broke off: {failure}")
                good = False
    return 0 if good else 1


def say(text: str) -> None:
    print(text, flush=True)


def _take(ground: Ground, part: str, options: argparse.Namespace) -> tuple[Any, str, bool]:
    if part == "downtime":
        story = _promise(ground, QUICK if options.quick else FULL, say)
        return story, downtime.shown([story]), story.kept
    module, full, quick = ROUNDS[part]
    found = module.run(ground, options.rounds or (quick if options.quick else full), say)
    return found, module.shown(found), True


def _promise(ground: Ground, size: downtime.Size, tell: Callable[[str], None]) -> downtime.Story:
    app = PatientApp(ground.repository("bench/patient"))
    ground.created("bench-patient", "bench/patient")
    name, address = "bench-patient", ground.server.address
    return downtime.of_server(ground.client, address, app, ground.url(name), size, tell, name)


def _options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench server", description="Measure the platform on a server.")
    told = f"{', '.join(PARTS)}; all of them when left out"
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], metavar="PART", help=told)  # [] is none given
    parser.add_argument("--rounds", type=int, default=0, help="instead of each part's own number")
    parser.add_argument("--quick", action="store_true", help="only see that each part works")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
