"""Schedules in the five fields of crontab(5), in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

MONTHS = {
    n: i
    for i, n in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], start=1)
}
DAYS = {n: i for i, n in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, MONTHS),
    ("day of the week", 0, 7, DAYS),
)
_PART = re.compile(r"(\*|[0-9a-z]+)(?:-([0-9a-z]+))?(?:/([0-9]+))?")
_HORIZON = timedelta(days=366 * 8 + 2)  # 29 February comes back within eight years


class BadSchedule(ValueError):
    """What is wrong with the expression, in one sentence."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A parsed expression. Where both day fields are restricted, either is enough, as in crontab(5)."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def matches(self, moment: datetime) -> bool:
        return moment.minute in self.minutes and moment.hour in self.hours and self.matches_day(moment)

    def matches_day(self, moment: datetime) -> bool:
        if moment.month not in self.months:
            return False
        day = moment.day in self.days
        weekday = moment.isoweekday() % 7 in self.weekdays
        return (day and weekday) if self.any_day or self.any_weekday else (day or weekday)

    def next_after(self, moment: datetime) -> datetime:
        """The first whole minute after the moment that fits. Raises BadSchedule when none ever does."""
        limit = moment + _HORIZON
        now = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        while now <= limit:
            if not self.matches_day(now):
                now = now.replace(hour=0, minute=0) + timedelta(days=1)
            elif now.hour not in self.hours:
                now = now.replace(minute=0) + timedelta(hours=1)
            elif now.minute not in self.minutes:
                now += timedelta(minutes=1)
            else:
                return now
        raise BadSchedule("This schedule never comes: no month has such a day.")


def parse(text: str) -> Schedule:
    """A schedule from “minute hour day month weekday” or a nickname such as @daily. Raises BadSchedule."""
    text = NICKNAMES.get(text.strip().lower(), text.strip().lower())
    words = text.split()
    if text.startswith("@"):
        raise BadSchedule(f"{text} is not known. Use one of {', '.join(NICKNAMES)}.")
    if len(words) != 5 or not text.isascii():
        raise BadSchedule(f"A schedule has five fields, this has {len(words)}: for example “0 3 * * *”.")
    sets = [_field(word, *field) for word, field in zip(words, _FIELDS, strict=True)]
    weekdays = frozenset(day % 7 for day in sets[4])
    schedule = Schedule(
        sets[0], sets[1], sets[2], sets[3], weekdays, words[2].startswith("*"), words[4].startswith("*")
    )
    schedule.next_after(datetime(2024, 1, 1))
    return schedule


def _field(word: str, name: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise BadSchedule(f"“{part}” is not a {name}. Use a number from {low} to {high}, a-b, */n or *.")
        step = int(match[3] or 1)
        if not 1 <= step <= high:
            raise BadSchedule(f"The step of “{part}” must be from 1 to {high}.")
        if match[1] == "*" and match[2]:
            raise BadSchedule(f"“{part}” is not a {name}. Use *, a number or a-b.")
        first, last = _range(match, name, low, high, names)
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _range(match: re.Match[str], name: str, low: int, high: int, names: dict[str, int]) -> tuple[int, int]:
    if match[1] == "*":
        return low, high - (1 if name == "day of the week" else 0)
    first = _number(match[1], name, low, high, names)
    end = _number(match[2], name, low, high, names) if match[2] else None
    last = end if end is not None else high if match[3] else first
    if last < first:
        raise BadSchedule(f"“{match[0]}” goes backwards.")
    return first, last


def _number(text: str, name: str, low: int, high: int, names: dict[str, int]) -> int:
    value = names.get(text, int(text) if text.isdigit() and len(text) < 4 else -1)
    if not low <= value <= high:
        raise BadSchedule(f"“{text}” is not a {name}. Use a number from {low} to {high}.")
    return value
