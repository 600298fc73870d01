"""What quickstart prepares, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.core import bootstrap
from apps.core.errors import Conflict
from apps.core.models import AuditRecord, Host, Membership, Role, Team, User

pytestmark = pytest.mark.django_db


def test_the_first_account_owns_a_team_and_there_is_a_host() -> None:
    said = list(bootstrap.prepare())
    assert any("admin123" in sentence for sentence in said)
    membership = Membership.objects.get()
    assert (membership.user.username, membership.team.slug, membership.role) == ("admin", "home", Role.OWNER)
    assert Host.objects.get().name == "local"
    assert AuditRecord.objects.filter(action="account.created").count() == 1


def test_doing_it_again_changes_and_says_nothing() -> None:
    list(bootstrap.prepare())
    assert list(bootstrap.prepare()) == []
    assert (User.objects.count(), Team.objects.count(), Host.objects.count()) == (1, 1, 1)


def test_an_account_of_somebody_else_is_enough() -> None:
    User.objects.create_user("olga", password="correct horse battery staple")
    list(bootstrap.prepare())
    assert not User.objects.filter(username="admin").exists()


@pytest.mark.parametrize("bind", ["0.0.0.0:8800", "[::]:8800", "192.0.2.7:80", "panel.example.org:80"])
def test_auth_01_the_development_password_is_for_this_computer_only(settings, bind: str) -> None:
    list(bootstrap.prepare())
    bootstrap.refuse_development_password()
    settings.ENV = replace(settings.ENV, bind=bind)
    with pytest.raises(Conflict, match="development password") as refused:
        bootstrap.refuse_development_password()
    assert "changepassword admin" in refused.value.hint

    admin = User.objects.get()
    admin.set_password("correct horse battery staple")
    admin.save()
    bootstrap.refuse_development_password()


def test_production_gets_a_link_and_no_account(settings) -> None:
    settings.PRODUCTION = True
    settings.ENV = replace(settings.ENV, panel_host="panel.example.org")
    said = "\n".join(bootstrap.prepare())
    assert "https://panel.example.org/first-sign-in/" in said
    assert not User.objects.exists()
    assert Host.objects.get().kind == "linux"
    assert list(bootstrap.prepare()) == []  # the link that was given out still works
