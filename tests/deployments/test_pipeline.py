"""A release from the request to live, and every way in which it does not get there."""

from __future__ import annotations

import pytest
from tests.support.inline import Inline

from apps.core.access import Actor
from apps.core.models import User
from apps.databases import actions as databases
from apps.deployments import actions, logs
from apps.deployments.models import Deployment, Release, State, StepState
from apps.deployments.worker import Worker
from webops_host.errors import CommandFailed, DiskFull, FetchFailed, HostError, NotReady
from webops_host.fake import FakeHost
from webops_host.values import DjangoFacts

DJANGO_FILES = {
    "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
    "requirements.txt": "Django==5.2.1\n",
    "shop/__init__.py": "",
    "shop/settings.py": "SECRET_KEY = 'x'\nINSTALLED_APPS = ['django.contrib.staticfiles']\nSTATIC_URL = '/static/'\n",
    "shop/urls.py": "urlpatterns = []\n",
    "shop/wsgi.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
}
BREAKS: dict[str, HostError] = {
    "sources.fetch": FetchFailed("No such repository.", facts={"reason": "not_found"}),
    "sources.checkout": DiskFull("The disk is full."),
    "builds.python": CommandFailed("uv ended with status 1.", facts={"status": 1}),
    "builds.django": CommandFailed("migrate ended with status 1.", facts={"status": 1}),
    "processes.start": CommandFailed("It does not start.", facts={"status": 127}),
    "processes.ready": NotReady("It ended at once.", facts={"reason": "exited", "exit": 1}),
    "sites.publish": HostError("The web server refused."),
}


@pytest.fixture
def actor(owner: User) -> Actor:
    return Actor(owner)


@pytest.fixture
def work(host: FakeHost):
    worker = Worker(connect=lambda row: host, executor=Inline())
    return worker.work_once


def deploy(actor: Actor, blog: Deployment, work) -> Release:
    release = actions.releases.deploy(actor, blog)
    work()
    release.refresh_from_db()
    blog.refresh_from_db()
    return release


def test_a_static_site_goes_live(actor, blog, host, work):
    release = deploy(actor, blog, work)

    assert (release.state, release.cause) == (State.LIVE, "")
    assert host.sites_up["blog"].release == 1
    assert blog.live == release
    assert blog.url == host.urls["blog"]


def test_every_step_is_recorded_with_its_times(actor, blog, work):
    release = deploy(actor, blog, work)

    steps = list(release.steps.all())
    assert [step.name for step in steps] == [
        "fetch",
        "inspect",
        "build",
        "release",
        "start",
        "check",
        "switch",
        "finish",
    ]
    assert all(step.state in (StepState.DONE, StepState.SKIPPED) for step in steps)
    assert all(step.seconds is not None for step in steps)


def test_a_django_app_gets_a_database_a_secret_key_and_its_units(actor, blog, host, work):
    host.push(DJANGO_FILES)
    release = deploy(actor, blog, work)

    assert release.state == State.LIVE, release.cause
    unit = next(iter(host.units.values()))
    assert unit.runtime.variables["DATABASE_URL"] == host.database_urls["blog"]
    assert len(unit.runtime.variables["SECRET_KEY"]) >= 50
    assert unit.serves
    assert blog.database is not None


def test_the_secret_key_stays_the_same_over_releases(actor, blog, host, work):
    host.push(DJANGO_FILES)
    deploy(actor, blog, work)
    first = next(iter(host.units.values())).runtime.variables["SECRET_KEY"]
    host.push({**DJANGO_FILES, "shop/urls.py": "urlpatterns = [1]\n"})
    deploy(actor, blog, work)

    assert {unit.runtime.variables["SECRET_KEY"] for unit in host.units.values()} == {first}


@pytest.mark.parametrize("operation", sorted(BREAKS))
def test_a_first_release_that_breaks_leaves_nothing_behind(operation, actor, blog, host, work):
    host.push(DJANGO_FILES)
    host.breaks[operation] = BREAKS[operation]
    release = deploy(actor, blog, work)

    assert release.state == State.FAILED
    assert release.cause
    assert release.hint
    assert not host.units
    assert not host.homes["blog"]
    assert "blog" not in host.sites_up
    assert blog.live is None


def test_what_was_made_ready_for_a_release_goes_when_there_is_nothing_to_fetch(actor, blog, host, work):
    release = actions.releases.deploy(actor, blog, ref="gone")
    made = []
    host.on["accounts.discard"] = lambda values: made.append(sorted(host.homes["blog"]))
    work()

    release.refresh_from_db()
    assert (release.state, release.failure) == (State.FAILED, "branch_not_found")
    assert (made, host.homes["blog"]) == ([[1]], {})


