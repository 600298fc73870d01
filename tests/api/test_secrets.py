"""What a viewer, a narrow token or a stranger can not learn."""

from __future__ import annotations

import pytest
from tests.api import stories
from tests.api.conftest import token_of

from apps.api.models import ApiToken
from apps.core.models import AuditRecord
from apps.databases.models import Database

CANARIES = {f"KEY_{number}": f"canary-{number}-7f3a9c" for number in range(6)}
READABLE = (
    "me",
    "tokens",
    "databases",
    "git-servers",
    "deployments",
    "deployments/blog",
    "deployments/blog/plan",
    "deployments/blog/releases",
    "deployments/blog/releases/1",
    "deployments/blog/releases/1/log",
    "deployments/blog/logs",
    "deployments/blog/variables",
)


@pytest.fixture
def secretive(blog, as_mate, team):
    """A deployment with secrets in every place that holds one."""
    assert as_mate.put("deployments/blog/variables", json={"variables": CANARIES}).status_code == 200
    blog.token = "canary-git-7f3a9c"
    blog.database = Database.objects.create(
        team=team, host=blog.host, name="blog", engine="postgres", url="postgres://u:canary-db-7f3a9c@h/db"
    )
    blog.save()
    stories.went_live(blog)
    return blog


@pytest.mark.parametrize("path", READABLE)
def test_sec_01_no_value_is_in_any_answer_that_a_viewer_gets(path, secretive, as_viewer):
    answer = as_viewer.get(path)
    assert answer.status_code == 200
    assert "7f3a9c" not in answer.text


def test_sec_01_no_value_is_in_the_audit_log(secretive, as_mate):
    as_mate.get("deployments/blog/variables", params={"values": True})
    assert "7f3a9c" not in str(list(AuditRecord.objects.values()))


def test_sec_01_no_value_is_in_an_error(secretive, as_mate):
    body = {"variables": {"1BAD": "canary-7f3a9c", "BAD\x00": "canary-7f3a9c"}}
    for method, path, sent in (
        ("PUT", "variables", body),
        ("PATCH", "variables", body),
        ("PATCH", "variables", {"variables": {"A": ["canary-7f3a9c"]}}),
        ("PATCH", "", {"token": "canary-7f3a9c\n"}),
    ):
        answer = as_mate.request(method, f"deployments/blog/{path}".rstrip("/"), json=sent)
        assert answer.status_code in (400, 422)
        assert "7f3a9c" not in answer.text


@pytest.mark.parametrize("scope", ["read", "deploy"])
def test_az_04_a_narrow_token_reads_no_values_even_of_an_owner(scope, secretive, owner, sign):
    client = sign(owner, scope)
    assert client.get("deployments/blog/variables", params={"values": True}).status_code == 403
    assert "7f3a9c" not in client.get("deployments/blog/variables").text


def test_az_04_values_come_only_when_they_are_asked_for_and_that_is_noted(secretive, as_mate):
    assert "7f3a9c" not in as_mate.get("deployments/blog/variables").text
    assert not AuditRecord.objects.filter(action="variables.read").exists()
    shown = as_mate.get("deployments/blog/variables", params={"values": True}).json()["items"]
    assert {item["key"]: item["value"] for item in shown} == CANARIES
    assert AuditRecord.objects.filter(action="variables.read", actor_name="mika").count() == 1


def test_az_04_lists_of_tokens_show_neither_secret_nor_hash(viewer, sign):
    token = token_of(viewer)
    client = sign(viewer)
    shown = client.get("tokens")
    for row in ApiToken.objects.all():
        assert row.digest not in shown.text
    assert token not in shown.text
    assert {len(item["prefix"]) for item in shown.json()["items"]} == {len("wo_") + 4}


def test_az_02_lists_hold_nothing_of_another_team(secretive, as_owner, as_stranger):
    as_owner.post("git-servers", json={"name": "git.acme.test"})
    for path in ("deployments", "databases", "git-servers"):
        assert as_stranger.get(path).json()["items"] == []
    assert [item["name"] for item in as_stranger.get("tokens").json()["items"]] == ["test"]


