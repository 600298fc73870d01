"""Medians, their ratio with a bootstrap interval, percentiles. The random numbers are seeded: the same samples give
the same interval."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

RESAMPLES = 4000
SEED = 20_261_123


@dataclass(frozen=True, slots=True)
class Spread:
    """What a list of samples comes to."""

    count: int
    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two medians, and where it lies in 95 of 100 resamples."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f})"


def spread(samples: Sequence[float]) -> Spread:
    return Spread(len(samples), median(samples), min(samples), max(samples))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Median of the one over median of the other."""
    dice = random.Random(SEED)
    found = sorted(
        median(dice.choices(ours, k=len(ours))) / median(dice.choices(theirs, k=len(theirs))) for _ in range(RESAMPLES)
    )
    return Ratio(median(ours) / median(theirs), found[int(0.025 * RESAMPLES)], found[int(0.975 * RESAMPLES)])


def percentile(samples: Sequence[float], share: float) -> float:
    """The sample that `share` of all do not exceed (nearest rank); NaN of none."""
    if not samples:
        return math.nan
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
