"""A deployment that is gone leaves its name behind as if it had never been used."""

from __future__ import annotations

import pytest
from tests.deployments.test_pipeline import DJANGO_FILES
from tests.support.inline import Inline

from apps.core.access import Actor
from apps.core.models import Team
from apps.deployments import actions, status
from apps.deployments.models import Deployment, Errand, ErrandKind, State
from apps.deployments.worker import Worker
from webops_host.errors import CommandFailed
from webops_host.fake import FakeHost


@pytest.mark.parametrize("kind", ["static", "django"])
def test_a_name_can_be_used_again_after_its_deployment_was_deleted(kind, owner, team: Team, host: FakeHost):
    if kind == "django":
        host.push(DJANGO_FILES)
    actor, work = Actor(owner), Worker(connect=lambda row: host, executor=Inline()).work_once
    for releases in (3, 1):
        made = actions.deployments.create(
            actor, team, actions.deployments.Wanted(repository="https://github.com/acme/blog", name="blog")
        )
        for _ in range(releases):
            actions.releases.deploy(actor, made)
            work()
        assert made.live is not None
        actions.deployments.remove(actor, made, confirm="blog")
        work()
        assert not Deployment.objects.filter(name="blog").exists()


def test_units_end_before_their_database_is_dropped(owner, team: Team, host: FakeHost):
    host.push(DJANGO_FILES)
    actor, work = Actor(owner), Worker(connect=lambda row: host, executor=Inline()).work_once
    made = actions.deployments.create(
        actor, team, actions.deployments.Wanted(repository="https://github.com/acme/blog", name="blog")
    )
    release = actions.releases.deploy(actor, made)
    work()
    release.refresh_from_db()
    assert release.state == State.LIVE
    actions.deployments.remove(actor, made, confirm="blog")
    work()
    did = [call for call in host.did if call.startswith(("processes.remove", "databases.drop", "accounts.remove"))]
    assert did == ["processes.remove blog-1-web-1", "databases.drop blog", "accounts.remove blog"]


def test_a_removal_that_fails_lets_others_go_first_says_why_and_is_tried_again(owner, team: Team, host: FakeHost):
    actor, ours = Actor(owner), Worker(connect=lambda row: host, executor=Inline())
    blog, shop = (
        actions.deployments.create(
            actor, team, actions.deployments.Wanted(repository="https://github.com/acme/blog", name=name)
        )
        for name in ("blog", "shop")
    )
    for made in (blog, shop):
        actions.releases.deploy(actor, made)
    ours.work_once()
    host.breaks["accounts.remove"] = CommandFailed("Its user is busy.", hint="End what runs as it.")
    actions.deployments.remove(actor, blog, confirm="blog")
    release = actions.releases.deploy(actor, shop)
    for _ in range(5):
        ours.work_once()

    release.refresh_from_db()
    assert release.state == State.LIVE
    assert len([act for act in host.did if act == "accounts.remove blog"]) == 1
    assert status.of(Deployment.objects.get(name="blog"), host).reason == (
        "It could not be removed yet: Its user is busy."
    )
    host.breaks.clear()
    Worker(connect=lambda row: host, executor=Inline()).work_once()
    assert not Deployment.objects.filter(name="blog").exists()


def test_a_removal_is_tried_again_after_its_rest(owner, blog, host: FakeHost):
    host.breaks["accounts.remove"] = CommandFailed("Its user is busy.")
    actions.deployments.remove(Actor(owner), blog, confirm="blog")
    ours = Worker(connect=lambda row: host, executor=Inline(), rest=0.0)
    for _ in range(2):
        ours.look()
    assert Errand.objects.filter(deployment=blog, kind=ErrandKind.REMOVE).count() == 1
    host.breaks.clear()
    ours.look()
    assert not Deployment.objects.filter(name="blog").exists()