@pytest.mark.parametrize("operation", sorted(BREAKS))
def test_rel_08_a_release_that_breaks_leaves_the_one_before_serving(operation, actor, blog, host, work):
    host.push(DJANGO_FILES)
    good = deploy(actor, blog, work)
    before = (host.sites_up["blog"], set(host.units))
    host.push({**DJANGO_FILES, "shop/migrations/0001_initial.py": "", "requirements.txt": "Django==5.2.2\n"})
    host.breaks[operation] = BREAKS[operation]
    bad = deploy(actor, blog, work)

    assert bad.state == State.FAILED
    assert blog.live == good
    assert (host.sites_up["blog"], set(host.units)) == before

    del host.breaks[operation]
    assert deploy(actor, blog, work).state == State.LIVE


def test_the_old_process_goes_only_after_the_new_one_is_live(actor, blog, host, work):
    host.push(DJANGO_FILES)
    deploy(actor, blog, work)
    host.push({**DJANGO_FILES, "shop/urls.py": "urlpatterns = [1]\n"})
    host.did.clear()
    deploy(actor, blog, work)

    order = [
        host.did.index(act)
        for act in ("sites.publish blog", "sites.drain blog-1-web-1", "processes.remove blog-1-web-1")
    ]
    assert order == sorted(order)
    assert {str(ref) for ref in host.units} == {"blog-2-web-1"}


def test_a_candidate_goes_only_after_its_visitors_when_the_switch_is_taken_back(actor, blog, host, work):
    host.push(DJANGO_FILES)
    deploy(actor, blog, work)
    host.push({**DJANGO_FILES, "shop/urls.py": "urlpatterns = [1]\n"})

    def refuse_the_second(values):
        if values["site"].release == 2:
            raise HostError("The disk is full.")

    host.breaks["sites.publish"] = refuse_the_second
    host.did.clear()
    assert deploy(actor, blog, work).state == State.FAILED

    acts = (
        "processes.start blog-2-web-1",
        "sites.publish blog",
        "sites.drain blog-2-web-1",
        "processes.remove blog-2-web-1",
    )
    order = [len(host.did) - 1 - host.did[::-1].index(act) for act in acts]
    assert order == sorted(order)


def test_a_rollback_brings_back_code_and_variables_without_a_build(actor, blog, host, work):
    host.push(DJANGO_FILES)
    actions.variables.set_many(actor, blog, {"COLOUR": "red"})
    deploy(actor, blog, work)
    actions.variables.set_many(actor, blog, {"COLOUR": "blue"})
    deploy(actor, blog, work)
    host.did.clear()
    back = actions.releases.rollback(actor, blog)
    work()
    back.refresh_from_db()

    assert (back.state, back.number, back.files) == (State.LIVE, 3, 1)
    assert [unit.runtime.variables["COLOUR"] for unit in host.units.values()] == ["red"]
    assert not [act for act in host.did if act.startswith(("builds.", "sources."))]


def test_a_rollback_that_breaks_leaves_the_newer_release_serving(actor, blog, host, work):
    host.push(DJANGO_FILES)
    deploy(actor, blog, work)
    newer = deploy(actor, blog, work)
    host.breaks["processes.ready"] = BREAKS["processes.ready"]
    actions.releases.rollback(actor, blog)
    work()

    blog.refresh_from_db()
    assert blog.live == newer
    assert host.sites_up["blog"].release == 2
    assert 1 in host.homes["blog"], "the files gone back to must not be removed"


def test_a_rollback_to_what_is_live_is_refused(actor, blog, work):
    deploy(actor, blog, work)
    with pytest.raises(actions.releases.AlreadyLive):
        actions.releases.rollback(actor, blog, number=1)


def test_a_newer_request_supersedes_one_that_waits(actor, blog, work):
    first = actions.releases.deploy(actor, blog)
    second = actions.releases.deploy(actor, blog)
    work()

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == (State.SUPERSEDED, State.LIVE)


def test_a_look_leaves_a_release_that_waits_where_it_is(actor, blog, work):
    waiting = actions.releases.deploy(actor, blog)
    assert actions.releases.inspect(actor, blog) == waiting
    work()
    waiting.refresh_from_db()
    assert waiting.state == State.LIVE


def test_rel_11_a_waiting_release_is_cancelled_at_once(actor, blog, host, work):
    release = actions.releases.deploy(actor, blog)
    actions.releases.cancel(actor, blog)
    work()

    release.refresh_from_db()
    assert release.state == State.CANCELLED
    assert host.did == []
    with pytest.raises(actions.releases.NotOpen):
        actions.releases.cancel(actor, blog)


