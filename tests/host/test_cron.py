"""Schedules: five fields as in crontab(5)."""

import contextlib
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webops_host import cron
from webops_host.cron import BadSchedule

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1))


def field(low: int, high: int):
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    part = st.one_of(st.just("*"), number.map(str), span, st.integers(1, high).map(lambda step: f"*/{step}"))
    return st.lists(part, min_size=1, max_size=3).map(",".join)


SCHEDULES = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(SCHEDULES, MOMENTS)
def test_the_next_time_fits_lies_ahead_and_nothing_lies_between(text, moment):
    schedule = cron.parse(text)
    found = schedule.next_after(moment)

    assert found > moment
    assert found.second == 0
    assert schedule.matches(found)
    minutes = min(int((found - moment) / timedelta(minutes=1)), 600)
    between = (found - timedelta(minutes=step) for step in range(1, minutes))
    assert not any(schedule.matches(earlier) for earlier in between if earlier > moment)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_schedule_or_refused(text):
    with contextlib.suppress(BadSchedule):
        cron.parse(text)


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("0 3 * * *", "2026-01-01T03:00", "2026-01-02T03:00"),
        ("*/15 * * * *", "2026-01-01T03:01", "2026-01-01T03:15"),
        ("0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("0 0 * * mon-fri", "2026-01-02T12:00", "2026-01-05T00:00"),
        ("0 0 * * 7", "2026-01-01T00:00", "2026-01-04T00:00"),
        ("0 0 13 * 5", "2026-02-01T00:00", "2026-02-06T00:00"),
        ("@hourly", "2026-01-01T03:01", "2026-01-01T04:00"),
        ("30 9 1 jan,jul *", "2026-01-02T00:00", "2026-07-01T09:30"),
        ("5/20 * * * *", "2026-01-01T00:06", "2026-01-01T00:25"),
    ],
)
def test_the_next_time(text, after, expected):
    assert cron.parse(text).next_after(datetime.fromisoformat(after)) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "a * * * *",
        "5-1 * * * *",
        "*/0 * * * *",
        "@often",
        "0 0 31 2 *",
        "1,,2 * * * *",
        "*-5 * * * *",
        "٣ * * * *",
        "-1 * * * *",
    ],
)
def test_what_is_not_a_schedule_is_refused(text):
    with pytest.raises(BadSchedule):
        cron.parse(text)
