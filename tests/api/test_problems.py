"""Errors as problem documents, answers that are kept for a repeated request, and what every answer carries."""

from __future__ import annotations

import pytest
from tests.api import stories

from apps.api.models import KeptAnswer
from apps.core.models import GitServer
from apps.deployments.models import Deployment

SHOP = {"name": "shop", "repository": "https://github.com/acme/shop"}


def test_a_body_that_does_not_fit_names_the_fields(as_mate, team):
    answer = as_mate.post("deployments", json={"name": 7})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert {item["field"] for item in answer.json()["errors"]} == {"name", "repository"}


@pytest.mark.parametrize("content", [b"{", b"[]", b'"x"', b"\xff", b"null", b"[" * 5000], ids=repr)
def test_a_body_that_is_no_object_is_refused(as_mate, content):
    answer = as_mate.post("deployments", content=content[:5000], headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("bad_request", "unprocessable")


def test_a_body_that_is_too_large_is_refused(as_mate):
    answer = as_mate.post("deployments", content=b" " * (2 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_what_nobody_expected_shows_a_request_id_and_nothing_else(as_viewer, blog, host):
    stories.went_live(blog)
    host.breaks["processes.status"] = RuntimeError("secret inside")
    answer = as_viewer.get("deployments/blog")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


def test_no_answer_may_be_kept_by_a_cache(as_viewer, anonymous):
    assert as_viewer.get("me").headers["Cache-Control"] == "no-store"
    assert anonymous.get("me").headers["Cache-Control"] == "no-store"


def test_the_same_key_gives_the_same_answer_and_does_the_work_once(as_mate, blog):
    key = {"Idempotency-Key": "abc"}
    first = as_mate.post("deployments/blog/deploy", headers=key)
    again = as_mate.post("deployments/blog/deploy", headers=key)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert blog.releases.count() == 1
    assert as_mate.post("deployments/blog/deploy", headers={"Idempotency-Key": "abd"}).json()["number"] == 2


def test_a_refusal_is_the_same_again_too(as_mate, blog):
    key = {"Idempotency-Key": "abc"}
    assert as_mate.post("deployments", json={**SHOP, "name": "blog"}, headers=key).status_code == 409
    Deployment.objects.all().delete()
    assert as_mate.post("deployments", json={**SHOP, "name": "blog"}, headers=key).status_code == 409


def test_a_key_belongs_to_one_request_and_one_token(as_mate, as_owner, blog):
    key = {"Idempotency-Key": "abc"}
    as_mate.post("deployments/blog/deploy", headers=key)
    other = as_mate.post("deployments/blog/deploy", json={"ref": "next"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")
    assert as_owner.post("deployments/blog/deploy", headers=key).json()["number"] == 2
    assert as_mate.post("deployments/blog/deploy", headers={"Idempotency-Key": "x" * 201}).status_code == 400


def test_a_request_whose_twin_is_still_at_work_waits(as_mate, blog):
    key = {"Idempotency-Key": "abc"}
    as_mate.post("deployments/blog/deploy", headers=key)
    KeptAnswer.objects.update(status=None)
    answer = as_mate.post("deployments/blog/deploy", headers=key)
    assert (answer.status_code, answer.json()["code"]) == (409, "in_progress")


def test_a_failure_of_ours_is_not_kept(as_mate, blog, host):
    key = {"Idempotency-Key": "abc"}
    host.breaks["processes.status"] = RuntimeError("broken")
    stories.went_live(blog)
    body = {**SHOP, "name": "shop", "deploy": False}
    assert as_mate.post("deployments", json=body, headers=key).status_code == 201
    assert KeptAnswer.objects.exclude(status=201).count() == 0


def test_a_kept_answer_with_a_token_is_encrypted(as_mate, django_db_blocker):
    from django.db import connection

    token = as_mate.post("tokens", json={"name": "ci"}, headers={"Idempotency-Key": "k"}).json()["token"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM api_kept_answers")
        assert token not in str(cursor.fetchall())
    assert as_mate.post("tokens", json={"name": "ci"}, headers={"Idempotency-Key": "k"}).json()["token"] == token


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "10.0.0.1"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "-oProxyCommand=x"}, "name"),
        ({"name": "git.example.com", "port": 0}, "port"),
        ({"name": "git.example.com", "port": 65536}, "port"),
        ({"name": "git.example.com", "ca_pem": "nonsense"}, "ca_pem"),
        ({"name": "git.example.com", "ca_pem": "-----BEGIN PRIVATE KEY-----\nAAAA\n"}, "ca_pem"),
        ({"name": "git.example.com", "ca_pem": "é" * 10}, "ca_pem"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_a_bad_git_server_is_refused_with_the_field(as_owner, team, body, field):
    answer = as_owner.post("git-servers", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    assert not GitServer.objects.exists()


def test_a_git_server_of_the_team_allows_its_repositories(as_owner, as_mate, team, host):
    repository = {"name": "shop", "repository": "https://git.acme.test:8443/acme/shop"}
    assert as_mate.post("deployments", json=repository).status_code == 400
    made = as_owner.post("git-servers", json={"name": "Git.acme.test", "port": 8443, "private": True})
    assert made.status_code == 201
    assert as_owner.post("git-servers", json={"name": "git.acme.test", "port": 8443}).status_code == 409
    assert as_mate.post("deployments", json=repository).status_code == 201
    assert as_owner.delete(f"git-servers/{made.json()['id']}").status_code == 204
    assert as_owner.get("git-servers").json() == {"items": []}


def test_a_ca_has_to_be_a_certificate(as_owner, team):
    import trustme

    pem = trustme.CA().cert_pem.bytes().decode()
    made = as_owner.post("git-servers", json={"name": "git.acme.test", "ca_pem": pem}).json()
    assert made["own_ca"] is True
    assert "ca_pem" not in made
