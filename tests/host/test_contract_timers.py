"""What every host promises about commands on a schedule."""

from __future__ import annotations

import pytest
from tests.support.machine import BLOG, Embedded, Fake, until

from webops_host.errors import BadValue, NotFound
from webops_host.names import VariableKey
from webops_host.timed_values import TimedCommand, TimedRun
from webops_host.values import ProjectLine, Runtime

RARELY = "0 0 1 1 *"
GOOD = TimedCommand(RARELY, ProjectLine('echo "$GREETING from $(id -un)" && pwd'))
BAD = TimedCommand(RARELY, ProjectLine("echo no; exit 3"))
SLOW = TimedCommand(RARELY, ProjectLine("sleep 60"), timeout=1)
HELLO = {VariableKey("GREETING"): 'gr"üß$e'}


def around(release: int = 1) -> Runtime:
    return Runtime(BLOG, release, variables=HELLO)


def arranged(machine: Fake | Embedded, *commands: TimedCommand, release: int = 1) -> None:
    """On a host that keeps the time. On one that does not there is nothing more to promise."""
    machine.lay(BLOG, release, {})
    if not machine.host.timers.arrange(around(release), commands):
        pytest.skip("this host keeps no time: whoever arranges does")


def told(machine: Fake | Embedded, command: TimedCommand, count: int = 1) -> TimedRun:
    """The last run of a command, once it has had so many and they are over."""
    runs = until(
        lambda: (found := _runs(machine, command)) and len(found) == count and found[-1].ended_at and found, timeout=30
    )
    return runs[-1]


def _runs(machine: Fake | Embedded, command: TimedCommand) -> list[TimedRun]:
    return [run for run in machine.host.timers.runs(BLOG, 0) if run.label == command.label]


def test_a_deployment_without_commands_has_no_runs_and_stopping_is_fine(machine):
    machine.host.timers.stop(BLOG)
    assert machine.host.timers.runs(BLOG, 0) == ()


def test_a_host_says_each_time_whether_it_keeps_the_time(machine):
    machine.lay(BLOG, 1, {})
    first = machine.host.timers.arrange(around(), (GOOD,))
    assert machine.host.timers.arrange(around(), (GOOD,)) is first
    assert machine.host.timers.arrange(around(), ()) is first


def test_commands_of_a_release_without_files_are_refused(machine):
    with pytest.raises(NotFound):
        machine.host.timers.arrange(around(9), (GOOD,))


@pytest.mark.parametrize(
    "schedule", ["", "* * * *", "61 * * * *", "0 0 31 2 *", "*-*-* *:*:*", "@often", f"0,{'0,' * 60}0 * * * *"]
)
def test_what_is_no_schedule_can_not_be_said(schedule):
    with pytest.raises(BadValue):
        TimedCommand(schedule, GOOD.line)


def test_a_time_limit_is_more_than_nothing():
    with pytest.raises(BadValue):
        TimedCommand(RARELY, GOOD.line, timeout=0)


def test_a_run_is_told_with_its_end_and_what_it_printed(machine):
    arranged(machine, GOOD, BAD)
    machine.comes(GOOD, 'gr"üß$e from wo-blog', "/srv/webops/blog/releases/1/source")
    machine.comes(BAD, "no", status=3)
    good, bad = told(machine, GOOD), told(machine, BAD)
    assert (good.exit_status, good.reason) == (0, "")
    assert good.tail == ('gr"üß$e from wo-blog', "/srv/webops/blog/releases/1/source")
    assert (bad.exit_status, bad.reason, bad.tail) == (3, "exited with status 3", ("no",))
    assert good.began_at <= good.ended_at
    assert machine.host.timers.runs(BLOG, int(bad.began_at) + 60) == ()


def test_a_run_is_told_the_same_way_each_time(machine):
    arranged(machine, GOOD)
    machine.comes(GOOD, "a", "b")
    first = told(machine, GOOD)
    machine.comes(GOOD, "a", "b")
    second = told(machine, GOOD, 2)
    assert _runs(machine, GOOD)[0] == first != second


def test_a_command_that_takes_too_long_is_ended(machine):
    arranged(machine, SLOW)
    machine.comes(SLOW, status=-15, reason="took longer than it may, and was ended")
    run = told(machine, SLOW)
    assert (run.exit_status, run.reason) == (-15, "took longer than it may, and was ended")


def test_a_command_that_still_runs_is_not_started_again(machine):
    held = TimedCommand(RARELY, ProjectLine("sleep 600"))
    arranged(machine, held)
    for _ in range(2):
        machine.comes(held, status=None)
    (run,) = until(lambda: _runs(machine, held))
    assert (run.ended_at, run.exit_status, run.reason) == (None, None, "")


def test_the_next_release_takes_over_and_what_ran_before_is_still_told(machine):
    arranged(machine, GOOD, BAD)
    machine.comes(BAD, "no", status=3)
    before = told(machine, BAD)
    arranged(machine, GOOD, release=2)
    assert machine.comes(GOOD, "x", "/srv/webops/blog/releases/2/source", release=2)
    assert told(machine, GOOD).tail[-1] == "/srv/webops/blog/releases/2/source"
    assert not machine.comes(BAD)
    assert not machine.comes(GOOD)
    assert told(machine, BAD) == before


def test_what_is_stopped_begins_nothing_until_it_is_arranged_again(machine):
    arranged(machine, GOOD)
    machine.host.timers.stop(BLOG)
    assert not machine.comes(GOOD)
    arranged(machine, GOOD)
    assert machine.comes(GOOD)


def test_a_removed_release_leaves_no_command(machine):
    arranged(machine, GOOD)
    machine.host.accounts.discard(BLOG, 1)
    assert not machine.comes(GOOD)
