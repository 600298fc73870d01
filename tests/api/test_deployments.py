"""Deployments through the API: making, reading, changing, removing, and the power switch."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.api import stories
from tests.deployments.test_worker import worker

from apps.api import errands
from apps.core.access import Actor
from apps.core.models import AuditRecord
from apps.databases.models import Database
from apps.deployments.models import Deployment
from webops_host.errors import CommandFailed, HostUnreachable
from webops_host.names import DeploymentName
from webops_host.values import Site

SHOP = {"name": "shop", "repository": "https://github.com/acme/shop"}


def serve(host, name: str, release: int = 1) -> None:
    host.sites_up[DeploymentName(name)] = Site(DeploymentName(name), release)


def test_create_makes_a_deployment_and_queues_its_first_release(as_mate, host, team):
    wanted = {
        **SHOP,
        "ref": "main",
        "root": "site",
        "variables": {"A": "1"},
        "dotenv": "B=2\nA=0\n",
        "overrides": {"publish": "public"},
    }
    answer = as_mate.post("deployments", json=wanted)
    assert answer.status_code == 201
    shown = answer.json()
    assert (shown["name"], shown["team"], shown["status"], shown["release"]) == ("shop", "acme", "deploying", None)
    assert shown["open_release"] == {"number": 1, "kind": "deploy", "state": "queued"}
    row = Deployment.objects.get(name="shop")
    assert {item.key: item.value for item in row.variables.all()} == {"A": "1", "B": "2"}
    assert row.overrides == {"publish": "public"}


def test_create_without_deploy_makes_a_draft(as_mate, host, team):
    shown = as_mate.post("deployments", json={**SHOP, "deploy": False}).json()
    assert (shown["status"], shown["open_release"]) == ("draft", None)


@pytest.mark.parametrize(
    "more",
    [{"variables": {"1A": "x"}}, {"overrides": {"kind": "x"}}, {"dotenv": "nonsense"}],
    ids=["variable", "override", "dotenv"],
)
def test_create_makes_all_or_nothing(as_mate, host, team, more):
    answer = as_mate.post("deployments", json={**SHOP, **more})
    assert answer.status_code == 400
    assert answer.json()["errors"]
    assert not Deployment.objects.exists()


def test_a_member_of_several_teams_says_which(as_mate, mate, stranger, host):
    mate.memberships.create(team=stranger.memberships.get().team, role="developer")
    answer = as_mate.post("deployments", json=SHOP)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "team"
    assert as_mate.post("deployments", json={**SHOP, "team": "other"}).json()["team"] == "other"


def test_a_taken_name_is_a_conflict_that_does_not_say_whose(as_stranger, blog):
    answer = as_stranger.post("deployments", json={**SHOP, "name": "blog"})
    assert answer.status_code == 409
    assert answer.json()["code"] == "name_taken"
    assert "acme" not in answer.text.replace("github.com/acme", "")


def test_show_tells_what_is_live_and_asks_the_machine(as_viewer, blog, host):
    stories.went_live(blog)
    lost = as_viewer.get("deployments/blog").json()
    assert (lost["status"], lost["reason"]) == ("crashed", "Its files are not on this server. Deploy it again.")
    host.release(DeploymentName("blog"), 1).sealed = True
    assert as_viewer.get("deployments/blog").json()["reason"] == "The web server does not serve it."
    serve(host, "blog")
    shown = as_viewer.get("deployments/blog").json()
    assert (shown["status"], shown["release"], shown["commit"]) == ("running", 1, "c" * 40)
    assert shown["live"]["subject"] == "Change things"
    assert shown["url"] == "http://127.0.0.1:8100"


def test_a_host_that_is_away_is_an_unknown_status_and_no_error(as_viewer, blog, host):
    stories.went_live(blog)
    host.breaks["processes.status"] = HostUnreachable("The host does not answer.")
    shown = as_viewer.get("deployments/blog").json()
    assert (shown["status"], shown["reason"]) == ("unknown", "The host does not answer.")
    host.breaks["sites.unpublish"] = HostUnreachable("The host does not answer.", hint="Start it.")
    answer = as_viewer.get("deployments/blog/logs")
    assert answer.status_code == 200


def pressed(client, host, verb, **columns):
    """A press of the switch, and a worker that hears it."""
    answer = client.post(f"deployments/blog/{verb}", **columns)
    assert answer.status_code == 202
    worker(host).work_once()
    return client.get("deployments/blog").json()


@pytest.mark.parametrize("error", [HostUnreachable("Away.", hint="Start it."), CommandFailed("It said no.")])
def test_what_goes_wrong_on_the_host_is_said_with_a_hint(as_mate, blog, host, error):
    stories.went_live(blog)
    host.breaks["sites.unpublish"] = error
    errand = pressed(as_mate, host, "stop")["errand"]
    assert (errand["state"], errand["outcome"], errand["hint"]) == ("failed", error.message, error.hint)


def test_waiting_for_the_switch_gives_its_failure_as_a_problem(mate, blog, host):
    failed = blog.errands.create(kind="stop", state="failed", outcome="It said no.", hint="Look at it.")
    request = SimpleNamespace(actor=Actor(mate))
    with pytest.raises(errands.NotDone, match="It said no") as refused:
        errands.wait(request, "blog", failed, 0.1)
    assert (refused.value.status, refused.value.code) == (502, "not_done")


def test_the_power_switch(as_mate, blog, host):
    assert as_mate.post("deployments/blog/start").json()["code"] == "nothing_live"
    stories.went_live(blog)
    assert pressed(as_mate, host, "start")["status"] == "running"
    assert pressed(as_mate, host, "stop")["status"] == "stopped"
    assert as_mate.post("deployments/blog/restart").json()["code"] == "stopped"
    assert pressed(as_mate, host, "start")["wish"] == "up"
    assert pressed(as_mate, host, "restart")["errand"] is None


def test_change_changes_what_is_given_and_nothing_else(as_mate, blog):
    shown = as_mate.patch("deployments/blog", json={"ref": "next", "keep_releases": 9}).json()
    assert (shown["ref"], shown["keep_releases"], shown["repository"]) == ("next", 9, "https://github.com/acme/blog")
    assert as_mate.patch("deployments/blog", json={"ref": ""}).json()["ref"] == ""
    assert as_mate.patch("deployments/blog", json={}).status_code == 200
    assert as_mate.patch("deployments/blog", json={"keep_releases": 0}).status_code == 400
    assert as_mate.patch("deployments/blog", json={"overrides": {"memory_mib": 1}}).status_code == 400


def test_delete_wants_the_name_once_more(as_owner, blog):
    assert as_owner.delete("deployments/blog").json()["code"] == "not_confirmed"
    assert as_owner.delete("deployments/blog", params={"confirm": "bog"}).status_code == 400
    answer = as_owner.delete("deployments/blog", params={"confirm": "blog"})
    assert (answer.status_code, answer.json()["status"]) == (202, "deleting")
    assert as_owner.post("deployments/blog/deploy").status_code == 409


def test_a_list_costs_the_same_number_of_queries_however_long_it_is(as_viewer, blog, host, team):
    def fill(count: int) -> None:
        for number in range(count):
            name = f"site-{number}"
            row = Deployment.objects.create(
                team=team, host=blog.host, name=name, repository="https://github.com/a/b", variables_changed_at=None
            )
            stories.went_live(row)
            row.releases.create(number=2, files=2)
            serve(host, name)

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            assert as_viewer.get("deployments").status_code == 200
        return len(caught)

    as_viewer.get("deployments")
    fill(1)
    few = queries()
    Deployment.objects.exclude(pk=blog.pk).delete()
    fill(12)
    assert queries() == few
    items = as_viewer.get("deployments").json()["items"]
    assert {item["status"] for item in items} == {"draft", "deploying"}
    assert len(items) == 13


def test_the_list_and_the_single_view_say_the_same(as_viewer, blog, host):
    for step in (lambda: None, lambda: stories.went_live(blog), lambda: blog.releases.create(number=2, files=2)):
        step()
        assert as_viewer.get("deployments").json()["items"] == [as_viewer.get("deployments/blog").json()]


def test_databases_are_listed_without_their_credentials(as_viewer, blog, team):
    blog.database = Database.objects.create(
        team=team, host=blog.host, name="blog", engine="postgres", url="postgres://u:hunter22@h/db"
    )
    blog.save()
    answer = as_viewer.get("databases")
    assert answer.json()["items"][0]["deployment"] == "blog"
    assert "hunter22" not in answer.text
    assert as_viewer.get("deployments/blog").json()["database"] == "blog"


def test_the_audit_log_says_who_did_it_with_which_token(as_mate, blog):
    as_mate.post("deployments/blog/deploy")
    row = AuditRecord.objects.get(action="release.deploy")
    assert (row.actor_name, row.address, row.token[:3]) == ("mika", "127.0.0.1", "wo_")
