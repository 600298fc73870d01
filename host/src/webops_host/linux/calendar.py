"""Schedules of crontab(5) as calendar events of systemd.time(7)."""

from __future__ import annotations

from collections.abc import Iterable

from webops_host.cron import Schedule

WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
LONGEST = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}
"""Days of each month, in a leap year."""


def events(schedule: Schedule) -> tuple[str, ...]:
    """The events that together come at the schedule's times and at no other. Where either of the two day fields is
    enough they are two: one event would want both."""
    if schedule.any_day or schedule.any_weekday:
        return (_event(schedule, schedule.days, schedule.weekdays),)
    by_weekday = _event(schedule, range(1, 32), schedule.weekdays)
    if not any(day <= LONGEST[month] for month in schedule.months for day in schedule.days):
        return (by_weekday,)  # the 31st of a month that has none
    return (_event(schedule, schedule.days, range(7)), by_weekday)


def _event(schedule: Schedule, days: Iterable[int], weekdays: Iterable[int]) -> str:
    wanted = sorted(set(weekdays))
    names = f"{','.join(WEEKDAYS[day] for day in wanted)} " if len(wanted) < 7 else ""
    date = f"*-{_numbers(schedule.months, 1, 12)}-{_numbers(days, 1, 31)}"
    return f"{names}{date} {_numbers(schedule.hours, 0, 23)}:{_numbers(schedule.minutes, 0, 59)}:00 UTC"


def _numbers(found: Iterable[int], low: int, high: int) -> str:
    wanted = sorted(set(found))
    return "*" if wanted == list(range(low, high + 1)) else ",".join(f"{number:02d}" for number in wanted)
