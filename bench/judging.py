"""What the samples say: medians, ratios with their intervals, whether the run counts, whether the aims are met."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from bench.cases import CASES, FLOOR, SLOWED, SLOWED_BY, A, B, Bout, Case
from bench.stats import Ratio, Spread, ratio, spread

SAME = (0.9, 1.1)
"""Where the ratio of ours to ours must lie; otherwise the noise is larger than what is to be seen."""


@dataclass(frozen=True)
class Verdict:
    """One case. `void` says why it does not count; `missed` which aim it misses."""

    case: Case
    ours: Spread
    floor: Spread
    ours_cpu: float
    floor_cpu: float
    ratio: Ratio
    against: Ratio | None
    twice: Ratio
    parts: dict[str, float]
    floor_parts: dict[str, float]
    failures: int
    void: str
    missed: str

    @property
    def word(self) -> str:
        return f"void: {self.void}" if self.void else f"missed: {self.missed}" if self.missed else "met"


def judge(bout: Bout) -> list[Verdict]:
    """A verdict for every case that has samples on both sides."""
    return [_one(bout, key) for key in bout.samples if _seconds(bout, key, A) and _seconds(bout, key, FLOOR)]


def control(bout: Bout) -> tuple[bool, str]:
    """Whether the planted delay was seen as worse, and how it looked."""
    slowed, plain = _seconds(bout, "code", SLOWED), _ours(bout, "code")
    if not slowed or not plain:
        return True, "not part of this run"
    found, more = ratio(slowed, plain), median(slowed) - median(plain)
    seen = found.low > 1.0 and more > SLOWED_BY / 2
    text = f"{SLOWED_BY * 1000:.0f} ms planted in the app were seen as {more * 1000:+.0f} ms, ratio {found}"
    return seen, text


def _one(bout: Bout, key: str) -> Verdict:
    case, ours, floor = CASES[key], _ours(bout, key), _seconds(bout, key, FLOOR)
    twice = ratio(_seconds(bout, key, A), _seconds(bout, key, B) or _seconds(bout, key, A))
    against = ratio(ours, _ours(bout, case.against)) if case.against and _ours(bout, case.against) else None
    found = ratio(ours, floor)
    failures = sum(bool(sample.failed) for lane in bout.samples[key].values() for sample in lane)
    return Verdict(
        case=case,
        ours=spread(ours),
        floor=spread(floor),
        ours_cpu=median(sample.cpu for lane in (A, B) for sample in bout.samples[key][lane] if not sample.failed),
        floor_cpu=median(sample.cpu for sample in bout.samples[key][FLOOR] if not sample.failed),
        ratio=found,
        against=against,
        twice=twice,
        parts=_parts(bout, key, (A, B)),
        floor_parts=_parts(bout, key, (FLOOR,)),
        failures=failures,
        void=_void(twice, failures),
        missed=_missed(case, against if case.against else found, median(ours)),
    )


def _void(twice: Ratio, failures: int) -> str:
    if failures:
        return f"{failures} samples failed"
    if not SAME[0] <= twice.value <= SAME[1]:
        return f"ours against ours is {twice.value:.2f}"
    return ""


def _missed(case: Case, found: Ratio | None, middle: float) -> str:
    misses = []
    if found is not None and found.value > case.aim:
        misses.append(f"{found.value:.2f} is above {case.aim:g}")
    if case.limit is not None and middle > case.limit:
        misses.append(f"{middle:.2f} s is above {case.limit:g} s")
    return ", ".join(misses)


def _parts(bout: Bout, key: str, lanes: tuple[str, ...]) -> dict[str, float]:
    """The median of every part, in the order of the side itself."""
    samples = [sample for lane in lanes for sample in bout.samples[key][lane] if not sample.failed]
    names = list(dict.fromkeys(name for sample in samples for name in sample.parts))
    return {name: median(sample.parts.get(name, 0.0) for sample in samples) for name in names}


def _ours(bout: Bout, key: str) -> list[float]:
    return _seconds(bout, key, A) + _seconds(bout, key, B)


def _seconds(bout: Bout, key: str, lane: str) -> list[float]:
    return [sample.seconds for sample in bout.samples.get(key, {}).get(lane, []) if not sample.failed]
