"""What every host promises about the place of a deployment."""

from __future__ import annotations

import pytest
from tests.support.machine import BLOG, worker

from webops_host.errors import BadValue, Stale
from webops_host.names import DeploymentName
from webops_host.values import Site

PAGE = {"index.html": "hello"}


def seal(machine, *releases: int) -> None:
    machine.host.accounts.ensure(BLOG)
    for release in releases:
        machine.lay(BLOG, release, PAGE)
        machine.lay_public(BLOG, release, PAGE)
        machine.host.accounts.seal(BLOG, release)


def test_a_place_is_made_once(machine):
    machine.host.accounts.ensure(BLOG)
    seal(machine, 1)
    machine.host.accounts.ensure(BLOG)
    assert machine.host.accounts.releases(BLOG) == (1,)


def test_only_whole_releases_are_listed_lowest_first(machine):
    seal(machine, 10, 9)
    machine.lay(BLOG, 11, PAGE)
    assert machine.host.accounts.releases(BLOG) == (9, 10)


def test_what_is_not_whole_is_listed_apart_until_it_is_gone(machine):
    seal(machine, 10, 9)
    machine.lay(BLOG, 11, PAGE)
    machine.lay(BLOG, 8, PAGE)
    assert [number for number in machine.host.accounts.leftovers(BLOG) if number > 7] == [8, 11]
    machine.host.accounts.discard(BLOG, 8)
    assert [number for number in machine.host.accounts.leftovers(BLOG) if number > 7] == [11]
    assert machine.host.accounts.leftovers(DeploymentName("nobody")) == ()


def test_a_discarded_release_gives_its_bytes_back(machine):
    seal(machine, 1, 2)
    assert machine.host.accounts.discard(BLOG, 1) == 10
    assert machine.host.accounts.releases(BLOG) == (2,)
    assert machine.host.accounts.discard(BLOG, 1) == 0


def test_a_discarded_release_takes_its_units_along(machine):
    seal(machine, 1)
    unit = worker("exec sleep 60")
    machine.host.processes.install(unit)
    machine.host.processes.start(unit.ref)
    machine.host.accounts.discard(BLOG, 1)
    assert machine.host.processes.status(BLOG) == ()


def test_the_live_release_is_not_discarded(machine):
    seal(machine, 1)
    machine.host.sites.publish(Site(BLOG, 1))
    with pytest.raises(BadValue):
        machine.host.accounts.discard(BLOG, 1)
    assert machine.host.accounts.releases(BLOG) == (1,)


def test_a_removed_deployment_leaves_nothing(machine):
    seal(machine, 1)
    unit = worker("exec sleep 60")
    machine.host.processes.install(unit)
    machine.host.processes.start(unit.ref)
    machine.host.sites.publish(Site(BLOG, 1))
    machine.host.accounts.remove(BLOG)
    machine.host.accounts.remove(BLOG)
    assert machine.host.accounts.releases(BLOG) == ()
    assert machine.host.processes.status(BLOG) == ()
    assert machine.host.sites.address(BLOG) is None


def test_a_late_holder_of_an_old_fence_is_refused(machine):
    machine.host.fenced(BLOG, 7).accounts.ensure(BLOG)
    with pytest.raises(Stale) as refused:
        machine.host.fenced(BLOG, 6).accounts.ensure(BLOG)
    assert refused.value.facts == {"fence": 6, "seen": 7}
    machine.host.fenced(BLOG, 7).accounts.ensure(BLOG)
    machine.host.fenced(DeploymentName("shop"), 1).accounts.ensure(DeploymentName("shop"))


def test_an_old_fence_may_still_look(machine):
    machine.host.fenced(BLOG, 7).accounts.ensure(BLOG)
    assert machine.host.fenced(BLOG, 6).processes.status(BLOG) == ()


def test_a_name_that_was_removed_begins_to_count_anew(machine):
    machine.host.fenced(BLOG, 7).accounts.remove(BLOG)
    machine.host.fenced(BLOG, 1).accounts.ensure(BLOG)


def test_the_machine_describes_itself(machine):
    assert {"kind", "isolation"} <= set(machine.host.describe())
    assert set(machine.host.explain(BLOG)) >= {"units", "site"}
