"""Who may sleep: what the web server's log says of visits, read once, and units that asked for it."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from webops_host.linux import connections, idle
from webops_host.linux.idle import Seen, Sleeper
from webops_host.linux.layout import ServerLayout
from webops_host.linux.systemd import Shown
from webops_host.names import DeploymentName, ProcessKind
from webops_host.values import UnitRef

REF = UnitRef(DeploymentName("blog"), 7, ProcessKind("web"))
UNIT = "wo-blog--7-web-1.service"
NOW = 1_800_000_000.0
FIRST = '2027-01-15T08:00:00+00:00 blog.apps.test 192.0.2.7 200 12 0.001 "GET / HTTP/2.0" "x"\n'
LATER = '2027-01-15T08:00:09+00:00 www.example.org 192.0.2.7 200 12 0.001 "GET / HTTP/2.0" "x"\n'


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "webops.log"
    file.write_text(FIRST)
    return file


NAMES = ("blog.apps.test", "www.example.org")
BEFORE = dict.fromkeys(NAMES, 0.0)


@pytest.fixture
def begun(log: Path) -> Seen:
    """As after a turn in which the log was still empty."""
    return Seen(log.stat().st_ino, 0, BEFORE)


def read(log: Path, seen: Seen) -> Seen:
    return idle.read_visits(log, seen, NAMES, NOW + 3600)


def test_the_log_is_read_from_where_reading_stopped(log: Path, begun: Seen) -> None:
    seen = read(log, begun)
    assert seen.visits == {**BEFORE, "blog.apps.test": NOW}
    with log.open("a") as file:
        file.write(LATER + "half a li")
    again = read(log, seen)
    assert again.visits == {"blog.apps.test": NOW, "www.example.org": NOW + 9}
    assert again.offset == len(FIRST + LATER)


def test_a_log_that_was_begun_anew_is_read_from_its_start(log: Path, begun: Seen) -> None:
    seen = read(log, begun)
    log.rename(log.with_suffix(".1"))
    log.write_text(LATER)
    assert read(log, seen).visits["www.example.org"] == NOW + 9


def test_without_a_log_nothing_is_forgotten(tmp_path: Path) -> None:
    seen = Seen(visits=BEFORE)
    assert read(tmp_path / "none", seen) == seen


def test_lines_that_say_no_time_are_passed_over(log: Path, begun: Seen) -> None:
    log.write_text("x blog.apps.test z\n\nx\n" + "y" * 200_000 + "\n" + FIRST)
    assert read(log, begun).visits == {**BEFORE, "blog.apps.test": NOW}


def test_a_log_of_which_nothing_is_remembered_is_not_read_and_everybody_counts_as_just_visited(log: Path) -> None:
    seen = read(log, Seen())
    assert seen == Seen(log.stat().st_ino, len(FIRST), dict.fromkeys(NAMES, NOW + 3600))
    with log.open("a") as file:
        file.write(LATER)
    assert read(log, seen).visits["www.example.org"] == NOW + 9


def test_a_name_that_may_sleep_from_now_on_counts_as_just_visited(log: Path, begun: Seen) -> None:
    seen = idle.read_visits(log, begun, [*NAMES, "new.apps.test"], NOW + 60)
    assert seen.visits == {**BEFORE, "blog.apps.test": NOW, "new.apps.test": NOW + 60}


def test_a_busy_log_takes_little_memory_whatever_names_strangers_send(log: Path, begun: Seen) -> None:
    with log.open("a") as file:
        file.writelines(FIRST.replace("blog", f"stranger-{number}") for number in range(100_000))
        file.write(LATER)
    tracemalloc.start()
    seen = read(log, begun)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    assert seen.visits == {"blog.apps.test": NOW, "www.example.org": NOW + 9}
    assert seen.offset == log.stat().st_size


@pytest.fixture
def layout(tmp_path: Path) -> ServerLayout:
    made = ServerLayout(tmp_path / "srv", tmp_path / "etc", tmp_path / "lib", tmp_path / "run", tmp_path / "units")
    made.units.mkdir()
    made.sleepers.mkdir(parents=True)
    for unit, text in ((UNIT, "[Unit]\nX-SleepMinutes=5\n"), ("wo-shop--1-web-1.service", "[Unit]\n")):
        (made.units / unit).write_text(text)
        (made.sleepers / unit).touch()
    return made


def test_only_what_asked_for_it_and_should_be_up_may_sleep(layout: ServerLayout) -> None:
    assert list(idle.sleepers(layout)) == [Sleeper(REF, 5, ())]
    (layout.sleepers / UNIT).unlink()
    assert list(idle.sleepers(layout)) == []


SHOWN = Shown(UNIT, "loaded", "active", "running", "success", 7, None, 0, 0, 0.0, NOW - 3600, "")
SLEEPER = Sleeper(REF, 5, ("www.example.org",))


@pytest.mark.parametrize(
    ("shown", "visits", "is_tired"),
    [
        (SHOWN, {}, True),
        (SHOWN, {"blog.apps.test": NOW - 299}, False),
        (SHOWN, {"blog.apps.test": NOW - 301}, True),
        (SHOWN, {"www.example.org": NOW - 10}, False),
        (SHOWN, {"other.apps.test": NOW - 10}, True),
        (replace(SHOWN, since=NOW - 60), {}, False),
        (replace(SHOWN, active="inactive"), {}, False),
    ],
)
def test_a_unit_is_tired_when_nobody_came_for_as_long_as_was_asked(shown, visits, is_tired) -> None:
    assert idle.tired(SLEEPER, shown, visits, "apps.test", NOW) is is_tired


def test_what_was_read_is_remembered_of_those_who_may_sleep(
    layout: ServerLayout, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle.systemd, "show", lambda units: {unit: replace(SHOWN, unit=unit) for unit in units})
    layout.run.mkdir()
    assert idle.run(layout, "apps.test", log) == [], "it ran for long, and nobody is known to have come"
    remembered = json.loads((layout.run / "idle.json").read_bytes())
    assert remembered["offset"] == len(FIRST)
    assert set(remembered["visits"]) == {"blog.apps.test"}


def test_connections_to_a_socket_are_counted_without_its_listener(tmp_path: Path) -> None:
    table = tmp_path / "unix"
    table.write_text(
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0000: 00000002 00000000 00010000 0001 01 11 /run/webops/blog/7-web-1.sock\n"
        "0000: 00000003 00000000 00000000 0001 03 12 /run/webops/blog/7-web-1.sock\n"
        "0000: 00000003 00000000 00000000 0001 03 13 /run/webops/blog/8-web-1.sock\n"
        "0000: 00000003 00000000 00000000 0001 03 14\n"
    )
    assert connections.count(Path("/run/webops/blog/7-web-1.sock"), table) == 1
