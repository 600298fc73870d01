"""Copies, workers and limits: kept within the platform's most, and applied by a release of the same commit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.deployments.test_pipeline import DJANGO_FILES
from tests.deployments.test_worker import worker
from tests.support.pages import PLAN, browser, live, parsed

from apps.core.access import Actor
from apps.core.errors import Conflict, Forbidden, Invalid, Missing
from apps.deployments import actions, looking, running
from apps.deployments.actions import scaling
from apps.deployments.models import Release, ReleaseKind, State
from apps.deployments.plan import Process
from webops_host.errors import HostUnreachable
from webops_host.fake import FakeHost
from webops_host.names import ProcessKind
from webops_host.values import ProjectLine

WITH_WORKER = replace(PLAN, processes=(*PLAN.processes, Process(ProcessKind("worker"), ProjectLine("work"), count=2)))
FILES = {**DJANGO_FILES, "Procfile": "web: gunicorn shop.wsgi\nworker: python manage.py work\n"}


@pytest.fixture
def actor(mate) -> Actor:
    return Actor(mate)


def test_a_change_is_a_release_of_the_commit_that_is_live(actor, blog, host):
    live(blog, host, 1, WITH_WORKER)
    made = scaling.scale(actor, blog, copies={"worker": 3}, limits={"memory_mib": 256, "tasks": 64})
    assert (made.ref, made.trigger, made.state) == (blog.live.commit, "scale", State.QUEUED)
    assert blog.overrides == {"counts": {"worker": 3}, "memory_mib": 256, "tasks": 64}
    assert scaling.scale(actor, blog, copies={"worker": 3}) is None
    assert scaling.scale(actor, blog) is None
    assert blog.releases.count() == 2


def test_it_takes_nothing_back_that_goes_live_before_it(actor, blog, host):
    host.push(FILES)
    actions.releases.deploy(actor, blog)
    worker(host).work_once()
    newest = host.push({**FILES, "new.txt": "new"})
    waiting = actions.releases.deploy(actor, blog)
    assert scaling.scale(actor, blog, copies={"worker": 3}) == waiting, "the one that waits takes it along"

    made: list[Release] = []
    host.on["sources.fetch"] = lambda values: made.append(scaling.scale(actor, blog, copies={"worker": 2}))
    worker(host).work_once()
    assert (blog.live.commit, blog.live.trigger) == (newest, "scale")
    assert [unit.ref.index for unit in running.units(blog.live) if unit.ref.kind == "worker"] == [1, 2]


def test_it_is_refused_while_going_back_waits(actor, blog, host):
    live(blog, host, 1, WITH_WORKER)
    blog.releases.create(number=2, kind=ReleaseKind.ROLLBACK, state=State.QUEUED)
    with pytest.raises(Conflict, match="rollback"):
        scaling.scale(actor, blog, copies={"worker": 3})
    blog.refresh_from_db()
    assert blog.overrides == {}


def test_it_runs_like_that_afterwards(actor, blog, host):
    host.push(FILES)
    actions.releases.deploy(actor, blog)
    worker(host).work_once()
    assert [unit.ref.kind for unit in running.units(blog.live)] == ["web", "worker"]
    before = host.branches["main"]
    host.push({**FILES, "new.txt": "not yet"})
    scaling.scale(actor, blog, copies={"worker": 3}, limits={"memory_mib": 300, "cpu_percent": 50, "tasks": 40})
    worker(host).work_once()
    assert (blog.live.number, blog.live.commit) == (2, before)
    units = running.units(blog.live)
    assert [(unit.ref.kind, unit.ref.index) for unit in units] == [("web", 1), *(("worker", n) for n in (1, 2, 3))]
    limits = units[0].runtime.limits
    assert (limits.memory_mib, limits.cpu_percent, limits.tasks) == (300, 50, 40)
    scaling.scale(actor, blog, copies={"worker": 0})
    worker(host).work_once()
    assert [unit.ref.kind for unit in running.units(blog.live)] == ["web"]
    assert [scale.kind for scale in scaling.standing(blog).processes] == ["web", "worker"]  # it can come back


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"copies": {"worker": -1}}, "worker"), ({"copies": {"worker": 9}}, "worker"), ({"copies": {"web": 2}}, "web"),
        ({"copies": {"web": 0}}, "web"), ({"copies": {"other": 1}}, "other"), ({"copies": {"worker": True}}, "worker"),
        ({"limits": {"memory_mib": 63}}, "memory_mib"), ({"limits": {"memory_mib": 4097}}, "memory_mib"),
        ({"limits": {"cpu_percent": 10**12}}, "cpu_percent"), ({"limits": {"tasks": 1}}, "tasks"),
        ({"limits": {"disk": 1}}, "disk"), ({"limits": {"memory_mib": "1G\nUser=root"}}, "memory_mib"),
        ({"workers": 0}, "workers"), ({"workers": 99}, "workers"),
    ],
)  # fmt: skip
def test_inj_09_what_can_not_be_had_is_refused_with_its_field(wanted, field, actor, blog, host):
    live(blog, host, 1, WITH_WORKER)
    with pytest.raises(Invalid) as refused:
        scaling.scale(actor, blog, **wanted)
    assert field in refused.value.fields
    assert blog.releases.count() == 1


class SmallHost(FakeHost):
    """One whose platform gives little."""

    def describe(self):
        return {**super().describe(), "most_memory_mib": "128", "most_cpu_percent": "50", "most_tasks": "32"}


def test_the_most_is_what_the_host_says(blog, host):
    assert looking.platform_limits(SmallHost()).memory_mib == 128
    assert scaling.most(blog)["memory_mib"] == 4096  # of one that says nothing
    host.breaks["host.describe"] = HostUnreachable("Away.")
    assert scaling.most(blog)["memory_mib"] == 4096


def test_without_a_live_release_there_is_nothing_to_scale(actor, blog, host):
    assert scaling.standing(blog).processes == ()
    with pytest.raises(Conflict, match="no live release"):
        scaling.scale(actor, blog, limits={"memory_mib": 128})


def test_az_02_only_those_who_may_configure(blog, host, viewer, stranger):
    live(blog, host, 1, WITH_WORKER)
    with pytest.raises(Forbidden):
        scaling.scale(Actor(viewer), blog, copies={"worker": 1})
    with pytest.raises(Missing):
        scaling.scale(Actor(stranger), blog, copies={"worker": 1})


def test_the_form_on_the_page(blog, host, mate):
    live(blog, host, 1, WITH_WORKER)
    client = browser(mate)
    same = {"workers": "1", "copies-worker": "2", "memory_mib": "512", "cpu_percent": "100", "tasks": "128"}
    assert client.post("/deployments/blog/scale/", same)["Location"] == "/deployments/blog/processes/"
    wrong = client.post("/deployments/blog/scale/", {**same, "memory_mib": "9999999"})
    assert wrong.status_code == 400
    assert "Use a whole number from 64 to 4096." in parsed(wrong).words
    assert client.post("/deployments/blog/scale/", {**same, "copies-worker": "99"}).status_code == 400
    made = client.post("/deployments/blog/scale/", {**same, "copies-worker": "4", "workers": "2"})
    assert made["Location"] == "/deployments/blog/releases/2/"
    blog.refresh_from_db()
    assert blog.overrides == {"counts": {"worker": 4}, "workers": 2}
