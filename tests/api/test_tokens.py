"""Tokens: what they open, how they end, and that only a hash of them is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.api.conftest import token_of
from tests.conftest import PASSWORD

from apps.api.models import ApiToken
from apps.core.clock import now
from apps.core.models import AuditRecord


def test_auth_12_without_a_token_nothing_is_shown(anonymous):
    answer = anonymous.get("me")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["hint"]


@pytest.mark.parametrize("header", ["wo_x", "Bearer", "Bearer wo_", "Bearer nonsense", "Basic d28="])
def test_auth_12_a_wrong_token_is_refused(anonymous, header):
    assert anonymous.get("me", headers={"Authorization": header}).status_code == 401


def test_auth_12_an_expired_token_is_refused(as_mate):
    assert as_mate.get("me").status_code == 200
    ApiToken.objects.update(expires_at=now() - timedelta(seconds=1))
    assert as_mate.get("me").status_code == 401


def test_auth_12_a_revoked_token_is_refused(as_mate):
    assert as_mate.delete("session").status_code == 204
    assert as_mate.get("me").status_code == 401


def test_auth_12_a_token_in_the_query_is_not_read(anonymous, mate):
    token = token_of(mate)
    assert anonymous.get("me", params={"token": token, "access_token": token}).status_code == 401


def test_auth_12_a_token_of_an_inactive_account_is_refused(as_mate, mate):
    mate.is_active = False
    mate.save()
    assert as_mate.get("me").status_code == 401


def test_auth_12_a_token_of_somebody_who_left_the_team_opens_nothing(as_mate, mate, blog):
    assert as_mate.get("deployments/blog").status_code == 200
    mate.memberships.all().delete()
    assert as_mate.get("deployments/blog").status_code == 404
    assert as_mate.post("deployments/blog/deploy").status_code == 404
    assert as_mate.get("deployments").json()["items"] == []


def test_auth_12_only_a_hash_is_stored(mate):
    token = token_of(mate)
    row = ApiToken.objects.values().get()
    assert token not in str(row)
    assert row["prefix"] == token[:7]
    assert len(row["digest"]) == 64


def test_auth_12_a_token_of_one_team_opens_no_other(sign, mate, stranger, blog):
    other = stranger.memberships.get().team
    mate.memberships.create(team=other, role="owner")
    client = sign(mate, team=other)
    assert client.get("deployments/blog").status_code == 404
    assert client.get("deployments").json()["items"] == []
    assert [team["team"] for team in client.get("me").json()["teams"]] == ["other"]
    made = client.post("tokens", json={"name": "more", "scope": "admin"}).json()
    assert made["team"] == "other"


@pytest.mark.parametrize("scope", ["read", "deploy", "write"])
def test_auth_12_a_narrow_token_makes_no_other(sign, owner, scope):
    assert sign(owner, scope).post("tokens", json={"name": "x", "scope": "read"}).status_code == 403


def test_the_last_use_is_noted_at_most_once_a_minute(as_mate):
    as_mate.get("me")
    first = ApiToken.objects.get().last_used_at
    as_mate.get("me")
    assert first is not None
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=first - timedelta(minutes=2))
    as_mate.get("me")
    assert ApiToken.objects.get().last_used_at > first
    assert ApiToken.objects.get().last_used_address == "127.0.0.1"


def test_a_new_token_is_shown_once_and_works(as_mate, sign, anonymous):
    made = as_mate.post("tokens", json={"name": "ci", "scope": "deploy", "days": 30})
    assert made.status_code == 201
    token = made.json()["token"]
    assert anonymous.get("me", headers={"Authorization": f"Bearer {token}"}).json()["scope"] == "deploy"
    assert token not in as_mate.get("tokens").text
    assert {item["name"]: item["current"] for item in as_mate.get("tokens").json()["items"]} == {
        "ci": False,
        "test": True,
    }


def test_a_token_of_another_person_can_not_be_revoked(as_mate, owner):
    token_of(owner)
    theirs = ApiToken.objects.get(user=owner)
    assert as_mate.delete(f"tokens/{theirs.pk}").status_code == 404
    assert ApiToken.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "", "scope": "read"}, 400),
        ({"name": "x", "scope": "root"}, 400),
        ({"name": "x", "scope": "read", "team": "other"}, 404),
        ({"name": "x", "scope": "read", "days": 0}, 422),
    ],
    ids=["no name", "unknown scope", "foreign team", "no days"],
)
def test_a_bad_token_is_refused(as_mate, body, status):
    assert as_mate.post("tokens", json=body).status_code == status


def test_signing_in_gives_a_token_that_expires(anonymous, mate):
    answer = anonymous.post("session", json={"username": "mika", "password": PASSWORD, "client": "laptop"})
    assert answer.status_code == 201
    token = answer.json()["token"]
    assert anonymous.get("me", headers={"Authorization": f"Bearer {token}"}).json()["username"] == "mika"
    row = ApiToken.objects.get()
    assert row.name == "webops login on laptop"
    assert row.expires_at is not None
    assert AuditRecord.objects.filter(action="token.create").exists()


def test_every_way_to_be_wrong_gets_the_same_answer(anonymous, mate, viewer):
    viewer.is_active = False
    viewer.save()
    tried = [("mika", "wrong"), ("nobody", PASSWORD), ("vera", PASSWORD), ("", ""), ("mika\x00", "x")]
    answers = [anonymous.post("session", json={"username": name, "password": word}) for name, word in tried]
    assert {answer.status_code for answer in answers} == {401}
    assert {(answer.json()["detail"], answer.json()["code"]) for answer in answers} == {
        ("User name or password is wrong.", "wrong_login")
    }
    assert AuditRecord.objects.filter(action="session.refused").count() == len(tried)


def test_guessing_at_one_account_is_slowed_down(anonymous, mate):
    statuses = [
        anonymous.post("session", json={"username": name, "password": "wrong"}).status_code
        for name in ["mika", "MIKA", " mika "] * 4
    ]
    assert statuses == [401] * 10 + [429] * 2
    answer = anonymous.post("session", json={"username": "mika", "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0


def test_guessing_from_one_address_is_slowed_down(anonymous, db):
    for number in range(30):
        assert anonymous.post("session", json={"username": f"u{number}", "password": "x"}).status_code == 401
    assert anonymous.post("session", json={"username": "another", "password": "x"}).status_code == 429


def test_wrong_tokens_from_one_address_are_slowed_down_and_right_ones_are_not(anonymous, as_mate):
    wrong = {"Authorization": "Bearer wo_wrong"}
    assert [anonymous.get("me", headers=wrong).status_code for _ in range(31)] == [401] * 30 + [429]
    assert as_mate.get("me").status_code == 200


def test_a_token_has_a_rate_limit_that_every_answer_tells(as_mate):
    first, second = as_mate.get("me").headers, as_mate.get("databases").headers
    assert first["RateLimit-Limit"] == "1200"
    assert int(first["RateLimit-Remaining"]) - int(second["RateLimit-Remaining"]) == 1
    assert 0 < int(first["RateLimit-Reset"]) <= 60
