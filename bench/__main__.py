"""`python -m bench [deploy|memory|downtime] [--rounds N] [--quick]`: all of them without a word.

`python -m bench server …` measures on a booted server instead.
"""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

from bench import cases, downtime, judging, memory, report
from bench.children import Failed
from bench.server.__main__ import main as on_server
from bench.world import World

PARTS = ("deploy", "memory", "downtime")


def main() -> int:
    """0: everything ran, and no promise was broken. Aims of speed are reported and do not count."""
    if sys.argv[1:2] == ["server"]:
        return on_server(sys.argv[2:])
    options = _options()
    signal.signal(signal.SIGTERM, _leave)
    parts = options.part or list(PARTS)
    good = True
    for part in parts:
        say(f"# {part}")
        try:
            with World() as world:
                good &= RUN[part](world, options)
        except Failed as failure:
            say(f"{part} broke off: {failure}")
            good = False
    say("Every part ran and kept its promise." if good else "NOT GOOD: see above.")
    return 0 if good else 1


def say(text: str) -> None:
    print(text, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the platform against its floor.")
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], metavar="PART", help="all of them when left out")
    parser.add_argument("--rounds", type=int, default=5, help="samples per case and side (first deploy: at most 3)")
    parser.add_argument("--case", action="append", choices=list(cases.CASES), help="deploy: only this case")
    parser.add_argument("--quick", action="store_true", help="downtime and memory: few releases, little load")
    return parser.parse_args()


def _deploy(world: World, options: argparse.Namespace) -> bool:
    before = report.machine()
    bout = cases.run(world, tuple(options.case or cases.CASES), options.rounds, say)
    verdicts, (seen, words) = judging.judge(bout), judging.control(bout)
    path = report.keep(
        "deploy", before, {"samples": bout.samples, "verdicts": verdicts, "control": words, "logs": bout.logs}
    )
    say(f"\n{report.deploys(verdicts, seen, words)}\nRaw samples: {path.name}")
    return seen and not any(one.failures for one in verdicts)


def _memory(world: World, options: argparse.Namespace) -> bool:
    before = report.machine()
    found = memory.measure(world, settle=8.0 if options.quick else 30.0)
    path = report.keep("memory", before, found)
    say(f"\n{memory.shown(found)}\nRaw samples: {path.name}")
    return True


def _downtime(world: World, options: argparse.Namespace) -> bool:
    before = report.machine()
    found = downtime.run(world, downtime.QUICK if options.quick else downtime.FULL, say)
    path = report.keep("downtime", before, found)
    say(f"\n{downtime.shown(found)}\nRaw samples: {path.name}")
    return all(one.kept for one in found)


RUN = {"deploy": _deploy, "memory": _memory, "downtime": _downtime}


def _leave(number: int, frame: FrameType | None) -> None:
    """Once: a second signal must not break off the tidying up."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
