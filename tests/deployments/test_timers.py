"""Commands on a schedule on a host that keeps the time itself: what it is told, and how its runs come into the rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.deployments.test_worker import worker
from tests.support.pages import PLAN
from tests.support.pages import live as live_without_files

from apps.core.access import Actor
from apps.core.clock import now
from apps.core.models import HostKind
from apps.deployments import reaper, removal, schedules, timers
from apps.deployments.actions import power
from apps.deployments.models import Deployment, Release, Schedule, ScheduleRun, State, WorkState
from apps.deployments.plan import Cron, Plan
from webops_host.errors import HostUnreachable
from webops_host.fake import FakeHost
from webops_host.timed_values import TimedCommand
from webops_host.values import ProjectLine

EVERY_MINUTE, DAILY = "* * * * *", "0 3 * * *"
TIDY = TimedCommand(EVERY_MINUTE, ProjectLine("python manage.py tidy"))
MAIL = TimedCommand(DAILY, ProjectLine("python manage.py mail"))


def plan(*commands: TimedCommand) -> Plan:
    return replace(PLAN, cron=tuple(Cron(one.schedule, one.line) for one in commands))


def live(blog: Deployment, host: FakeHost, number: int, decided: Plan) -> Release:
    host.release(blog.slug, number)
    blog.releases.filter(state=State.LIVE).update(state=State.RETIRED)
    return live_without_files(blog, host, number, decided)


@pytest.fixture
def clock(blog, host: FakeHost) -> FakeHost:
    """A host with a clock of its own, as a server is."""
    host.timers_here.keeps_time = True
    blog.host.kind = HostKind.LINUX
    blog.host.save()
    return host


@pytest.fixture
def shop(blog, clock: FakeHost) -> Release:
    """Live, with a command of every minute whose time came a while ago."""
    release = live(blog, clock, 1, plan(TIDY))
    timers.arrange(clock, release)
    Schedule.objects.update(next_at=now() - timedelta(minutes=2))
    return release


def at(moment: datetime) -> float:
    return moment.timestamp()


def test_the_host_gets_the_commands_and_the_worker_leaves_them_alone(blog, clock, shop):
    runtime, commands = clock.timers_here.arranged[blog.slug]
    assert (runtime.release, commands) == (1, (TIDY,))
    assert schedules.run_due(lambda row: clock, lambda: False) == 0
    assert ScheduleRun.objects.count() == 0


def test_a_host_without_a_clock_leaves_them_to_the_worker(blog, host):
    timers.arrange(host, live(blog, host, 1, plan(TIDY)))
    assert not Schedule.objects.get().by_host


def test_the_next_release_brings_its_own_and_what_went_keeps_its_runs(blog, clock, shop):
    clock.timers_here.come(blog.slug, TIDY.label, "tidied", at=at(now()))
    timers.arrange(clock, live(blog, clock, 2, plan(MAIL)))
    runtime, commands = clock.timers_here.arranged[blog.slug]
    assert (runtime.release, commands) == (2, (MAIL,))
    assert [(row.expression, row.by_host) for row in Schedule.objects.all()] == [(DAILY, True)]
    run = ScheduleRun.objects.get()
    assert (run.command, run.tail, run.schedule) == (TIDY.line.line, ["tidied"], None)


def test_a_release_without_commands_takes_them_away_and_asks_nothing_more(blog, clock, shop):
    last = live(blog, clock, 2, plan())
    timers.arrange(clock, last)
    assert clock.timers_here.arranged[blog.slug][1] == ()
    assert Schedule.objects.count() == 0
    clock.did.clear()
    timers.arrange(clock, last)
    assert clock.did == []


def test_what_ran_while_nobody_looked_comes_in_once(blog, clock, shop):
    began = now() - timedelta(minutes=90)
    blog.variables.create(key="API_KEY", value="very-secret-value")
    clock.timers_here.come(blog.slug, TIDY.label, "a", "very-secret-value", at=at(began))
    clock.timers_here.come(blog.slug, TIDY.label, "oh", at=at(began + timedelta(minutes=1)), status=3)
    for _ in range(2):  # the first look brings it in, the second finds nothing new
        worker(clock).look()
    failed, good = ScheduleRun.objects.all()
    assert (good.state, good.outcome, good.exit_status, good.tail) == ("done", "done", 0, ["a", "[hidden]"])
    assert (failed.state, failed.outcome) == ("failed", "failed: exited with status 3. oh")
    assert (good.started_at, good.seconds) == (began, 1.0)
    row = Schedule.objects.get()
    assert row.last_outcome == failed.outcome
    assert row.last_at == failed.started_at
    assert row.next_at > now()


def test_a_run_that_goes_on_is_shown_and_ends_later(blog, clock, shop):
    began = now() - timedelta(minutes=1)
    clock.timers_here.come(blog.slug, TIDY.label, at=at(began), status=None)
    first = worker(clock)
    first.look()
    run = ScheduleRun.objects.get()
    assert (run.state, run.finished_at) == (WorkState.RUNNING, None)
    clock.timers_here.end(blog.slug, TIDY.label, "bye", at=at(began + timedelta(seconds=30)))
    worker(clock).look()
    run.refresh_from_db()
    assert (run.state, run.seconds, run.tail) == (WorkState.DONE, 30.0, ["bye"])
    assert ScheduleRun.objects.count() == 1


def test_a_run_whose_end_nobody_saw_is_over_after_its_time(blog, clock, shop):
    began = datetime(2026, 1, 1, tzinfo=UTC)
    clock.timers_here.come(blog.slug, TIDY.label, at=at(began), status=None)
    timers.bring_in(blog, clock)
    assert ScheduleRun.objects.get().outcome == "its end is not known"


def test_the_end_of_an_old_run_is_brought_in_and_not_guessed(blog, clock, shop):
    began = now() - timedelta(hours=3)
    clock.timers_here.come(blog.slug, TIDY.label, at=at(began), status=None)
    ScheduleRun.objects.create(
        deployment=blog, expression="x", command="x", invocation=f"{1:032x}", started_at=began, schedule=None
    )
    clock.timers_here.end(blog.slug, TIDY.label, at=at(began + timedelta(seconds=5)))
    worker(clock).look()
    assert ScheduleRun.objects.get().state == WorkState.DONE


def test_a_host_that_is_away_is_asked_again(blog, clock, shop):
    clock.timers_here.come(blog.slug, TIDY.label, at=at(now()))
    clock.breaks["timers.runs"] = HostUnreachable("Away.")
    worker(clock).look()
    assert ScheduleRun.objects.count() == 0
    del clock.breaks["timers.runs"]
    worker(clock).look()
    assert ScheduleRun.objects.count() == 1


def test_nothing_is_asked_before_a_time_has_come(blog, clock, shop):
    busy = worker(clock)
    busy.look()
    clock.calls.clear()
    busy.look()
    assert not [name for name, _ in clock.calls if name.startswith("timers.")]


def test_stopped_and_started_again(blog, clock, shop, mate):
    power.stop(Actor(mate), blog)
    worker(clock).work_once()
    assert blog.slug not in clock.timers_here.arranged
    power.start(Actor(mate), blog)
    worker(clock).work_once()
    assert clock.timers_here.arranged[blog.slug][1] == (TIDY,)


def test_the_next_worker_arranges_what_a_dead_one_did_not(blog, clock):
    release = live(blog, clock, 1, plan(TIDY))
    Release.objects.filter(pk=release.pk).update(finished_at=None)
    reaper.reap(lambda row: clock)
    assert clock.timers_here.arranged[blog.slug][1] == (TIDY,)


def test_a_removed_deployment_takes_its_commands_along(blog, clock, shop):
    removal.remove(blog, clock)
    assert blog.slug not in clock.timers_here.arranged
    assert ScheduleRun.objects.count() == 0