def test_releases_beyond_what_is_kept_are_removed_from_disk(actor, blog, host, work):
    Deployment.objects.filter(pk=blog.pk).update(keep_releases=2)
    for number in range(4):
        host.push({"index.html": f"<p>{number}</p>"})
        deploy(actor, blog, work)

    assert sorted(host.homes["blog"]) == [3, 4]
    assert list(blog.releases.filter(files_kept=True).values_list("number", flat=True)) == [4, 3]
    with pytest.raises(actions.releases.NotKept):
        actions.releases.rollback(actor, blog, number=1)


def test_what_could_not_be_removed_goes_with_the_next_release(actor, blog, host, work):
    Deployment.objects.filter(pk=blog.pk).update(keep_releases=1)
    deploy(actor, blog, work)
    host.homes["blog"][1].sealed = False  # a removal takes the mark off first, and then it broke
    host.breaks["accounts.discard"] = CommandFailed("killed")
    assert deploy(actor, blog, work).state == State.LIVE
    assert sorted(host.homes["blog"]) == [1, 2]

    del host.breaks["accounts.discard"]
    deploy(actor, blog, work)
    assert sorted(host.homes["blog"]) == [3]


def test_rel_07_a_disk_below_the_floor_refuses_the_release_and_keeps_the_site(actor, blog, host, work):
    good = deploy(actor, blog, work)
    host.free = 10 << 20
    bad = deploy(actor, blog, work)

    assert (bad.state, bad.failure) == (State.FAILED, "disk_full")
    assert blog.live == good


def test_secrets_never_reach_the_log(actor, blog, host, work):
    host.push(DJANGO_FILES)
    actions.variables.set_many(actor, blog, {"STRIPE_KEY": "sk_live_canary"})
    host.prints["builds.django"] = ["the key is sk_live_canary, hush"]
    release = deploy(actor, blog, work)

    text = logs.path(release.pk).read_text()
    assert "sk_live_canary" not in text
    assert "the key is [hidden], hush" in text


def test_a_look_decides_without_running_anything(actor, blog, host, work):
    look = actions.releases.inspect(actor, blog)
    work()

    look.refresh_from_db()
    assert look.state == State.READY
    assert look.plan is not None
    assert look.number is None
    assert [act.split()[0] for act in host.did] == ["accounts.ensure", "sources.fetch"]
    assert host.homes["blog"] == {}


def test_unchanged_migrations_and_static_files_are_carried_over(actor, blog, host, work):
    host.django = DjangoFacts(django="5.2", static_url="/static/", static_files=3)
    host.push(DJANGO_FILES)
    deploy(actor, blog, work)
    host.push({**DJANGO_FILES, "shop/urls.py": "urlpatterns = [1]\n"})
    host.did.clear()
    release = deploy(actor, blog, work)

    assert "builds.carry_static blog" in host.did
    assert "builds.django blog" not in host.did
    assert release.steps.get(name="release").state == StepState.SKIPPED


def test_after_a_restore_the_next_release_migrates_and_the_one_after_it_does_not(actor, blog, host, work):
    host.push(DJANGO_FILES)
    deploy(actor, blog, work)
    blog.refresh_from_db()
    databases.replace(blog.database)
    for done in ([True], []):
        host.push({**DJANGO_FILES, "shop/urls.py": f"urlpatterns = {done}\n"})
        host.works.clear()
        assert deploy(actor, blog, work).state == State.LIVE
        assert [work.migrate for work in host.works] == done


def test_nothing_is_carried_over_from_a_server_that_is_gone(actor, blog, host, work):
    """The panel's rows came back from a backup; the files and the database of the release that was live did not."""
    host.django = DjangoFacts(django="5.2", static_url="/static/", static_files=3)
    host.push(DJANGO_FILES)
    deploy(actor, blog, work)
    host.homes["blog"].clear()
    host.push({**DJANGO_FILES, "shop/urls.py": "urlpatterns = [1]\n"})
    host.works.clear()
    assert deploy(actor, blog, work).state == State.LIVE
    assert [(work.migrate, work.collectstatic, work.static_from) for work in host.works] == [(True, True, None)]


def test_nothing_is_carried_over_where_no_static_file_was_collected(actor, blog, host, work):
    host.push(DJANGO_FILES)
    deploy(actor, blog, work)
    host.push({**DJANGO_FILES, "shop/urls.py": "urlpatterns = [1]\n"})
    host.did.clear()
    release = deploy(actor, blog, work)

    assert release.state == State.LIVE
    assert not {"builds.carry_static blog", "builds.django blog"} & set(host.did)


def test_deleting_removes_everything_also_while_a_release_waits(actor, blog, host, work):
    host.push(DJANGO_FILES)
    deploy(actor, blog, work)
    actions.releases.deploy(actor, blog)
    actions.deployments.remove(actor, blog, confirm="blog")
    work()

    assert not Deployment.objects.filter(name="blog").exists()
    assert not host.units
    assert "blog" not in host.homes
    assert "blog" not in host.database_urls
