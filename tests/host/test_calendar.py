"""Schedules of crontab(5) as events of systemd, which is asked itself."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import datetime

import pytest
from hypothesis import given, settings
from tests.host.test_cron import MOMENTS, SCHEDULES

from webops_host import cron
from webops_host.linux import calendar, unit_text

NEXT = re.compile(r"(?:Next elapse|Iter(?:\.|ation) #\d+): \w{3} (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def elapses(events: tuple[str, ...], moment: datetime, count: int = 1) -> list[datetime]:
    """When systemd says that these events come next after a moment, together."""
    base = f"--base-time={moment:%Y-%m-%d %H:%M:%S} UTC"
    words = ("systemd-analyze", "calendar", f"--iterations={count}", base, "--", *events)
    done = subprocess.run(words, capture_output=True, text=True, check=True, env={"TZ": "UTC", "LC_ALL": "C.UTF-8"})
    found = {datetime.fromisoformat(text) for text in NEXT.findall(done.stdout)}
    return sorted(found)[:count]


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("* * * * *", ("*-*-* *:*:00 UTC",)),
        ("@daily", ("*-*-* 00:00:00 UTC",)),
        ("*/20 3 * * *", ("*-*-* 03:00,20,40:00 UTC",)),
        ("0 0 * * mon-fri", ("Mon,Tue,Wed,Thu,Fri *-*-* 00:00:00 UTC",)),
        ("0 0 * * 7", ("Sun *-*-* 00:00:00 UTC",)),
        ("0 0 13 * 5", ("*-*-13 00:00:00 UTC", "Fri *-*-* 00:00:00 UTC")),
        ("0 0 */15 * 5", ("Fri *-*-01,16,31 00:00:00 UTC",)),
        ("0 0 30 2 1", ("Mon *-02-* 00:00:00 UTC",)),
        ("30 9 1 jan,jul *", ("*-01,07-01 09:30:00 UTC",)),
    ],
)
def test_events(text: str, events: tuple[str, ...]) -> None:
    assert calendar.events(cron.parse(text)) == events


@given(SCHEDULES)
def test_an_event_is_one_line_of_a_unit(text: str) -> None:
    events = calendar.events(cron.parse(text))
    assert unit_text.unit({"Timer": [("OnCalendar", event) for event in events]}).count("OnCalendar=") == len(events)


@needs_systemd
@settings(max_examples=60, deadline=None)
@given(SCHEDULES, MOMENTS)
def test_systemd_finds_the_same_next_time(text: str, moment: datetime) -> None:
    schedule, moment = cron.parse(text), moment.replace(microsecond=0)
    assert elapses(calendar.events(schedule), moment) == [schedule.next_after(moment)]


@needs_systemd
@pytest.mark.parametrize("text", ["0 0 13 * 5", "*/7 */5 29 2 *", "0 0 31 * 0", "0 12 30 2 1", "59 23 */10 */2 6,7"])
def test_systemd_finds_the_same_times_for_a_while(text: str) -> None:
    schedule, moment, expected = cron.parse(text), datetime(2026, 11, 26, 6, 0), []
    for _ in range(20):
        expected.append(schedule.next_after(expected[-1] if expected else moment))
    assert elapses(calendar.events(schedule), moment, 20) == expected
