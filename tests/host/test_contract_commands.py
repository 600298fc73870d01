"""What every host promises about one-off commands."""

from __future__ import annotations

import itertools

import pytest
from tests.support.machine import BLOG, QUIET, Embedded, Fake

from webops_host.errors import BadValue, Cancelled, CommandFailed, CommandTimedOut, NotFound
from webops_host.names import RunId
from webops_host.one_off import MOST
from webops_host.values import Console, ProjectLine, Runtime

COUNTED = itertools.count(1)
TWO_LINES = ProjectLine("echo one; echo two")
LONG = ProjectLine("for n in 1 2 3; do echo $n; sleep 0.2; done; touch went-on; sleep 60")


@pytest.fixture
def run() -> RunId:
    return RunId(f"run-{next(COUNTED)}")


@pytest.fixture
def laid(machine) -> Fake | Embedded:
    """A release of the blog, whose commands print two lines where nothing really runs."""
    machine.lay(BLOG, 1, {"file.txt": ""})
    if isinstance(machine, Fake):
        machine.host.prints["builds.run"] = ["one", "two"]
    return machine


@pytest.fixture
def runs(laid) -> Embedded:
    if isinstance(laid, Fake):
        pytest.skip("nothing runs here")
    return laid


def begun(machine: Fake | Embedded, run: RunId, line: ProjectLine, seconds: float = 30.0) -> None:
    machine.host.commands.begin(Runtime(BLOG, 1), line, seconds, run)


def lines_of(machine: Fake | Embedded, run: RunId, after: int = 0) -> list[str]:
    lines: list[str] = []
    machine.host.commands.follow(BLOG, run, after, Console(lines.append))
    return lines


def first_line_of(machine: Embedded, run: RunId) -> str:
    """Its first one, from a reader that leaves then."""
    lines: list[str] = []
    with pytest.raises(Cancelled):
        machine.host.commands.follow(BLOG, run, 0, Console(lines.append, lambda: bool(lines)))
    return lines[0]


def test_what_it_prints_is_told_to_each_who_asks_from_where_they_are(laid, run):
    begun(laid, run, TWO_LINES)
    assert lines_of(laid, run) == ["one", "two"]
    assert lines_of(laid, run) == ["one", "two"]
    assert lines_of(laid, run, after=1) == ["two"]
    assert lines_of(laid, run, after=2) == []


def test_rel_03_the_same_id_runs_once(laid, run):
    for _ in range(3):
        begun(laid, run, TWO_LINES)
    assert lines_of(laid, run) == ["one", "two"]


def test_what_is_not_known_or_anothers_is_not_told(laid, run):
    begun(laid, run, TWO_LINES)
    for name, which in ((BLOG, RunId("never-begun")), (type(BLOG)("another"), run)):
        with pytest.raises(NotFound):
            laid.host.commands.follow(name, which, 0, QUIET)
        laid.host.commands.end(name, which)


def test_nothing_of_a_deployment_that_goes_is_known(laid, run):
    begun(laid, run, TWO_LINES)
    laid.host.accounts.remove(BLOG)
    with pytest.raises(NotFound):
        lines_of(laid, run)


def test_how_it_ended_is_told(runs, run):
    begun(runs, run, ProjectLine("echo no; exit 3"))
    for _ in range(2):
        with pytest.raises(CommandFailed) as failed:
            lines_of(runs, run)
        assert failed.value.facts["status"] == 3


def test_its_time_is_limited(runs, run):
    begun(runs, run, ProjectLine("sleep 60"), 0.5)
    with pytest.raises(CommandTimedOut):
        lines_of(runs, run)


def test_it_goes_on_when_its_reader_leaves(runs, run):
    begun(runs, run, LONG)
    assert first_line_of(runs, run) == "1"
    lines: list[str] = []
    with pytest.raises(Cancelled):
        runs.host.commands.follow(BLOG, run, 1, Console(lines.append, lambda: len(lines) == 2))
    assert lines == ["2", "3"]
    runs.host.commands.end(BLOG, run)


def test_one_that_ends_leaves_another_alone(runs, run):
    begun(runs, run, ProjectLine("echo begun; sleep 0.7; echo over"))
    assert first_line_of(runs, run) == "begun"
    begun(runs, RunId(f"{run}-short"), ProjectLine("true"))
    assert lines_of(runs, RunId(f"{run}-short")) == []
    assert lines_of(runs, run) == ["begun", "over"]


def test_rel_11_it_is_ended_with_what_it_started(runs, run):
    begun(runs, run, ProjectLine("echo begun; sleep 60 & sleep 60"))
    assert first_line_of(runs, run) == "begun"
    runs.host.commands.end(BLOG, run)
    with pytest.raises(Cancelled):
        lines_of(runs, run)
    runs.host.commands.end(BLOG, run)


def test_so_many_go_on_at_once_and_no_more(runs, run):
    for number in range(MOST):
        begun(runs, RunId(f"{run}-{number}"), ProjectLine("sleep 60"))
    with pytest.raises(BadValue, match=f"{MOST} commands"):
        begun(runs, run, TWO_LINES)
    runs.host.accounts.remove(BLOG)
