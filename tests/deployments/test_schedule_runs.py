"""What ran on a schedule: kept with its outcome and the end of its output, without secrets, and not for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.support.pages import browser, live, parsed

from apps.core.clock import now
from apps.deployments import schedules
from apps.deployments.models import Schedule, ScheduleRun, WorkState
from webops_host.errors import Cancelled, CommandFailed


@pytest.fixture
def daily(blog, host) -> Schedule:
    return Schedule.objects.create(deployment=blog, expression="@daily", command="python manage.py tidy")


def never() -> bool:
    return False


def test_a_run_is_kept_with_the_end_of_what_it_printed(blog, host, daily):
    live(blog, host, 1)
    blog.variables.create(key="API_KEY", value="very-secret-value")
    host.prints["builds.run"] = [f"line {number}" for number in range(100)] + ["very-secret-value"]
    run = schedules.perform(daily, host, never)
    assert (run.state, run.outcome, run.exit_status, run.command) == ("done", "done", 0, daily.command)
    assert len(run.tail) == schedules.TAIL
    assert run.tail[-1] == "[hidden]"
    daily.refresh_from_db()
    assert daily.last_outcome == "done"


@pytest.mark.parametrize(
    ("error", "state", "outcome", "status"),
    [
        (CommandFailed("It ended with 3.", facts={"status": 3}), "failed", "failed: It ended with 3. bye", 3),
        (Cancelled("Stop."), "cancelled", "ended with the worker", None),
        (ZeroDivisionError("oops"), "failed", "failed inside WebOps; see the worker's log", None),
    ],
)
def test_how_it_failed_is_kept(error, state, outcome, status, blog, host, daily):
    live(blog, host, 1)
    host.prints["builds.run"] = ["bye"]
    host.breaks["builds.run"] = error
    run = schedules.perform(daily, host, never)
    assert (run.state, run.outcome, run.exit_status) == (state, outcome, status)


def test_without_a_live_release_it_does_not_run_and_says_so(blog, host, daily):
    assert schedules.perform(daily, host, never).outcome == "did not run: nothing is live"


def test_a_run_outlives_its_schedule_and_old_ones_go(blog, host, daily):
    live(blog, host, 1)
    for _ in range(schedules.KEPT + 2):
        ScheduleRun.objects.create(deployment=blog, expression="@daily", command="x", started_at=now())
    run = schedules.perform(daily, host, never)
    assert ScheduleRun.objects.count() == schedules.KEPT
    daily.delete()
    run.refresh_from_db()
    assert run.schedule is None


def test_a_run_that_can_not_be_going_on_is_over(blog, host):
    fresh, old = now(), now() - timedelta(hours=1)
    for at in (fresh, old):
        ScheduleRun.objects.create(deployment=blog, expression="@daily", command="x", started_at=at)
    assert schedules.reap("local") == 1
    assert schedules.reap("local") == 0
    assert ScheduleRun.objects.get(started_at=old).state == WorkState.FAILED


def test_the_page_shows_them_and_runs_one_now(blog, host, daily, mate, viewer):
    live(blog, host, 1)
    host.prints["builds.run"] = ["12 sessions removed"]
    schedules.perform(daily, host, never)
    client = browser(mate)
    assert "12 sessions removed" in parsed(client.get("/deployments/blog/commands/")).words
    assert "12 sessions removed" not in parsed(browser(viewer).get("/deployments/blog/commands/")).words
    assert client.post(f"/deployments/blog/commands/schedules/{daily.pk}/run/").status_code == 302
    assert blog.commands.get().line == daily.command
    assert client.post(f"/deployments/blog/commands/schedules/{1 << 70}/run/").status_code == 404
