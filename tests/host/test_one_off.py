"""Commands that go on without a reader: what waits for one is bounded, and nothing is told twice."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

import pytest
from tests.support.machine import BLOG, until

from webops_host import one_off
from webops_host.errors import Cancelled, HostError, NotFound
from webops_host.names import RunId
from webops_host.one_off import Commands
from webops_host.values import Console, ProjectLine, Runtime

RUN = RunId("1")
LINE = ProjectLine("true")
EACH = 1024
LONG = "x" * (EACH - one_off.COST)
TOO_MANY = one_off.WAITING // EACH + 10


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def begun(work: Callable[[Console], None], clock: Clock | None = None) -> Commands:
    commands = Commands(lambda runtime, line, timeout, console: work(console), clock=clock or Clock())
    commands.begin(Runtime(BLOG, 1), LINE, 9.0, RUN)
    return commands


def lines_of(commands: Commands, after: int = 0) -> list[str]:
    lines: list[str] = []
    commands.follow(BLOG, RUN, after, Console(lines.append))
    return lines


def prints_too_much(console: Console) -> None:
    for _ in range(TOO_MANY):
        console.emit(LONG)


def test_without_a_reader_it_goes_on_and_the_oldest_lines_go():
    done = Event()

    def work(console: Console) -> None:
        prints_too_much(console)
        done.set()

    commands = begun(work)
    assert done.wait(20)
    lines = lines_of(commands)
    assert lines[0] == "… 10 lines that nobody read in time are not kept."
    assert len(lines) == TOO_MANY - 10 + 1
    assert lines_of(commands, after=TOO_MANY - 1) == [LONG]


def test_empty_lines_are_bounded_too():
    most, done = one_off.WAITING // one_off.COST, Event()

    def work(console: Console) -> None:
        for _ in range(most + 5):
            console.emit("")
        done.set()

    commands = begun(work)
    assert done.wait(20)
    assert len(lines_of(commands)) == most + 1


def test_a_reader_that_lags_loses_nothing():
    reads = Event()

    def work(console: Console) -> None:
        console.emit("first")
        assert reads.wait(20)
        prints_too_much(console)

    commands, lines = begun(work), []

    def slowly(line: str) -> None:
        reads.set()
        lines.append(line)

    commands.follow(BLOG, RUN, 0, Console(slowly))
    assert lines == ["first", *[LONG] * TOO_MANY]


def test_a_command_is_not_held_up_by_a_reader_that_leaves():
    done, leaves, seen = Event(), Event(), Event()

    def work(console: Console) -> None:
        console.emit("first")
        assert seen.wait(20)
        prints_too_much(console)
        done.set()

    commands = begun(work)

    def stuck(line: str) -> None:
        seen.set()
        assert leaves.wait(20)

    def read() -> None:
        with pytest.raises(Cancelled):
            commands.follow(BLOG, RUN, 0, Console(stuck, seen.is_set))

    reader = Thread(target=read)
    reader.start()
    assert seen.wait(20)
    leaves.set()
    reader.join(20)
    assert done.wait(20)


def test_the_end_is_kept_for_a_while_and_a_host_stays_until_it_was_heard():
    clock, goes_on = Clock(), Event()
    commands = begun(lambda console: goes_on.wait(20) and None, clock)
    clock.at = 10 * one_off.KEPT
    assert commands.is_busy
    goes_on.set()
    assert lines_of(commands) == []
    assert not commands.is_busy
    clock.at += one_off.KEPT + 1
    assert not commands.is_busy
    with pytest.raises(NotFound):
        lines_of(commands)


def test_an_end_that_nobody_asked_about_is_forgotten():
    clock = Clock()
    commands = begun(lambda console: None, clock)
    assert commands.is_busy
    clock.at = one_off.KEPT + 1
    until(lambda: not commands.is_busy)


def test_what_breaks_inside_is_told_as_such(caplog):
    commands = begun(lambda console: 1 // 0)
    with pytest.raises(HostError, match="The host broke: ZeroDivisionError"):
        lines_of(commands)
    assert "a command of blog broke" in caplog.text


def test_a_host_that_leaves_ends_all():
    def work(console: Console) -> None:
        until(console.cancelled)
        raise Cancelled("Stopped.")

    commands = begun(work)
    commands.close()
    with pytest.raises(Cancelled):
        lines_of(commands)
    commands.close()
