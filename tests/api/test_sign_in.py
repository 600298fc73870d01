"""Signing in with a password, by page and by API: one set of limits, one log, sessions that end when they must."""

from __future__ import annotations

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from tests.conftest import PASSWORD, member
from tests.support.pages import browser, parsed

from apps.api import signing_in, throttle
from apps.api.models import Counter
from apps.core import audit
from apps.core.models import AuditRecord, Role, User
from apps.deployments.views import output

SLOWED = "Too many failed login attempts"
DUMMY = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
ROTATING = ("HTTP_X_FORWARDED_FOR", "HTTP_CF_CONNECTING_IP", "HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_TRUE_CLIENT_IP")


@pytest.fixture(autouse=True)
def only_our_limits(settings):
    """The cache keeps nothing here, so what slows anybody down is in rows."""
    settings.CACHES = DUMMY


def by_page(name: str, password: str = "wrong", **headers: str):
    return Client().post("/account/login/", {"login": name, "password": password}, **headers)


def by_api(name: str, password: str = "wrong", **headers: str):
    body = {"username": name, "password": password}
    return Client().post("/api/v1/session", body, content_type="application/json", **headers)


def is_slowed(response) -> bool:
    return response.status_code == 429 or SLOWED in response.content.decode()


@pytest.mark.parametrize("ask", [by_page, by_api], ids=["page", "api"])
def test_auth_03_a_rotating_header_does_not_make_a_new_address(ask, mate):
    for number in range(11):
        headers = {name: f"198.51.{number}.7" for name in ROTATING}
        last = ask("mika", **headers, REMOTE_ADDR="203.0.113.9")
    assert is_slowed(last)
    refusals = AuditRecord.objects.filter(action="session.refused")
    assert refusals.count() == 10
    assert {row.detail["address"] for row in refusals} == {"203.0.113.9"}


@pytest.mark.parametrize("ask", [by_page, by_api], ids=["page", "api"])
def test_auth_04_many_accounts_from_one_network_are_slowed(ask, db):
    answers = [ask(f"user{n}", REMOTE_ADDR=f"203.0.113.{n}") for n in range(1, 33)]
    assert [is_slowed(answer) for answer in answers] == [False] * 30 + [True] * 2
    assert not is_slowed(ask("user99", REMOTE_ADDR="203.0.114.1"))


@pytest.mark.parametrize("ask", [by_page, by_api], ids=["page", "api"])
def test_auth_04_one_account_from_many_networks_is_slowed(ask, mate):
    answers = [ask("mika", REMOTE_ADDR=f"10.{n}.0.1") for n in range(12)]
    assert [is_slowed(answer) for answer in answers] == [False] * 10 + [True] * 2


def test_auth_04_page_and_api_share_their_limits(mate):
    for n in range(5):
        by_page("mika", REMOTE_ADDR=f"10.{n}.0.1")
        by_api(" MIKA ", REMOTE_ADDR=f"10.{n}.1.1")
    assert is_slowed(by_api("mika", PASSWORD))
    assert is_slowed(by_page("mika", PASSWORD))


def test_auth_04_an_address_of_the_account_counts_as_the_account(mate):
    User.objects.filter(pk=mate.pk).update(email="mika@acme.test")
    for n in range(10):
        by_page("mika@acme.test" if n % 2 else "mika", REMOTE_ADDR=f"10.{n}.0.1")
    assert is_slowed(by_page("mika", REMOTE_ADDR="10.99.0.1"))


@pytest.mark.parametrize("ask", [by_page, by_api], ids=["page", "api"])
def test_auth_04_whoever_was_here_before_still_gets_in(ask, mate):
    assert not is_slowed(ask("mika", PASSWORD, REMOTE_ADDR="192.0.2.5"))
    for n in range(12):
        ask("mika", REMOTE_ADDR=f"10.{n}.0.1")
    assert is_slowed(ask("mika", PASSWORD, REMOTE_ADDR="10.50.0.1"))
    answer = ask("mika", PASSWORD, REMOTE_ADDR="192.0.2.5")
    assert answer.status_code in (201, 302)


def test_auth_04_signing_in_rightly_uses_nothing_up(team):
    for number in range(35):
        member(team, f"person{number}", Role.VIEWER)
        assert by_api(f"person{number}", PASSWORD).status_code == 201


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("::ffff:203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        (None, ""),
        ("unix:", "unix:"),
    ],
)
def test_auth_04_a_network_is_what_one_person_can_have(address, network):
    assert signing_in.network(address) == network


