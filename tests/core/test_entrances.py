"""AUTH-02: a link lets exactly one person in, once, for an hour, and is nowhere to be read afterwards."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from apps.core.actions import entrances
from apps.core.clock import now
from apps.core.errors import Gone, Missing
from apps.core.lines import LineFormatter
from apps.core.models import AuditRecord, Membership, Role, SignInLink, User

pytestmark = pytest.mark.django_db
GOOD = "a sentence that nobody guesses"
ADDRESS = "198.51.100.7"


@pytest.fixture(autouse=True)
def _named(settings) -> None:
    settings.ENV = replace(settings.ENV, panel_host="panel.example.org")


def secret_of(link: str) -> str:
    return link.rstrip("/").rpartition("/")[2]


def path_of(link: str) -> str:
    return "/" + link.split("/", 3)[3]


def use(link: str, name: str = "olga") -> User:
    return entrances.use(secret_of(link), name, GOOD, address=ADDRESS)


def post(browser: Client, link: str, **fields: str):
    return browser.post(path_of(link), {"username": "olga", "password": GOOD, "again": GOOD, **fields})


def test_auth_02_the_first_one_becomes_the_owner_and_is_signed_in():
    link, browser = entrances.make(None), Client()
    assert browser.get(path_of(link)).status_code == 200
    assert browser.get(path_of(link)).status_code == 200  # looking at it does not use it up
    answer = post(browser, link)
    assert (answer.status_code, answer["Location"]) == (302, "/deployments/")
    assert browser.get("/deployments/").status_code == 200
    membership = Membership.objects.get()
    assert (membership.user.username, membership.team.slug, membership.role) == ("olga", "home", Role.OWNER)
    assert AuditRecord.objects.filter(action="account.created", actor_name="olga").count() == 1


def test_auth_02_nobody_comes_after_the_first():
    link = entrances.make(None)
    post(Client(), link)
    other = Client()
    assert other.get(path_of(link)).status_code == 410
    assert post(other, link, username="mallory").status_code == 410
    assert "_auth_user_id" not in other.session
    assert User.objects.count() == 1


def test_auth_02_of_two_links_only_one_makes_an_account():
    one, two = entrances.make(None), entrances.make(None)
    assert Client().get(path_of(two)).status_code == 200
    use(one)
    with pytest.raises(Gone):
        use(two, "mallory")
    assert list(User.objects.values_list("username", flat=True)) == ["olga"]


def test_auth_02_after_an_hour_it_is_over():
    link = entrances.make(None)
    SignInLink.objects.update(expires_at=now() - timedelta(seconds=1))
    assert Client().get(path_of(link)).status_code == 410
    assert not entrances.first_is_given_out()
    with pytest.raises(Gone):
        use(link)


@pytest.mark.parametrize("secret", ["nonsense", "x" * 43, "%00", "ä"])
def test_auth_02_a_guess_finds_nothing(secret):
    entrances.make(None)
    assert Client().get(f"/first-sign-in/{secret}/").status_code == 404
    with pytest.raises(Missing):
        entrances.use(secret, "olga", GOOD, address=None)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"password": "short", "again": "short"}, "password"),
        ({"username": "olga-of-the-hill", "password": "olga-of-the-hills", "again": "olga-of-the-hills"}, "password"),
        ({"again": "another sentence"}, "again"),
        ({"username": "two words"}, "username"),
        ({"username": ""}, "username"),
    ],
    ids=["short", "like the name", "not the same", "no name for an account", "no name"],
)
def test_auth_02_a_refused_password_leaves_the_link_as_it_was(fields, where):
    link, browser = entrances.make(None), Client()
    answer = post(browser, link, **fields)
    assert answer.status_code == 400
    assert answer.context["form"].errors[where]
    assert not User.objects.exists()
    assert post(browser, link).status_code == 302


def test_auth_02_only_the_hash_is_kept_and_logs_do_not_say_the_rest(caplog):
    link = entrances.make(None)
    secret = secret_of(link)
    assert secret not in str(list(SignInLink.objects.values()))
    assert secret not in str(list(AuditRecord.objects.values()))
    with caplog.at_level(logging.INFO):
        post(Client(), link, password="short", again="short")
    written = [LineFormatter("%(message)s").format(record) for record in caplog.records]
    assert any("/first-sign-in/…" in line for line in written)
    assert not any(secret in line for line in written)


def test_auth_10_a_link_has_the_name_from_the_settings(settings):
    assert entrances.make(None).startswith("http://panel.example.org/first-sign-in/")
    settings.PRODUCTION = True
    assert entrances.make(None).startswith("https://panel.example.org/first-sign-in/")


# --- for an owner who can not sign in any more ---


def test_auth_02_an_owner_comes_back_and_everybody_else_is_out(owner):
    old = Client()
    old.force_login(owner)
    link = entrances.make(owner)
    browser = Client()
    assert b"olga" in browser.get(path_of(link)).content
    assert post(browser, link, username="mallory").status_code == 302
    assert browser.get("/deployments/").status_code == 200
    assert old.get("/deployments/").status_code == 302  # to the sign-in
    owner.refresh_from_db()
    assert owner.username == "olga"
    assert owner.check_password(GOOD)
    assert AuditRecord.objects.filter(action="account.recovered", actor_name="olga").count() == 1
    with pytest.raises(Gone):
        use(link)


def test_auth_02_a_disabled_account_is_not_let_in(owner):
    link = entrances.make(owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert Client().get(path_of(link)).status_code == 410


def test_the_command_prints_a_link_for_whoever_is_meant(owner, mate, capsys):
    for words, who in (((), owner), (("mika",), mate)):
        call_command("sign_in_link", *words)
        link = re.search(r"http://\S+", capsys.readouterr().out)
        assert link is not None
        assert entrances.owner_of(secret_of(link[0])) == who
    with pytest.raises(CommandError, match="no account “nobody”"):
        call_command("sign_in_link", "nobody")


def test_the_command_makes_the_first_link_while_there_is_no_account(capsys):
    call_command("sign_in_link")
    assert "works once" in capsys.readouterr().out
    assert SignInLink.objects.get().user is None
