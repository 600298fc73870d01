"""Pages of deployments: the list, one deployment, its releases, what a role sees of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.test.utils import CaptureQueriesContext
from tests.deployments.test_worker import worker
from tests.support.pages import PLAN, browser, live, parsed, release

from apps.core.clock import now
from apps.deployments.models import Deployment, ReleaseStep, State, StepState, Wish
from apps.deployments.plan import Kind, Plan, Problem, Severity
from webops_host.errors import CommandFailed
from webops_host.names import ProcessKind, VariableKey
from webops_host.values import UnitRef

STATIC = Plan(kind=Kind.STATIC)


def words(client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return parsed(response).words


def test_the_list_shows_the_true_status_and_what_changed_last(blog, host, owner):
    live(blog, host, 1)
    shown = words(browser(owner), "/deployments/")
    assert "blog Running" in shown
    assert "#1 Add a page" in shown
    assert "Django 5.2 on Python 3.12" in shown
    host.crash(UnitRef(blog.slug, 1, ProcessKind("web")), reason="killed: out of memory")
    shown = words(browser(owner), "/deployments/")
    assert "Crashed" in shown
    assert "killed: out of memory" in shown


def test_a_program_that_ends_again_and_again_is_told_though_it_runs_just_now(blog, host, owner):
    """Each time it lives for too long to be given up on."""
    live(blog, host, 1)
    web = UnitRef(blog.slug, 1, ProcessKind("web"))
    lately = now().timestamp() - 20
    for restarts, since, is_told in ((4, lately, False), (7, lately - 3600, False), (7, lately, True)):
        host.states[web] = replace(host.states[web], restarts=restarts, since=since)
        shown = words(browser(owner), "/deployments/")
        assert ("Degraded" in shown) is ("it ended and was started again 7 times" in shown) is is_told


def test_an_empty_list_teaches_how_to_begin(team, host, owner, viewer):
    shown = words(browser(owner), "/deployments/")
    assert "Paste the address of a Git repository" in shown
    assert "webops create hello --repo https://github.com/mdn/beginner-html-site-styled --wait" in shown
    assert "needs the role developer, admin or owner" in words(browser(viewer), "/deployments/")


def test_the_list_holds_only_deployments_of_ones_own_teams(blog, host, stranger):
    assert "blog" not in words(browser(stranger), "/deployments/")


def test_the_list_finds_by_name(blog, host, owner):
    assert "No deployment has “shop” in its name" in words(browser(owner), "/deployments/?q=shop")
    assert "blog" in words(browser(owner), "/deployments/?q=LO")


def another(blog: Deployment, number: int) -> Deployment:
    return Deployment.objects.create(
        team=blog.team, host=blog.host, name=f"site-{number}", repository=f"https://github.com/acme/s{number}"
    )


@pytest.mark.parametrize("path", ["/deployments/", "/databases/"])
def test_ten_deployments_cost_as_many_queries_as_one(path, blog, host, owner, django_assert_num_queries):
    from django.db import connection

    live(blog, host, 1, STATIC)
    client = browser(owner)
    client.get(path)
    with CaptureQueriesContext(connection) as one:
        client.get(path)
    for number in range(9):
        made = another(blog, number)
        release(made, 1, State.RETIRED)
        live(made, host, 2)
    with django_assert_num_queries(len(one)):
        client.get(path)
    assert len(one) <= 12


def test_a_viewer_sees_buttons_that_say_which_role_they_need(blog, host, viewer, owner):
    live(blog, host, 1)
    for path in ("", "variables/", "processes/", "settings/", "delete/"):
        page = parsed(browser(viewer).get(f"/deployments/blog/{path}"))
        assert page.disabled, path
        assert all(title.startswith("Needs the role ") for title in page.disabled), path
        assert not parsed(browser(owner).get(f"/deployments/blog/{path}")).disabled, path


def test_a_draft_goes_on_where_its_making_stopped(blog, host, owner):
    response = browser(owner).get("/deployments/blog/")
    assert (response.status_code, response["Location"]) == (302, "/deployments/blog/look/")


def test_deploy_leads_to_the_release(blog, host, owner):
    live(blog, host, 1)
    response = browser(owner).post("/deployments/blog/deploy/")
    assert response["Location"] == "/deployments/blog/releases/2/"
    assert blog.releases.get(number=2).trigger == "page"


def test_cancel_stops_what_waits(blog, host, owner):
    live(blog, host, 1)
    client = browser(owner)
    client.post("/deployments/blog/deploy/")
    assert client.post("/deployments/blog/cancel/", {"number": "2"})["Location"] == "/deployments/blog/releases/2/"
    assert blog.releases.get(number=2).state == State.CANCELLED
    assert client.post("/deployments/blog/cancel/").status_code == 409


def test_a_release_shows_its_steps_with_what_they_took_last_time(blog, host, owner):
    before = live(blog, host, 1)
    step = before.steps.get()
    step.finished_at = step.started_at.replace(microsecond=0) + (step.finished_at - step.started_at)
    ReleaseStep.objects.filter(pk=step.pk).update(started_at=step.started_at)
    running = release(blog, 2, State.RUNNING)
    running.steps.update(state=StepState.RUNNING, finished_at=None)
    response = browser(owner).get("/deployments/blog/releases/2/")
    assert 'data-open="yes"' in response.content.decode()
    assert "/deployments/blog/releases/2/events" in response.content.decode()
    assert "about 0.0 s" in parsed(response).words
    assert '<noscript><meta http-equiv="refresh"' in response.content.decode()


def test_a_failure_says_its_cause_its_proof_its_remedy_and_that_the_site_is_up(blog, host, owner):
    live(blog, host, 1)
    release(blog, 2, State.FAILED, cause="Pillow does not build.", hint="Raise it.", evidence=["error: <gcc> failed"])
    response = browser(owner).get("/deployments/blog/releases/2/")
    shown = parsed(response).words
    assert "Pillow does not build. Raise it. error: <gcc> failed" in shown
    assert "Your site was not affected: release #1 still serves." in shown
    assert "<gcc>" not in response.content.decode()


def test_a_rollback_says_what_comes_back_before_it_is_done(blog, host, owner):
    older = replace(PLAN, django=replace(PLAN.django, migrations="zero"))
    release(blog, 1, State.RETIRED, older, variables='{"MODE": "very old", "SAME": "1"}')
    live(blog, host, 2)
    blog.releases.filter(number=2).update(variables=None)
    made = blog.releases.get(number=2)
    made.variables = '{"MODE": "new", "SAME": "1"}'
    made.save()
    client = browser(owner)
    shown = words(client, "/deployments/blog/releases/1/rollback/")
    assert "go back to what they were: MODE" in shown
    assert "The migrations of the two releases differ." in shown
    assert "very old" not in shown
    assert client.post("/deployments/blog/releases/1/rollback/")["Location"] == "/deployments/blog/releases/3/"
    assert blog.releases.get(number=3).back_to.number == 1


def test_rolling_back_to_what_is_live_is_refused_as_a_page(blog, host, owner):
    live(blog, host, 1)
    response = browser(owner).post("/deployments/blog/releases/1/rollback/")
    assert response.status_code == 409
    assert "is what is live now" in parsed(response).words


def test_stop_and_start_change_what_runs(blog, host, owner):
    live(blog, host, 1)
    client = browser(owner)
    assert client.post("/deployments/blog/power/stop/").status_code == 302
    assert "Stop: it begins in a moment" in words(client, "/deployments/blog/processes/")
    worker(host).work_once()
    shown = words(client, "/deployments/blog/processes/")
    assert "Stopped" in shown
    assert "it begins in a moment" not in shown
    blog.refresh_from_db()
    assert blog.wish == Wish.STOPPED
    client.post("/deployments/blog/power/start/")
    worker(host).work_once()
    assert "web gunicorn blog.wsgi, 1 × 4 threads Running" in words(client, "/deployments/blog/processes/")


def test_a_switch_that_failed_says_why(blog, host, owner):
    live(blog, host, 1)
    host.breaks["processes.stop"] = CommandFailed("systemd said no.", hint="Look at the journal.")
    client = browser(owner)
    client.post("/deployments/blog/power/stop/")
    worker(host).work_once()
    shown = words(client, "/deployments/blog/")
    assert "Stop: it failed just now" in shown
    assert "systemd said no. Look at the journal." in shown


def test_what_runs_is_shown_as_the_host_tells_it(blog, host, owner):
    live(blog, host, 1)
    said = words(browser(owner), "/deployments/blog/runs/")
    assert "blog-1-web-1: running" in said
    assert "IPv4 address" in said
    assert "address4" not in said.lower()


def test_a_plan_with_a_blocker_can_not_be_deployed(blog, host, owner):
    problem = Problem("needs_postgres", Severity.BLOCKER, "It needs PostgreSQL.", "Change line 84.", "settings.py:84")
    release(blog, None, State.READY, replace(PLAN, problems=(problem,)))
    page = parsed(browser(owner).get("/deployments/blog/look/"))
    assert "It needs PostgreSQL. settings.py:84 Change line 84." in page.words
    assert page.disabled == [""]


def test_what_was_found_is_shown_with_its_reasons(blog, host, owner):
    release(blog, None, State.READY)
    shown = words(browser(owner), "/deployments/blog/look/")
    assert "Found Django 5.2 on Python 3.12" in shown
    assert "Kind Django 5.2 manage.py is there" in shown
    assert "manage.py:1" in shown
    assert "STRIPE_KEY" in shown
    assert VariableKey("SECRET_KEY") in shown


def test_deleting_needs_the_name_typed(blog, host, owner):
    client = browser(owner)
    wrong = client.post("/deployments/blog/delete/", {"confirm": "blag"})
    assert wrong.status_code == 400
    assert "Type the name “blog” to confirm." in parsed(wrong).words
    assert client.post("/deployments/blog/delete/", {"confirm": "blog"}).status_code == 302
    blog.refresh_from_db()
    assert blog.wish == Wish.DELETED


def test_a_database_shows_its_address_only_to_whom_asks_and_may(blog, host, owner, viewer, team):
    from apps.core.models import AuditRecord
    from apps.databases.models import Database

    row = Database.objects.create(team=team, host=blog.host, name="blog", engine="sqlite", url="sqlite:///secret-place")
    path = f"/databases/{row.pk}/reveal/"
    assert "secret-place" not in words(browser(owner), "/databases/")
    assert browser(viewer).post(path).status_code == 403
    assert "secret-place" in parsed(browser(owner).post(path)).words
    assert AuditRecord.objects.filter(action="database.read", target="blog").count() == 1