def test_az_02_what_is_of_another_team_looks_like_what_is_not_there(secretive, as_stranger):
    for path in READABLE:
        if path.startswith("deployments/"):
            theirs = as_stranger.get(path)
            nobodys = as_stranger.get(path.replace("blog", "nothing"))
            assert theirs.status_code == nobodys.status_code == 404
            assert {**theirs.json(), "request_id": ""} == {**nobodys.json(), "request_id": ""}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "deployments", {"repository": "https://github.com/a/b", "team": "acme"}),
        ("POST", "git-servers", {"name": "git.example.com", "team": "acme"}),
        ("POST", "tokens", {"name": "x", "scope": "read", "team": "acme"}),
    ],
    ids=["deployment", "git server", "token"],
)
def test_az_02_another_team_in_the_body_is_missing(method, path, body, team, host, as_stranger):
    assert as_stranger.request(method, path, json=body).status_code == 404
    assert not team.deployments.exists()


def test_az_02_a_release_is_found_only_under_its_own_deployment(secretive, as_stranger, stranger, host):
    made = as_stranger.post("deployments", json={"name": "mine", "repository": "https://github.com/a/b"})
    assert made.status_code == 201
    secretive.releases.create(number=7, state="failed")
    assert as_stranger.get("deployments/mine/releases/7").status_code == 404
    assert as_stranger.get("deployments/mine/releases/7/log").status_code == 404
    assert as_stranger.post("deployments/mine/rollback", json={"release": 7}).status_code == 409
    assert as_stranger.post("deployments/mine/cancel", json={"release": 7}).status_code == 404


def test_az_05_a_role_that_is_taken_away_counts_at_once(secretive, as_mate, mate):
    mate.memberships.update(role="viewer")
    assert as_mate.post("deployments/blog/deploy").status_code == 403
    assert as_mate.get("deployments/blog/variables", params={"values": True}).status_code == 403


def test_variables_are_set_unset_and_applied(blog, as_mate):
    stories.went_live(blog)
    answer = as_mate.patch("deployments/blog/variables", json={"variables": {"A": "1", "B": "x\n$y'\""}}).json()
    assert (answer["changed"], answer["not_applied"]) == (["A", "B"], True)
    assert as_mate.get("deployments/blog").json()["variables_not_applied"] is True
    stories.went_live(blog)
    assert as_mate.get("deployments/blog").json()["variables_not_applied"] is False
    assert {item["key"]: item["applied"] for item in as_mate.get("deployments/blog/variables").json()["items"]} == {
        "A": True,
        "B": True,
    }
    body = {"variables": {"A": None, "B": "2", "C": "3"}}
    assert as_mate.patch("deployments/blog/variables", json=body).json()["changed"] == ["A", "B", "C"]
    assert as_mate.delete("deployments/blog/variables", params={"key": ["B", "X"]}).json()["changed"] == ["B"]
    assert as_mate.put("deployments/blog/variables", json={"variables": {"D": "4"}}).json()["changed"] == ["C", "D"]
    assert as_mate.put("deployments/blog/variables", json={"variables": {"D": "4"}}).json()["changed"] == []


def test_a_dotenv_text_is_imported_or_refused_with_its_line(blog, as_mate):
    text = "# comment\nexport A=1\nB='two words'\n"
    answer = as_mate.post("deployments/blog/variables/import", json={"dotenv": text})
    assert answer.json()["changed"] == ["A", "B"]
    answer = as_mate.post("deployments/blog/variables/import", json={"dotenv": "A=2\nnonsense\n"})
    assert answer.status_code == 400
    assert "Line 2" in answer.json()["errors"][0]["message"]
    assert as_mate.post("deployments/blog/variables/import", json={"dotenv": "C=3", "replace": True}).json()[
        "changed"
    ] == ["A", "B", "C"]
