"""How a site behaves: what may be chosen, what the host is told, and what stays secret."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.deployments.test_worker import worker
from tests.support.pages import PLAN, browser, live, parsed

from apps.core.access import Actor
from apps.core.errors import Conflict, Forbidden, Invalid, Missing
from apps.core.models import AuditRecord
from apps.deployments import running, sites
from apps.deployments.actions import site
from apps.deployments.models import Errand
from apps.deployments.plan import Cron, Kind, Plan, Process
from webops_host.names import ProcessKind
from webops_host.site_options import Cdn, SiteOptions
from webops_host.values import ProjectLine

STATIC = Plan(kind=Kind.STATIC)
WITH_WORKER = replace(PLAN, processes=(*PLAN.processes, Process(ProcessKind("worker"), ProjectLine("work"))))


@pytest.fixture
def actor(mate) -> Actor:
    return Actor(mate)


def test_every_choice_reaches_the_host(actor, blog, host):
    live(blog, host, 1, STATIC)
    site.change(
        actor, blog, maintenance=True, allow=["203.0.113.0/24", "2001:db8::7"], body_limit_mib=7, cdn="cloudflare",
        hsts=False, fallback=True,
    )  # fmt: skip
    worker(host).work_once()
    up = host.sites_up[blog.slug]
    assert up.fallback is True
    assert (up.options.maintenance, up.options.allow) == (True, ("203.0.113.0/24", "2001:db8::7"))
    assert (up.options.body_limit_mib, up.options.cdn, up.options.hsts) == (7, Cdn.CLOUDFLARE, False)
    site.change(actor, blog, maintenance=False, allow=[], body_limit_mib=100, cdn="none", hsts=True, fallback=None)
    worker(host).work_once()
    assert blog.site == {}  # what is as usual is not kept
    assert (host.sites_up[blog.slug].options, host.sites_up[blog.slug].fallback) == (SiteOptions(), False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("body_limit_mib", 0), ("body_limit_mib", 99_999), ("body_limit_mib", "7"), ("body_limit_mib", True),
        ("allow", ["0.0.0.0/0; deny all"]), ("allow", ["203.0.113.7/24"]), ("allow", ["example.com"]), ("allow", "x"),
        ("cdn", "other"), ("maintenance", "yes"), ("sleep_minutes", -1), ("sleep_minutes", 10**9), ("hsts", 1),
        ("wall", []), ("rounds", 1),
    ],
)  # fmt: skip
def test_inj_09_what_can_not_be_chosen_is_refused_with_its_field(name, value, actor, blog, host):
    with pytest.raises(Invalid) as refused:
        site.change(actor, blog, **{name: value})
    assert name in refused.value.fields
    assert not Errand.objects.exists()


def test_sec_01_a_password_is_kept_as_a_hash_and_shown_nowhere(actor, blog, host, mate):
    live(blog, host, 1, STATIC)
    site.let_in(actor, blog, "guest", "correct horse battery")
    worker(host).work_once()
    (entry,) = host.sites_up[blog.slug].options.wall
    assert entry.visitor == "guest"
    assert entry.password.startswith("$6$")
    assert "correct horse" not in json.dumps(blog.site) + repr(list(AuditRecord.objects.values("detail")))
    page = browser(mate).get("/deployments/blog/site/").content.decode()
    assert "guest" in page
    assert entry.password not in page
    assert "$6$" not in repr(host.sites_up[blog.slug])


def test_somebody_else_or_another_password_or_nobody(actor, blog, host):
    site.let_in(actor, blog, "guest", "correct horse battery")
    first = blog.site["wall"][0]["password"]
    site.let_in(actor, blog, "guest", "another password")
    site.let_in(actor, blog, "boss", "a third password")
    assert [entry["visitor"] for entry in blog.site["wall"]] == ["guest", "boss"]
    assert blog.site["wall"][0]["password"] != first
    site.shut_out(actor, blog, "guest")
    site.shut_out(actor, blog, "nobody")
    assert [entry["visitor"] for entry in blog.site["wall"]] == ["boss"]


@pytest.mark.parametrize(
    ("visitor", "password", "field"),
    [
        ("a:b", "long enough", "visitor"), ("a\nb", "long enough", "visitor"), ("", "long enough", "visitor"),
        ("guest", "short", "password"), ("guest", "x" * 201, "password"), ("guest", "with\nlines in it", "password"),
    ],
)  # fmt: skip
def test_a_name_or_password_that_no_browser_can_send_is_refused(visitor, password, field, actor, blog, host):
    with pytest.raises(Invalid) as refused:
        site.let_in(actor, blog, visitor, password)
    assert field in refused.value.fields


def test_what_sleeps_has_nothing_to_do_without_visitors(actor, blog, host):
    live(blog, host, 1)
    site.change(actor, blog, sleep_minutes=30)
    worker(host).work_once()
    (unit,) = running.units(blog.live)
    assert unit.sleep_minutes == 30
    assert host.units[unit.ref].sleep_minutes == 30  # without a release


@pytest.mark.parametrize(
    "plan", [WITH_WORKER, replace(PLAN, cron=(Cron("@daily", ProjectLine("tidy")),))], ids=["worker", "schedule"]
)
def test_what_has_workers_or_schedules_never_sleeps(plan, actor, blog, host):
    live(blog, host, 1, plan)
    with pytest.raises(Conflict) as refused:
        site.change(actor, blog, sleep_minutes=30)
    assert refused.value.code == "never_sleeps"
    blog.site = {"sleep_minutes": 30}  # chosen before the worker came
    blog.save()
    assert [unit.sleep_minutes for unit in running.units(blog.live)] == [0] * len(running.units(blog.live))


def test_az_02_only_those_who_may_configure(blog, host, viewer, stranger):
    for act in (
        lambda who: site.change(who, blog, maintenance=True),
        lambda who: site.let_in(who, blog, "guest", "a long password"),
        lambda who: site.shut_out(who, blog, "guest"),
    ):
        with pytest.raises(Forbidden):
            act(Actor(viewer))
        with pytest.raises(Missing):
            act(Actor(stranger))
    assert blog.site == {}


def test_the_page_changes_shows_mistakes_and_goes_on(blog, host, mate):
    live(blog, host, 1, STATIC)
    client = browser(mate)
    good = {"maintenance": "on", "allow": "203.0.113.7\r\n2001:db8::/32", "body_limit_mib": "20", "fallback": "true",
            "cdn": "none", "hsts": "on", "sleep_minutes": "0"}  # fmt: skip
    assert client.post("/deployments/blog/site/", good).status_code == 302
    blog.refresh_from_db()
    kept = sites.kept(blog)
    assert (kept.maintenance, kept.allow, kept.fallback) == (True, ("203.0.113.7", "2001:db8::/32"), True)
    page = client.post("/deployments/blog/site/", {**good, "allow": "everybody"})
    assert page.status_code == 400
    assert "is not" in parsed(page).words
    wall = client.post("/deployments/blog/site/wall/", {"visitor": "guest", "password": "short"})
    assert wall.status_code == 400
    assert "short" not in wall.content.decode().replace("shorter", "")
    assert (
        client.post("/deployments/blog/site/wall/", {"visitor": "guest", "password": "long enough"}).status_code == 302
    )
    assert client.post("/deployments/blog/site/wall/remove/", {"visitor": "guest"}).status_code == 302
    blog.refresh_from_db()
    assert "wall" not in blog.site