def test_auth_05_the_limit_is_kept_in_rows_and_needs_no_cache(mate):
    by_page("mika")
    kept = Counter.objects.values_list("key", "hits")
    assert {key.partition(":")[0]: hits for key, hits in kept} == {"sign-ins": 1, "sign-ins-from": 1}
    assert throttle.SIGN_INS.limit == 10


@pytest.mark.parametrize("path", ["/account/login/", "/deployments/", "/api/v1/me", "/healthz"])
@pytest.mark.parametrize("name", ["evil.example", "panel.evil.example", "panel@evil.example", ""])
def test_auth_10_an_unknown_host_is_refused(path, name, db):
    response = Client(headers={"Host": name}).get(path, HTTP_X_FORWARDED_HOST="testserver")
    assert response.status_code == 400
    assert "evil" not in response.content.decode()


def test_auth_10_a_forwarded_host_is_in_no_link(mate, settings):
    User.objects.filter(pk=mate.pk).update(email="mika@acme.test")
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    from django.core import mail

    mail.outbox = []
    Client().post("/account/password/reset/", {"email": "mika@acme.test"}, HTTP_X_FORWARDED_HOST="evil.example")
    assert len(mail.outbox) == 1
    assert "http://testserver/" in mail.outbox[0].body
    assert "evil" not in mail.outbox[0].body + mail.outbox[0].subject


def signed_in(name: str = "mika") -> Client:
    client = Client()
    assert client.post("/account/login/", {"login": name, "password": PASSWORD}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_auth_11_a_session_from_before_is_not_the_one_after(mate):
    client = Client()
    client.get("/account/login/")
    session = client.session
    session["planted"] = "1"
    session.save()
    client.cookies["webops_session"] = before = session.session_key
    client.post("/account/login/", {"login": "mika", "password": PASSWORD})
    assert client.cookies["webops_session"].value != before
    assert not Session.objects.filter(session_key=before).exists()


def test_auth_11_a_stolen_session_ends_with_signing_out(mate):
    client, thief = signed_in(), Client()
    thief.cookies["webops_session"] = client.cookies["webops_session"].value
    assert is_in(thief)
    client.post("/account/logout/")
    assert not is_in(thief)
    assert AuditRecord.objects.filter(action="session.end", actor=mate).count() == 1


def test_auth_11_another_password_ends_all_other_sessions(mate):
    client, other = signed_in(), signed_in()
    new = {"oldpassword": PASSWORD, "password1": "a new battery staple", "password2": "a new battery staple"}
    assert client.post("/account/password/change/", new).status_code == 302
    assert is_in(client)
    assert not is_in(other)
    assert AuditRecord.objects.filter(action="password.change", actor=mate).count() == 1


@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_auth_11_an_account_that_is_gone_has_no_session(how, mate):
    client = signed_in()
    if how == "disabled":
        User.objects.filter(pk=mate.pk).update(is_active=False)
    else:
        mate.delete()
    assert not is_in(client)


@pytest.mark.parametrize("how", ["signed out", "another password", "disabled"])
def test_ws_02_a_stream_of_a_session_that_ended_ends(how, mate):
    client = signed_in()
    session = client.session
    assert output.signed_in(session)
    if how == "signed out":
        client.logout()
    elif how == "disabled":
        User.objects.filter(pk=mate.pk).update(is_active=False)
    else:
        mate.set_password("a new battery staple")
        mate.save()
    assert not output.signed_in(session)


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:x"])
def test_a_sign_in_leads_nowhere_else(target, mate):
    login = {"login": "mika", "password": PASSWORD, "next": target}
    response = Client().post(f"/account/login/?next={target}", login)
    assert response["Location"] == "/deployments/"


def test_what_happens_to_an_account_is_in_the_audit_log(mate):
    by_page("mika")
    client = signed_in()
    client.post("/account/logout/")
    told = list(AuditRecord.objects.order_by("pk").values_list("action", "actor_name", "target"))
    assert told == [
        ("session.refused", "webops", "mika"),
        ("session.create", "mika", "mika"),
        ("session.end", "mika", "mika"),
    ]
    assert audit.verify() is None


def test_wrong_and_unknown_look_the_same(mate):
    words = {parsed(by_page(name)).words.replace(name, "") for name in ("mika", "nobody")}
    assert len(words) == 1
    assert browser().get("/account/signup/").status_code == 200
