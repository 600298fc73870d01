"""Workers that die, sleep, meet each other or are told to stop: one of them acts, and what it leaves is defined."""

from __future__ import annotations

import os
import subprocess
from datetime import timedelta

import pytest
from tests.deployments.test_pipeline import DJANGO_FILES
from tests.support.inline import Inline

from apps.core import access, work
from apps.core.access import Actor
from apps.core.clock import now
from apps.core.models import AuditRecord, Membership, Role, User
from apps.deployments import actions, pipeline, reaper, steps
from apps.deployments.models import Deployment, Release, State, StepState
from apps.deployments.worker import Worker
from webops_host.errors import Cancelled, Stale
from webops_host.fake import FakeHost

AT = {
    "fetch": "sources.fetch",
    "inspect": "sources.checkout",
    "build": "builds.python",
    "release": "builds.django",
    "start": "processes.start",
    "check": "processes.ready",
    "switch": "sites.publish",
}
"""What the host is asked for in each step."""


def worker(host: FakeHost) -> Worker:
    return Worker(connect=lambda row: host, executor=Inline())


@pytest.fixture
def actor(owner: User) -> Actor:
    return Actor(owner)


def state(release: Release) -> str:
    release.refresh_from_db()
    return release.state


def expire(blog: Deployment) -> None:
    """As if nobody had renewed the lease for a while."""
    Deployment.objects.filter(pk=blog.pk).update(lease_until=now() - timedelta(seconds=1))


# --- who may still ask ---


@pytest.mark.parametrize("how", ["removed", "made a viewer", "disabled", "deleted"])
def test_az_05_a_queued_release_of_somebody_who_lost_the_role_is_held(how, blog, host, mate):
    release = actions.releases.deploy(Actor(mate), blog)
    if how == "removed":
        Membership.objects.filter(user=mate).delete()
    elif how == "made a viewer":
        Membership.objects.filter(user=mate).update(role=Role.VIEWER)
    elif how == "disabled":
        User.objects.filter(pk=mate.pk).update(is_active=False)
    else:
        mate.delete()
    worker(host).work_once()

    assert state(release) == State.CANCELLED
    assert "may no longer do this" in release.cause
    assert release.hint
    assert host.did == []
    assert AuditRecord.objects.filter(action="release.held", target="blog").count() == 1


def test_az_05_a_look_is_held_from_somebody_who_may_only_deploy(blog, host, mate):
    look = actions.releases.inspect(Actor(mate), blog)
    assert actions.releases.hold_back(look) is False
    Membership.objects.filter(user=mate).update(role=Role.VIEWER)
    assert actions.releases.hold_back(look) is True
    assert state(look) == State.CANCELLED


def test_az_05_what_runs_already_goes_on(blog, host, mate):
    """The release was allowed when it began; stopping it half-way would help nobody."""
    release = actions.releases.deploy(Actor(mate), blog)
    host.on["sources.fetch"] = lambda values: Membership.objects.filter(user=mate).delete()
    worker(host).work_once()
    assert state(release) == State.LIVE


# --- one at a time ---


def test_rel_03_two_workers_that_hear_the_same_bell_build_once(actor, blog, host):
    release = actions.releases.deploy(actor, blog)
    other = worker(host)
    host.on["sources.fetch"] = lambda values: other.work_once()  # while the first is in the middle of it
    worker(host).work_once()
    other.work_once()

    assert state(release) == State.LIVE
    assert [act for act in host.did if act.startswith("sources.fetch")] == ["sources.fetch blog"]
    assert release.attempts == 1


def test_rel_03_a_row_can_be_claimed_once(blog):
    lane = Deployment.objects.filter(pk=blog.pk)
    assert work.claim(lane, "one")
    assert not work.claim(lane, "two")
    blog.refresh_from_db()
    assert (blog.lease_owner, blog.fence) == ("one", 1)


def test_rel_03_a_worker_that_lives_is_not_taken_for_dead_where_its_process_is_hidden(tmp_path):
    """On a server each worker sees only itself below /proc."""
    owner, gone = work.new_owner(), ended()
    assert not work.is_gone(owner)
    assert not work.is_gone(owner, proc=tmp_path)
    assert work.is_gone(owner.replace(f":{os.getpid()}:", f":{gone}:"), proc=tmp_path)


def test_a_process_that_took_the_number_of_a_dead_one_is_told_apart():
    machine, pid, _, random = work.new_owner().split(":")
    assert work.is_gone(f"{machine}:{pid}:12:{random}")
    assert not work.is_gone(f"another-machine:{pid}:12:{random}")


