"""What every host promises about units."""

from __future__ import annotations

import pytest
from tests.support.machine import BLOG, QUIET, Embedded, Fake, until, web, worker

from webops_host.errors import NotFound
from webops_host.names import DeploymentName
from webops_host.values import HealthCheck, UnitState

SLEEP = worker("exec sleep 60")


def state(machine: Fake | Embedded) -> UnitState:
    (status,) = machine.host.processes.status(BLOG)
    return status.state


def test_a_deployment_without_units_has_no_status(machine):
    assert machine.host.processes.status(BLOG) == ()


def test_an_installed_unit_is_stopped(machine):
    machine.host.processes.install(SLEEP)
    assert state(machine) is UnitState.STOPPED


def test_a_started_unit_runs_until_it_is_stopped(machine):
    machine.host.processes.install(SLEEP)
    machine.host.processes.start(SLEEP.ref)
    assert state(machine) is UnitState.RUNNING
    machine.host.processes.stop(SLEEP.ref)
    assert state(machine) is UnitState.STOPPED


def test_starting_twice_leaves_the_same_program_running(machine):
    machine.host.processes.install(SLEEP)
    machine.host.processes.start(SLEEP.ref)
    (first,) = machine.host.processes.status(BLOG)
    machine.host.processes.start(SLEEP.ref)
    (second,) = machine.host.processes.status(BLOG)
    assert first.pid == second.pid is not None


def test_installing_twice_changes_nothing(machine):
    machine.host.processes.install(SLEEP)
    machine.host.processes.start(SLEEP.ref)
    machine.host.processes.install(SLEEP)
    assert state(machine) is UnitState.RUNNING


def test_a_stopped_unit_can_be_started_again(machine):
    machine.host.processes.install(SLEEP)
    for _ in range(2):
        machine.host.processes.start(SLEEP.ref)
        assert state(machine) is UnitState.RUNNING
        machine.host.processes.stop(SLEEP.ref)


def test_what_is_not_installed_can_not_be_started(machine):
    with pytest.raises(NotFound):
        machine.host.processes.start(SLEEP.ref)


def test_stopping_and_removing_what_is_absent_is_fine(machine):
    machine.host.processes.stop(SLEEP.ref)
    machine.host.processes.remove(SLEEP.ref)


def test_a_removed_unit_is_gone(machine):
    machine.host.processes.install(SLEEP)
    machine.host.processes.start(SLEEP.ref)
    machine.host.processes.remove(SLEEP.ref)
    assert machine.host.processes.status(BLOG) == ()


def test_units_are_told_in_order_and_only_those_of_the_deployment(machine):
    other = web(1, name=DeploymentName("blog-two"))
    for unit in (worker("exec sleep 60", 2), web(2), SLEEP, other):
        machine.host.processes.install(unit)
    found = [str(status.ref) for status in machine.host.processes.status(BLOG)]
    assert found == ["blog-1-worker-1", "blog-2-web-1", "blog-2-worker-1"]


def test_a_candidate_that_answers_is_ready(machine):
    unit = web()
    machine.host.processes.install(unit)
    machine.host.processes.start(unit.ref)
    ready = machine.host.processes.ready(unit.ref, HealthCheck(), QUIET)
    assert ready.status == 200
    assert ready.over in ("socket", "port")
    assert state(machine) is UnitState.RUNNING


def test_what_is_not_installed_can_not_be_ready(machine):
    with pytest.raises(NotFound):
        machine.host.processes.ready(web().ref, HealthCheck(), QUIET)


def test_a_deployment_that_printed_nothing_has_no_lines(machine):
    assert machine.host.processes.logs(BLOG) == ()


def test_memory_of_a_running_unit_is_measured(machine):
    unit = web()
    machine.host.processes.install(unit)
    machine.host.processes.start(unit.ref)
    assert until(lambda: machine.host.processes.status(BLOG)[0].memory_bytes) > 0
