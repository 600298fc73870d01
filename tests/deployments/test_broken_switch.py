"""What breaks around the switch: whatever the rows say in the end, the release that visitors see has its process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from django.db import OperationalError, connection
from tests.deployments.test_pipeline import DJANGO_FILES
from tests.deployments.test_worker import claimed, expire, state, worker

from apps.core.access import Actor
from apps.deployments import actions, pipeline, reaper
from apps.deployments.models import Deployment, Release, State, StepState, Wish
from apps.deployments.steps import Unsettled
from webops_host.errors import CommandFailed, HostError
from webops_host.fake import FakeHost

SWITCHED = {"switch.after", "finish.before", "finish.after"}


@pytest.fixture
def actor(owner) -> Actor:
    return Actor(owner)


@pytest.fixture
def first(actor, blog, host) -> Release:
    """What is live before something breaks, and a second commit to release."""
    host.push(DJANGO_FILES)
    release = actions.releases.deploy(actor, blog)
    worker(host).work_once()
    assert state(release) == State.LIVE
    host.push({**DJANGO_FILES, "shop/urls.py": "urlpatterns = [2]\n"})
    return release


def settle(blog: Deployment, host: FakeHost) -> None:
    expire(blog)
    reaper.reap(lambda row: host)
    blog.refresh_from_db()


def assert_served_by_its_process(blog: Deployment, host: FakeHost, number: int) -> None:
    assert (blog.live.number, host.sites_up["blog"].release) == (number, number)
    assert {str(ref) for ref in host.units} == {f"blog-{number}-web-1"}


@pytest.mark.parametrize("way", ["full", "error"])
@pytest.mark.parametrize("point", pipeline.POINTS)
def test_rel_07_what_visitors_see_runs_after_a_fault_at_each_point(way, point, actor, blog, host, first, monkeypatch):
    monkeypatch.setenv("WEBOPS_FAULT", f"{point}:{way}")
    second = actions.releases.deploy(actor, blog)
    worker(host).work_once()
    monkeypatch.delenv("WEBOPS_FAULT")

    if point not in SWITCHED:
        assert (state(second), blog.live) == (State.FAILED, first)
        assert_served_by_its_process(blog, host, 1)
        assert (second.failure == "disk_full") == (way == "full")
        return
    assert state(second) == State.LIVE
    assert "processes.remove blog-2-web-1" not in host.did
    assert host.sites_up["blog"].release == 2
    settle(blog, host)
    assert_served_by_its_process(blog, host, 2)
    if point != "finish.after":
        assert not second.steps.exclude(state__in=(StepState.DONE, StepState.SKIPPED)).exists()


class Away:
    """The database, gone from when `gone` is set."""

    gone = False

    def __call__(self, execute, sql, params, many, context):
        if self.gone:
            raise OperationalError("the server closed the connection")
        return execute(sql, params, many, context)


@contextmanager
def database() -> Iterator[Away]:
    away = Away()
    with connection.execute_wrapper(away):
        yield away


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("switches", [True, False], ids=["switched", "refused"])
def test_rel_06_the_database_goes_while_the_site_is_switched(switches, actor, blog, host, first):
    second = claimed(actions.releases.deploy(actor, blog), blog)

    def leave(values) -> None:
        away.gone = True
        if not switches:
            del host.on["sites.publish"]
            host.breaks["processes.remove"] = lambda values: host.breaks.clear()
            raise HostError("The web server refused.")

    host.on["sites.publish"] = leave
    with database() as away, suppress(Unsettled, OperationalError):
        pipeline.perform(second, host, pipeline.Signals())
    host.on.clear()
    assert state(second) == State.RUNNING, "nobody could write that it is over"

    settle(blog, host)
    assert state(second) == (State.LIVE if switches else State.FAILED)
    assert_served_by_its_process(blog, host, 2 if switches else 1)


class BreaksAfterPublishing:
    """A host that switches and then breaks, so that it can not switch back either."""

    def __init__(self, host: FakeHost) -> None:
        self._host, self.sites = host, self

    def __getattr__(self, name: str):
        return getattr(self._host if hasattr(self._host, name) else self._host.sites, name)

    def publish(self, site):
        if site.release == 2:
            self._host.sites.publish(site)
        raise HostError("The web server did not come back.")


def test_a_candidate_that_may_be_served_is_not_removed(actor, blog, host, first):
    second = claimed(actions.releases.deploy(actor, blog), blog)
    with pytest.raises(Unsettled):
        pipeline.perform(second, BreaksAfterPublishing(host), pipeline.Signals())
    assert host.sites_up["blog"].release == 2
    assert "blog-2-web-1" in {str(ref) for ref in host.units}
    settle(blog, host)
    assert_served_by_its_process(blog, host, 2)


def test_what_a_person_stopped_stays_stopped_however_often_it_is_tidied(actor, blog, host, first):
    host.breaks["accounts.discard"] = CommandFailed("It can not be removed.")
    Deployment.objects.filter(pk=blog.pk).update(keep_releases=1)
    second = actions.releases.deploy(actor, blog)
    worker(host).work_once()
    Release.objects.filter(pk=second.pk).update(finished_at=None)
    actions.power.stop(actor, blog)
    worker(host).work_once()
    host.did.clear()
    for _ in range(3):
        settle(blog, host)
    assert blog.wish == Wish.STOPPED
    assert not [act for act in host.did if act.startswith(("processes.start", "sites.publish"))]
    assert "blog" not in host.sites_up