def ended() -> int:
    """The number of a process that is no more."""
    with subprocess.Popen(("true",)) as process:
        return process.pid


def test_rel_04_a_release_whose_worker_dies_is_not_tried_for_ever(actor, blog, host):
    release = actions.releases.deploy(actor, blog)

    def die(values) -> None:
        raise KeyboardInterrupt

    host.on["builds.publish"] = die
    with pytest.raises(KeyboardInterrupt):
        pipeline.perform(claimed(release, blog), host, pipeline.Signals())
    expire(blog)
    for _ in range(3):
        worker(host).work_once()

    assert (state(release), release.failure, release.attempts) == (State.FAILED, "worker_died", 1)
    assert len([act for act in host.did if act.startswith("sources.fetch")]) == 1


def claimed(release: Release, blog: Deployment, owner: str = "old") -> Release:
    assert work.claim(Deployment.objects.filter(pk=blog.pk), owner)
    Release.objects.filter(pk=release.pk).update(state=State.RUNNING, started_at=now(), attempts=1)
    release.refresh_from_db()
    release.deployment.refresh_from_db()
    pipeline.lay_out(release)
    return release


# --- the late worker ---


def taken_over(blog: Deployment, host: FakeHost) -> None:
    """Its lease ran out while it slept, and another worker settled what it had left."""
    expire(blog)
    reaper.reap(lambda row: host)


@pytest.mark.parametrize("step", [name for name in AT if name != "switch"])
def test_priv_05_a_worker_that_wakes_up_late_can_not_act(step, actor, blog, host):
    host.push(DJANGO_FILES)
    first = actions.releases.deploy(actor, blog)
    worker(host).work_once()
    assert state(first) == State.LIVE
    host.push({**DJANGO_FILES, "requirements.txt": "Django==5.2.2\n", "shop/migrations/0001_initial.py": ""})
    late = claimed(actions.releases.deploy(actor, blog), blog)
    old = host.fenced(blog.slug, late.deployment.fence)

    def sleep(values) -> None:
        host.on.clear()
        taken_over(blog, host)
        host.did.clear()

    host.on[AT[step]] = sleep
    with pytest.raises(pipeline.LeaseLost):
        pipeline.perform(late, old, pipeline.Signals())

    assert (state(late), late.failure) == (State.FAILED, "worker_died")
    blog.refresh_from_db()
    assert blog.live == first
    assert host.sites_up["blog"].release == 1
    assert {ref.release for ref in host.units} == {1}
    assert not late.steps.filter(state=StepState.RUNNING).exists()


def test_priv_05_the_host_refuses_what_an_older_holder_asks(blog, host):
    old, new = (host.fenced(blog.slug, fence) for fence in (1, 2))
    new.accounts.ensure(blog.slug)
    with pytest.raises(Stale):
        old.accounts.ensure(blog.slug)


class SleepsAfterPublishing:
    """A host whose answer to `sites.publish` comes late."""

    def __init__(self, host, sleep) -> None:
        self._host, self._sleep, self.sites = host, sleep, self

    def __getattr__(self, name: str):
        return getattr(self._host if hasattr(self._host, name) else self._host.sites, name)

    def publish(self, site):
        address = self._host.sites.publish(site)
        self._sleep()
        return address


def test_rel_12_a_worker_that_slept_after_the_switch_puts_no_old_release_back(actor, blog, host):
    late = claimed(actions.releases.deploy(actor, blog), blog)
    newer: list[Release] = []

    def sleep() -> None:
        """Right after the site was switched, before the rows say so."""
        taken_over(blog, host)
        newer.append(actions.releases.deploy(actor, blog))
        worker(host).work_once()

    drowsy = SleepsAfterPublishing(host.fenced(blog.slug, late.deployment.fence), sleep)
    with pytest.raises(pipeline.LeaseLost):
        pipeline.perform(late, drowsy, pipeline.Signals())

    assert (state(newer[0]), state(late)) == (State.LIVE, State.RETIRED)
    assert host.sites_up["blog"].release == 2


def test_rel_12_rows_of_a_settled_release_are_not_made_live(actor, blog, host):
    release = actions.releases.deploy(actor, blog)
    Release.objects.filter(pk=release.pk).update(state=State.FAILED)
    with pytest.raises(Stale):
        steps.mark_live(release, "http://127.0.0.1:1")
    assert state(release) == State.FAILED


