"""A domain that goes from one deployment to another, which may be busy."""

from __future__ import annotations

import pytest
from tests.deployments.test_worker import expire, worker
from tests.support.pages import live

from apps.core import work
from apps.core.access import Actor
from apps.deployments import errands, handover, running
from apps.deployments.actions import domains as asked
from apps.deployments.models import Deployment, Errand, ErrandKind, WorkState
from apps.deployments.plan import Kind, Plan
from webops_host.errors import BadValue

STATIC = Plan(kind=Kind.STATIC)
HELD = BadValue("www.example.com belongs to blog.", hint="Take it from there first.", facts={"holder": "blog"})


@pytest.fixture
def actor(mate) -> Actor:
    return Actor(mate)


@pytest.fixture
def shop(host, blog) -> Deployment:
    """A second deployment of the team; what the blog has on the server is refused to it."""
    made = Deployment.objects.create(team=blog.team, host=blog.host, name="shop", repository="https://github.com/a/b")
    for deployment in (blog, made):
        live(deployment, host, plan=STATIC)
    return made


def test_a_domain_that_another_deployment_could_not_let_go_of_yet_follows_by_itself(actor, blog, shop, host):
    asked.remove(actor, blog, asked.add(actor, blog, "www.example.com"))
    asked.add(actor, shop, "www.example.com")
    assert work.claim(Deployment.objects.filter(pk=blog.pk), "a release of the blog")
    host.breaks["sites.publish"] = HELD
    worker(host).work_once()
    waits = errands.newest(shop, ErrandKind.PUBLISH)
    assert (waits.state, "as soon as that has let go" in waits.hint) == (WorkState.FAILED, True)

    host.breaks.clear()
    expire(blog)
    worker(host).work_once()
    assert host.sites_up["shop"].domains == ("www.example.com",)
    assert errands.newest(shop, ErrandKind.PUBLISH).state == WorkState.DONE
    count = Errand.objects.count()
    errands.ask_ourselves(blog, ErrandKind.PUBLISH)
    worker(host).work_once()
    assert Errand.objects.count() == count + 1


def test_a_domain_that_is_let_go_meanwhile_is_had_at_once(actor, blog, shop, host):
    asked.add(actor, shop, "www.example.com")
    answers = [HELD]

    def publish(site):
        if answers:
            raise answers.pop()
        host.sites_up["shop"] = site

    errand = errands.claim(shop)
    handover.patiently(errand, lambda: publish(running.site(shop.live)))
    assert host.sites_up["shop"].domains == ("www.example.com",)


def test_another_fault_of_a_site_is_told_as_it_is(actor, blog, host):
    live(blog, host)
    host.breaks["sites.publish"] = BadValue("That is a name of the platform itself.", hint="Use another.")
    for kind in (ErrandKind.PUBLISH, ErrandKind.START, ErrandKind.RESTART):
        errands.ask(actor, blog, kind)
        worker(host).work_once()
        assert errands.newest(blog, kind).outcome == "That is a name of the platform itself."
