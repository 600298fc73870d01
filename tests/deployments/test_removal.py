"""A deployment that is gone leaves its name behind as if it had never been used."""

from __future__ import annotations

import pytest
from tests.deployments.test_pipeline import DJANGO_FILES
from tests.support.inline import Inline

from apps.core.access import Actor
from apps.core.models import Team
from apps.deployments import actions
from apps.deployments.models import Deployment, State
from apps.deployments.worker import Worker
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
