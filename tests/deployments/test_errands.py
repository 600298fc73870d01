"""Errands: short work in a deployment's lane, by whoever holds it, once, and by nobody who may not any more."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from tests.deployments.test_worker import expire, worker
from tests.support.pages import live, release

from apps.core import work
from apps.core.access import Actor
from apps.core.clock import now
from apps.core.errors import Conflict, Forbidden, Missing
from apps.core.models import AuditRecord, Membership
from apps.deployments import errands
from apps.deployments.actions import power, releases
from apps.deployments.models import Deployment, Errand, ErrandKind, State, Wish, WorkState
from webops_host.errors import Cancelled, CommandFailed, Stale


@pytest.fixture
def actor(mate) -> Actor:
    return Actor(mate)


def last(blog: Deployment) -> Errand:
    return Errand.objects.filter(deployment=blog).first()


def test_the_web_process_only_adds_a_row(actor, blog, host):
    live(blog, host, 1)
    host.did.clear()
    power.stop(actor, blog)
    assert host.did == []
    worker(host).work_once()
    assert host.did == ["sites.unpublish blog", "processes.stop blog-1-web-1"]
    assert (last(blog).state, last(blog).outcome) == (WorkState.DONE, "Stopped.")


def test_errands_of_a_lane_are_done_in_their_order_and_releases_after_them(actor, blog, host):
    live(blog, host, 1)
    host.did.clear()
    made = releases.deploy(actor, blog)
    errands.ask(actor, blog, ErrandKind.PUBLISH)
    worker(host).work_once()
    assert host.did[0] == "sites.publish blog"
    made.refresh_from_db()
    assert made.state == State.LIVE


def test_an_errand_waits_for_the_release_that_runs(actor, blog, host):
    live(blog, host, 1)
    release(blog, 2, State.RUNNING)
    power.restart(actor, blog)
    assert work.claim(Deployment.objects.filter(pk=blog.pk), "another worker")
    worker(host).look()
    assert last(blog).state == WorkState.QUEUED


def test_one_of_a_kind_waits_at_most_and_the_last_switch_counts(actor, blog, host):
    live(blog, host, 1)
    power.stop(actor, blog)
    power.stop(actor, blog)
    power.start(actor, blog)
    states = list(Errand.objects.order_by("pk").values_list("kind", "state"))
    assert states == [("stop", "cancelled"), ("start", "queued")]
    blog.refresh_from_db()
    assert blog.wish == Wish.UP


def test_a_failure_says_what_and_what_to_do(actor, blog, host):
    live(blog, host, 1)
    host.breaks["sites.publish"] = CommandFailed("nginx said no.", hint="Look at its log.")
    errands.ask(actor, blog, ErrandKind.PUBLISH)
    worker(host).work_once()
    found = errands.standing(blog)
    assert (found.state, found.outcome, found.hint) == (WorkState.FAILED, "nginx said no.", "Look at its log.")
    host.breaks.clear()
    errands.ask(actor, blog, ErrandKind.PUBLISH)
    worker(host).work_once()
    assert errands.standing(blog) is None


def test_an_error_of_ours_is_no_end_of_the_worker(actor, blog, host):
    live(blog, host, 1)
    host.breaks["sites.publish"] = ZeroDivisionError("oops")
    errands.ask(actor, blog, ErrandKind.PUBLISH)
    worker(host).work_once()
    assert last(blog).outcome == "It failed inside WebOps."


def test_az_05_an_errand_of_somebody_who_lost_the_role_is_held_back(actor, blog, host, mate):
    live(blog, host, 1)
    host.did.clear()
    power.stop(actor, blog)
    Membership.objects.filter(user=mate).delete()
    worker(host).work_once()
    assert (last(blog).state, host.did) == (WorkState.CANCELLED, [])
    assert "may no longer" in last(blog).outcome


def test_what_the_platform_asks_itself_is_done_for_nobody(blog, host):
    live(blog, host, 1)
    errands.ask_ourselves(blog, ErrandKind.PUBLISH)
    errands.ask_ourselves(blog, ErrandKind.PUBLISH)
    assert Errand.objects.count() == 1
    worker(host).work_once()
    assert last(blog).state == WorkState.DONE


@pytest.mark.parametrize("verb", [power.start, power.stop, power.restart])
def test_az_02_the_switch_is_for_developers_of_the_team(verb, blog, host, viewer, stranger):
    live(blog, host, 1)
    with pytest.raises(Forbidden):
        verb(Actor(viewer), blog)
    with pytest.raises(Missing):
        verb(Actor(stranger), blog)
    assert not Errand.objects.exists()
    assert not AuditRecord.objects.exists()


def test_what_is_stopped_or_not_there_can_not_be_restarted(actor, blog, host):
    with pytest.raises(Conflict, match="no live release"):
        power.start(actor, blog)
    live(blog, host, 1)
    power.stop(actor, blog)
    with pytest.raises(Conflict, match="is stopped"):
        power.restart(actor, blog)


# --- workers that die, sleep and meet ---


def test_rel_03_an_errand_is_claimed_once(actor, blog, host):
    live(blog, host, 1)
    errands.ask(actor, blog, ErrandKind.PUBLISH)
    assert errands.claim(blog) is not None
    assert errands.claim(blog) is None


def test_rel_04_what_a_dead_worker_left_is_done_again_and_not_for_ever(actor, blog, host):
    live(blog, host, 1)
    errands.ask(actor, blog, ErrandKind.PUBLISH)
    for attempt in range(1, errands.ATTEMPTS + 1):
        assert work.claim(Deployment.objects.filter(pk=blog.pk), "dead")
        assert errands.claim(blog).attempts == attempt
        assert errands.reap("local") == 0  # it is held
        expire(blog)
        assert errands.reap("local") == 1
    assert last(blog).state == WorkState.FAILED
    assert errands.reap("local") == 0


def test_a_worker_that_is_stopped_gives_it_back(actor, blog, host):
    live(blog, host, 1)
    host.breaks["sites.publish"] = Cancelled("The worker was stopped.")
    errands.ask(actor, blog, ErrandKind.PUBLISH)
    going = errands.claim(blog)
    errands.perform(going, host, lambda: True)
    assert last(blog).state == WorkState.QUEUED


def test_priv_05_a_worker_that_slept_leaves_it_to_the_newer_one(actor, blog, host):
    live(blog, host, 1)
    errands.ask(actor, blog, ErrandKind.PUBLISH)
    going = errands.claim(blog)
    host.fenced(blog.slug, 9).sites.publish(host.sites_up[blog.slug])
    with pytest.raises(Stale):
        errands.perform(going, host.fenced(blog.slug, 8), lambda: False)
    assert last(blog).state == WorkState.RUNNING


def test_what_was_handed_over_is_gone_when_it_is_over(actor, blog, host):
    live(blog, host, 1)
    errands.ask(actor, blog, ErrandKind.UPLOAD, arguments={"chain": "no"}, secret="very-secret-key")
    first = last(blog)
    errands.ask(actor, blog, ErrandKind.UPLOAD, arguments={"chain": "no"}, secret="another-secret-key")
    first.refresh_from_db()
    assert (first.state, first.secret) == (WorkState.CANCELLED, "")
    worker(host).work_once()
    assert (last(blog).state, last(blog).secret) == (WorkState.FAILED, "")


def test_those_that_are_over_do_not_pile_up(actor, blog, host):
    live(blog, host, 1)
    old = now() - timedelta(days=1)
    Errand.objects.bulk_create(
        Errand(deployment=blog, kind="publish", state="done", created_at=old) for _ in range(errands.KEPT + 5)
    )
    errands.ask(actor, blog, ErrandKind.PUBLISH)
    worker(host).work_once()
    assert Errand.objects.count() == errands.KEPT


def test_a_deployment_that_is_being_deleted_has_no_errands(actor, blog, host):
    live(blog, host, 1)
    errands.ask(actor, blog, ErrandKind.PUBLISH)
    Deployment.objects.update(wish=Wish.DELETED)
    worker(host).work_once()
    assert not Errand.objects.exists()
    assert json.dumps(host.did).count("sites.publish") == 1  # the one of the set-up