def test_rel_12_a_lease_that_was_taken_over_is_neither_renewed_nor_given_back(blog):
    lane = Deployment.objects.filter(pk=blog.pk)
    work.claim(lane, "old")
    expire(blog)
    assert work.claim(lane, "new")
    assert not work.renew(lane, "old", 1)
    work.release(lane, "old", 1)
    blog.refresh_from_db()
    assert (blog.lease_owner, blog.fence) == ("new", 2)


# --- time ---


def test_rel_13_a_worker_does_not_lose_what_it_works_on_when_the_clock_jumps(actor, blog, host):
    release = actions.releases.deploy(actor, blog)
    ours = worker(host)

    def jump(values) -> None:
        expire(blog)  # an hour later, or the lid was closed
        ours._reaped_at = None
        ours.look()

    host.on["builds.publish"] = jump
    ours.work_once()
    assert (state(release), release.failure) == (State.LIVE, "")


def test_rel_05_how_long_a_release_waited_does_not_count(actor, blog, host):
    release = actions.releases.deploy(actor, blog)
    Release.objects.filter(pk=release.pk).update(created_at=now() - timedelta(days=1))
    ours = worker(host)
    host.on["sources.fetch"] = lambda values: tend(ours)
    ours.work_once()
    assert state(release) == State.LIVE


def test_a_release_that_takes_too_long_is_ended_and_says_so(actor, blog, host):
    release = actions.releases.deploy(actor, blog)
    ours = Worker(connect=lambda row: host, executor=Inline(), deadline=-1.0)
    host.on["sources.fetch"] = lambda values: tend(ours)
    ours.work_once()
    assert (state(release), release.cause) == (State.CANCELLED, "It took longer than the platform allows.")


def tend(ours: Worker) -> None:
    """What the pulse does, now."""
    for job in list(ours._jobs.values()):
        ours._tend(job, renew=True)


def test_rel_13_leases_and_deadlines_use_one_clock():
    from tests.shape.tree import PRODUCT, named

    readers = [
        named(path)
        for path in PRODUCT
        if named(path).startswith("control-panel/apps/")
        and any(word in path.read_text() for word in ("timezone.now(", "datetime.now(", "utcnow(", "time.time("))
    ]
    assert readers == ["control-panel/apps/core/clock.py"]


# --- cancelling ---


@pytest.mark.parametrize("step", AT)
def test_rel_11_a_release_is_cancelled_in_every_step(step, actor, blog, host, mate):
    host.push(DJANGO_FILES)
    release = actions.releases.deploy(actor, blog)
    signals = pipeline.Signals()

    def cancel(values) -> None:
        actions.releases.cancel(actor, blog)
        actions.releases.cancel(Actor(mate), blog)  # two at once
        signals.cancel.set()
        if "console" in values:
            raise Cancelled("Stopped.")

    host.on[AT[step]] = cancel
    pipeline.perform(claimed(release, blog), host, signals)

    if step == "switch":  # it was live before anybody could stop it
        assert state(release) == State.LIVE
        return
    assert (state(release), release.cause) == (State.CANCELLED, "Cancelled by a person.")
    assert not host.units
    assert "blog" not in host.sites_up
    with pytest.raises(actions.releases.NotOpen):
        actions.releases.cancel(actor, blog)
    host.on.clear()
    work.release(Deployment.objects.filter(pk=blog.pk), "old", 1)
    following = actions.releases.deploy(actor, blog)
    worker(host).work_once()
    assert state(following) == State.LIVE, "the queue goes on"


def test_rel_11_what_is_live_can_not_be_cancelled(actor, blog, host):
    release = actions.releases.deploy(actor, blog)
    worker(host).work_once()
    assert state(release) == State.LIVE
    with pytest.raises(actions.releases.NotOpen):
        actions.releases.cancel(actor, blog, release=release)


def test_rel_11_a_cancelled_release_is_cancelled_by_the_pulse_of_its_worker(actor, blog, host):
    release = actions.releases.deploy(actor, blog)
    ours = worker(host)

    def cancel(values) -> None:
        actions.releases.cancel(actor, blog)
        job = next(iter(ours._jobs.values()), None) or pytest.fail("no job")
        ours._tend(job, renew=True)

    host.on["sources.fetch"] = cancel
    ours.work_once()
    assert state(release) == State.CANCELLED


def test_every_role_that_may_not_deploy_is_known_here():
    able = {role for role, capabilities in access.POLICY.items() if access.Capability.DEPLOY in capabilities}
    assert set(Role) - able == {Role.VIEWER}
