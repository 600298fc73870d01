"""Releases on a server, each against the plain script on the same server, turn by turn: code alone, with a migration,
back, a second app with the same lock, a static site; ours twice, and once with an app that was made slower."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

from bench import report, samples
from bench.children import Failed
from bench.server.ground import Ground, Sample
from bench.server.plain import BOTH, Plain
from bench.stats import ratio, spread

OURS, AGAIN, FLOOR, SLOWED = "ours", "ours again", "floor", "ours slowed"
AIMS = {"code": 1.25, "migration": 1.3, "rollback": 1.1, "static": 1.5}
"""Of the floor. A second app with the same lock is held against our first deploy: at most 0.2 of it."""
SECOND = "second app"
SECOND_AIM = 0.2
NOISE = 0.1  # by how much ours may differ from ours
SLOWED_BY = 0.3
SHOP, SITE = "bench-shop", "bench-site"
Lanes = dict[str, Callable[[], Sample]]


class Ours:
    """The platform, over its API and the sites' public names."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self._client = ground, ground.client
        self.shop = samples.Shop(ground.repository("bench/shop"), "shop")
        self.site = samples.StaticSite(ground.repository("bench/site"), "site")

    def new(self, name: str) -> Sample:
        url = self.ground.git.url("bench/shop")

        def make() -> int:
            self._client.create(name, url)
            return 1

        return self.ground.timed(self.ground.fresh(name), self.shop.change_code(), make)

    def release(self, marker: str) -> Sample:
        return self.ground.timed(SHOP, marker, lambda: self._client.deploy(SHOP))

    def back(self) -> Sample:
        """To the first of three releases of code: what it holds is still on disk, as the floor's is."""
        marker = self.shop.change_code()
        first = self._client.deploy(SHOP)
        self._client.over(SHOP, first)
        for _ in range(2):
            self.shop.change_code()
            self._client.over(SHOP, self._client.deploy(SHOP))
        return self.ground.timed(SHOP, marker, lambda: self._client.rollback(SHOP, first))

    def static(self) -> Sample:
        marker = self.site.change_page()
        return self.ground.timed(SITE, marker, lambda: self._client.deploy(SITE), "/")


def run(ground: Ground, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    ours = Ours(ground)
    with Plain(ground) as floor:
        first = {OURS: ours.new(SHOP), FLOOR: floor.release(SHOP, floor.shop.change_code(), *BOTH)}
        say(f"first deploy: {first[OURS].seconds:.2f} s, floor {first[FLOOR].seconds:.2f} s")
        about = ground.about(SHOP)
        if about != floor.about(SHOP):
            raise Failed(f"The sides run different things: {about}, {floor.about(SHOP)}")
        ground.created(SITE, "bench/site")
        floor.static(floor.site.change_page())
        cases = _cases(ours, floor)
        found: dict[str, dict[str, list[Sample]]] = {case: {lane: [] for lane in cases[case]} for case in cases}
        for number in range(rounds):
            for case, lanes in cases.items():
                order = list(lanes)
                for lane in (*order[number % len(order) :], *order[: number % len(order)]):
                    found[case][lane].append(lanes[lane]())
                said = ", ".join(f"{lane} {found[case][lane][-1].seconds:.2f} s" for lane in order)
                say(f"round {number + 1}, {case}: {said}")
    return {"first": first, "about": about, "samples": found}


def _cases(ours: Ours, floor: Plain) -> dict[str, Lanes]:
    def second() -> Sample:
        floor.remove("second")
        return floor.release("second", floor.shop.change_code(), *BOTH)

    def back() -> Sample:
        for _ in range(3):
            floor.release(SHOP, floor.shop.change_code())
        return floor.back(SHOP)

    return {
        "code": {
            OURS: lambda: ours.release(ours.shop.change_code()),
            FLOOR: lambda: floor.release(SHOP, floor.shop.change_code()),
            AGAIN: lambda: ours.release(ours.shop.change_code()),
            SLOWED: lambda: ours.release(ours.shop.slow_down(SLOWED_BY)),
        },
        "migration": {
            OURS: lambda: ours.release(ours.shop.add_migration()),
            FLOOR: lambda: floor.release(SHOP, floor.shop.add_migration(), "migrate"),
        },
        "rollback": {OURS: ours.back, FLOOR: back},
        SECOND: {OURS: lambda: ours.new("bench-second"), FLOOR: second},
        "static": {OURS: ours.static, FLOOR: lambda: floor.static(floor.site.change_page())},
    }


# --- what it comes to ----------------------------------------------------------------------------------------------


def shown(found: dict[str, Any]) -> str:
    cases: dict[str, dict[str, list[Sample]]] = found["samples"]
    first: dict[str, Sample] = found["first"]
    rows = [_row(case, lanes, first[OURS].seconds) for case, lanes in cases.items()]
    code = {lane: [sample.seconds for sample in samples] for lane, samples in cases["code"].items()}
    same, planted = ratio(code[OURS], code[AGAIN]), median(code[SLOWED]) - median(code[OURS] + code[AGAIN])
    judged = "" if abs(same.value - 1) <= NOISE else " **Void: the noise is larger than what is to be seen.**"
    judged += "" if planted > SLOWED_BY / 2 else " **Void: the planted 300 ms were not seen.**"
    head = ("release", "ours, ms", "floor, ms", "CPU, ours / floor", "ours / floor", "aim", "where the time goes, ms")
    return (
        f"{report.table(head, rows)}\n\nFirst deploy, with what it has to fetch: {first[OURS].seconds:.1f} s, floor "
        f"{first[FLOOR].seconds:.1f} s. Ours to ours: {same}. 300 ms that were planted were seen as "
        f"{planted * 1000:.0f}.{judged}\n"
    )


def _row(case: str, lanes: dict[str, list[Sample]], first: float) -> tuple[str, ...]:
    seconds = {lane: [sample.seconds for sample in samples] for lane, samples in lanes.items()}
    cpu = {lane: median(sample.cpu for sample in lanes[lane]) for lane in (OURS, FLOOR)}
    if case == SECOND:
        value, aim = median(seconds[OURS]) / first, SECOND_AIM
        told, of = f"{ratio(seconds[OURS], seconds[FLOOR])}; {value:.2f} of our first", " of our first"
    else:
        found, aim, of = ratio(seconds[OURS], seconds[FLOOR]), AIMS[case], ""
        value, told = found.value, str(found)
    return (
        case,
        _milliseconds(seconds[OURS]),
        _milliseconds(seconds[FLOOR]),
        f"{cpu[OURS] * 1000:,.0f} / {cpu[FLOOR] * 1000:,.0f}",
        told,
        f"≤ {aim:g}{of}: {'met' if value <= aim else 'missed'}",
        f"{_parts(lanes[OURS])}; floor: {_parts(lanes[FLOOR])}",
    )


def _milliseconds(seconds: list[float]) -> str:
    one = spread(seconds)
    return f"**{one.middle * 1000:,.0f}** ({one.low * 1000:,.0f}–{one.high * 1000:,.0f})"


def _parts(lane: list[Sample]) -> str:
    names = dict.fromkeys(name for sample in lane for name in sample.parts)
    middle = {name: median(sample.parts.get(name, 0.0) for sample in lane) * 1000 for name in names}
    return ", ".join(f"{name} {taken:.0f}" for name, taken in middle.items() if taken >= 1)
