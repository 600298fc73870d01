"""The six cases, each as lanes that alternate: ours twice (the A/A pair), the floor, and for one case a slowed app.

The order of the lanes is turned by one from round to round. What fails is kept as a sample with its reason.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench.children import Failed
from bench.sides import Floor, Ours, Sample
from bench.world import World

PAUSE = 0.3  # seconds between samples
SLOWED_BY = 0.3
A, B, FLOOR, SLOWED = "ours", "ours again", "floor", "ours slowed"
APP, SITE = "shop", "site"


@dataclass(frozen=True)
class Case:
    """`aim` is the highest ratio of ours to the floor, or to ours of the case `against`."""

    key: str
    title: str
    aim: float
    against: str = ""
    limit: float | None = None  # seconds that ours may take at most


CASES = {
    case.key: case
    for case in (
        Case("first", "First deploy, nothing cached", 1.2),
        Case("second", "Second deployment, same lock", 0.2, against="first"),
        Case("code", "Redeploy, only code changed", 1.25, limit=1.0),
        Case("migration", "Redeploy with a migration", 1.3),
        Case("static", "Static redeploy, 11 MB, one page changed", 1.5),
        Case("rollback", "Rollback", 1.1),
    )
}
Lanes = dict[str, Callable[[], Sample]]
Samples = dict[str, list[Sample]]


@dataclass
class Bout:
    """All samples of one run, by case and lane. `logs`: the ends of the platform's, after a case with failures."""

    rounds: dict[str, int]
    samples: dict[str, Samples] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)


def run(world: World, wanted: tuple[str, ...], rounds: int, say: Callable[[str], None]) -> Bout:
    """Measure the wanted cases. Raises Failed when there is nothing to compare."""
    bout = Bout({key: min(rounds, 3) if key == "first" else rounds for key in wanted})
    ours = Ours(world)
    floor = _warmed(world, ours, say)
    for key, lanes in _lanes(ours, floor):
        if key in wanted:
            bout.samples[key] = _alternate(key, lanes, bout.rounds[key], say)
            if any(sample.failed for lane in bout.samples[key].values() for sample in lane):
                bout.logs[key] = world.platform.logs()
            _same_ground(ours, floor, key)
    return bout


def _warmed(world: World, ours: Ours, say: Callable[[str], None]) -> Floor:
    """One deployment that is not counted: it reads every file once, and shows which interpreter the platform takes."""
    say("warming up")
    ours.new_app("warm-up")
    floor = Floor(world, world.platform.interpreter())
    floor.new_app("warm-up")
    if ours.about("warm-up") != floor.about("warm-up"):
        raise Failed(f"The sides run different things: {ours.about('warm-up')}, {floor.about('warm-up')}")
    ours.remove("warm-up")
    floor.remove("warm-up")
    return floor


def _lanes(ours: Ours, floor: Floor) -> Iterator[tuple[str, Lanes]]:
    """Each case with its lanes, in an order that leaves every case the state it needs."""
    yield "first", _new(ours, floor, wiped=True)
    for side in (ours, floor):
        side.new_app(APP)
        side.new_site(SITE)
    yield "second", _new(ours, floor, wiped=False)
    yield (
        "code",
        {
            A: lambda: ours.redeploy(APP, ours.shop.change_code()),
            FLOOR: lambda: floor.redeploy(APP, floor.shop.change_code(), []),
            B: lambda: ours.redeploy(APP, ours.shop.change_code()),
            SLOWED: lambda: ours.redeploy(APP, ours.shop.slow_down(SLOWED_BY)),
        },
    )
    yield (
        "migration",
        {
            A: lambda: ours.redeploy(APP, ours.shop.add_migration()),
            FLOOR: lambda: floor.redeploy(APP, floor.shop.add_migration(), ["migrate"]),
            B: lambda: ours.redeploy(APP, ours.shop.add_migration()),
        },
    )
    yield (
        "static",
        {
            A: lambda: _site(ours),
            FLOOR: lambda: floor.redeploy_site(SITE, floor.site.change_page()),
            B: lambda: _site(ours),
        },
    )
    for _ in range(2):
        ours.redeploy(APP, ours.shop.change_code())
        floor.redeploy(APP, floor.shop.change_code(), [])
    rollback: Lanes = {A: lambda: ours.rollback(APP), FLOOR: lambda: floor.rollback(APP), B: lambda: ours.rollback(APP)}
    yield "rollback", rollback


def _new(ours: Ours, floor: Floor, *, wiped: bool) -> Lanes:
    """A deployment that did not exist; gone again after its sample."""

    names = (f"fresh-{number}" for number in itertools.count(1))

    def lane(side: Ours | Floor) -> Callable[[], Sample]:
        def once() -> Sample:
            name = next(names)
            if wiped:
                side.wipe()
            try:
                return side.new_app(name)
            finally:
                side.remove(name)

        return once

    return {A: lane(ours), FLOOR: lane(floor), B: lane(ours)}


def _site(ours: Ours) -> Sample:
    sample = ours.redeploy_site(SITE, ours.site.change_page())
    ours.check_site(SITE)
    return sample


def _alternate(key: str, lanes: Lanes, rounds: int, say: Callable[[str], None]) -> Samples:
    found: Samples = {name: [] for name in lanes}
    names = list(lanes)
    for turn in range(rounds):
        order = names[turn % len(names) :] + names[: turn % len(names)]
        for name in order:
            time.sleep(PAUSE)
            try:
                sample = lanes[name]()
            except Failed as failure:
                sample = Sample("", failed=str(failure))
            found[name].append(sample)
        said = ", ".join(f"{name} {_brief(found[name][-1])}" for name in names)
        say(f"{CASES[key].title}, round {turn + 1} of {rounds}: {said}")
    return found


def _brief(sample: Sample) -> str:
    return f"failed ({sample.failed[:200]})" if sample.failed else f"{sample.seconds:.3f} s"


def _same_ground(ours: Ours, floor: Floor, key: str) -> None:
    """Both sides still run the same programs, and only what must run, runs."""
    if key == "first":
        return
    if ours.about(APP) != floor.about(APP):
        raise Failed(f"The sides run different things: {ours.about(APP)}, {floor.about(APP)}")
    if len(ours.platform.servers(APP)) != 1:
        raise Failed(f"The platform runs {len(ours.platform.servers(APP))} web servers for one deployment.")
