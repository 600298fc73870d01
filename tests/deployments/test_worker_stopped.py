"""A worker that is stopped leaves what it was at to the next one."""

from __future__ import annotations

import pytest
from tests.deployments.test_pipeline import DJANGO_FILES
from tests.deployments.test_worker import AT, state, worker

from apps.core.access import Actor
from apps.deployments import actions, pipeline
from apps.deployments.models import Release, State, StepState
from webops_host.errors import Cancelled
from webops_host.fake import FakeHost


@pytest.fixture
def actor(owner) -> Actor:
    return Actor(owner)


def stopped_in(step: str, host: FakeHost) -> None:
    """A worker that is told to stop while it is in a step."""
    ours = worker(host)

    def stop(values) -> None:
        ours.stop()
        if "console" in values:
            raise Cancelled("Stopped.")

    host.on[AT[step]] = stop
    ours.work_once()
    host.on.clear()


@pytest.mark.parametrize("step", AT)
def test_what_a_stopped_worker_was_at_is_done_by_the_next_one(step, actor, blog, host):
    host.push(DJANGO_FILES)
    release = actions.releases.deploy(actor, blog)
    stopped_in(step, host)
    if step != "switch":  # it was live before anybody could stop it
        assert (state(release), release.started_at, release.cause) == (State.QUEUED, None, "")
        assert not host.units
        assert "blog" not in host.sites_up
    worker(host).work_once()
    assert (state(release), release.attempts) == (State.LIVE, 1 if step == "switch" else 2)
    assert not release.steps.exclude(state__in=(StepState.DONE, StepState.SKIPPED)).exists()


def test_rel_04_a_release_is_not_begun_for_ever(actor, blog, host):
    release = actions.releases.deploy(actor, blog)
    for _ in range(pipeline.ATTEMPTS):
        stopped_in("fetch", host)
    assert (state(release), release.cause) == (State.CANCELLED, "The worker was stopped.")


def test_what_a_person_cancelled_does_not_come_back_with_the_next_worker(actor, blog, host):
    release = actions.releases.deploy(actor, blog)
    ours = worker(host)

    def both(values) -> None:
        actions.releases.cancel(actor, blog)
        ours.stop()

    host.on["sources.fetch"] = both
    ours.work_once()
    worker(host).work_once()
    assert state(release) == State.CANCELLED


def test_a_newer_release_takes_the_place_of_one_whose_worker_was_stopped(actor, blog, host):
    first = actions.releases.deploy(actor, blog)
    newer: list[Release] = []
    ours = worker(host)

    def stop(values) -> None:
        newer.append(actions.releases.deploy(actor, blog))
        ours.stop()

    host.on["sources.fetch"] = stop
    ours.work_once()
    host.on.clear()
    worker(host).work_once()
    assert (state(first), state(newer[0])) == (State.SUPERSEDED, State.LIVE)
