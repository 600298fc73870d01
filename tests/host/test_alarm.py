"""More refusals in a minute than mistakes explain are told: to the journal, and in a file for the panel."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path

import pytest

from webops_host.daemon.alarm import MOST, Alarm


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "alarm.json"


def refuse(alarm: Alarm, clock: Clock, times: int, *, every: float = 1.0) -> None:
    for _ in range(times):
        clock.now += every
        alarm.refused(996, "No.\nNot this.")


def test_priv_09_twenty_refusals_in_a_minute_are_borne_and_one_more_is_told(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    alarm = Alarm(file, clock)
    refuse(alarm, clock, MOST)
    assert not file.exists()
    refuse(alarm, clock, 1)
    assert json.loads(file.read_text()) == {"at": clock.now, "uid": 996, "reason": "No.\nNot this."}
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert ["ALARM: more than 20 refusals" in record.getMessage() for record in told] == [True]


def test_priv_09_as_many_in_a_longer_time_are_not(file: Path) -> None:
    clock = Clock()
    refuse(Alarm(file, clock), clock, 3 * MOST, every=4.0)
    assert not file.exists()


def test_it_is_told_once_for_every_so_many(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    refuse(Alarm(file, clock), clock, 3 * (MOST + 1) + 2, every=0.01)
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 3


def test_without_room_for_the_file_the_caller_is_answered_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    clock = Clock()
    refuse(Alarm(tmp_path / "taken" / "alarm.json", clock), clock, MOST + 1)
