"""What a release prints is kept, and a disk that takes no more of it stops nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.pages import release

from apps.deployments import logs
from apps.deployments.models import State


def test_rel_07_a_full_disk_stops_no_work_and_the_last_lines_stay(blog, caplog: pytest.LogCaptureFixture):
    row = release(blog, 1, State.RUNNING)
    writer = logs.Writer(row, place=Path("/dev/full"))
    for number in range(3):
        writer.write("build", f"line {number}")
    assert writer.tail() == ["line 0", "line 1", "line 2"]
    writer.close()
    assert [line.text for line in row.tail.all()] == ["line 0", "line 1", "line 2"]
    assert "No space left on device" in caplog.text


def test_a_folder_that_can_not_be_made_stops_no_work(blog, tmp_path: Path):
    (tmp_path / "file").write_text("")
    writer = logs.Writer(None, place=tmp_path / "file" / "log.jsonl")
    writer.write("build", "a line")
    writer.close()
    assert writer.tail() == ["a line"]


def test_what_a_power_cut_left_of_a_line_is_passed_over(blog, tmp_path: Path):
    place = tmp_path / "log.jsonl"
    writer = logs.Writer(None, place=place)
    writer.write("build", "before")
    writer.close()
    with place.open("ab") as file:
        file.write(b"\0" * 40 + b'\n{"at": 1}\n[]\n')
    writer.write("build", "after")
    writer.close()
    lines = logs.read_file(place)
    assert [line.text for line in lines] == ["before", "after"]
    assert lines[-1].position == place.stat().st_size
