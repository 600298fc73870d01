"""Signing in and out."""

from __future__ import annotations

import json
import stat

import httpx2
import pytest
from tests.conftest import PASSWORD

from apps.api import actions
from apps.api.models import ApiToken
from apps.core.access import Actor


@pytest.fixture
def insecure(terminal):
    """A terminal that takes the test panel's http for private."""
    terminal.environ["WEBOPS_URL"] = "http://localhost"
    return terminal


def profile(terminal):
    return terminal.home / "config" / "webops" / "config.json"


def test_login_asks_and_keeps_a_token_that_only_the_owner_reads(insecure, mate):
    result = insecure("login", input=f"mika\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(profile(insecure).stat().st_mode) == 0o600
    assert PASSWORD not in profile(insecure).read_text() + result.output
    assert result.stdout == ""
    assert json.loads(insecure("whoami", "--json").stdout)["username"] == "mika"
    assert "acme (developer)" in insecure("whoami").stdout


def test_a_wrong_password_is_forbidden_and_keeps_nothing(insecure, mate):
    result = insecure("login", "--username", "mika", input="wrong\n")
    assert result.exit_code == 3
    assert "User name or password is wrong." in result.stderr
    assert not profile(insecure).exists()


def test_login_with_a_token_on_standard_input(insecure, mate):
    token = actions.issue(Actor(mate), name="ci", scope="read")[1]
    assert insecure("login", "--token", "-", input=f"{token}\n").exit_code == 0
    assert json.loads(insecure("whoami", "--json").stdout)["scope"] == "read"
    result = insecure("login", "--token", token)
    assert result.exit_code == 2
    assert token not in result.output


def test_a_password_is_not_sent_where_others_can_read_along(terminal, mate):
    result = terminal("login", "http://panel.example.com", input=f"mika\n{PASSWORD}\n")
    assert result.exit_code == 2
    assert "https://panel.example.com" in result.stderr
    assert terminal.panel.asked == []


def test_logout_revokes_and_forgets(insecure, mate):
    insecure("login", input=f"mika\n{PASSWORD}\n")
    assert insecure("logout").exit_code == 0
    assert not ApiToken.objects.exists()
    assert insecure("whoami").exit_code == 3


def test_logout_forgets_also_when_the_panel_is_away(insecure, mate):
    insecure("login", input=f"mika\n{PASSWORD}\n")

    def away(request):
        raise httpx2.ConnectError("refused")

    insecure.panel.before = away
    result = insecure("logout")
    assert result.exit_code == 0
    assert "forgotten here all the same" in result.stderr
    assert "wo_" not in profile(insecure).read_text()


def test_without_a_sign_in_every_command_says_so(terminal):
    result = terminal("list")
    assert result.exit_code == 3
    assert "Next: webops login" in result.stderr


def test_a_token_that_ended_says_how_to_go_on(webops):
    ApiToken.objects.all().delete()
    result = webops("list")
    assert result.exit_code == 3
    assert "Next: webops login" in result.stderr


@pytest.mark.parametrize("url", ["ftp://panel", "https://user:pw@panel", "https://", "https://panel?x=1"])
def test_a_bad_address_is_wrong_usage(terminal, url):
    assert terminal("login", url).exit_code == 2


def test_a_token_is_sent_only_to_the_panel_it_belongs_to(insecure, mate):
    insecure("login", input=f"mika\n{PASSWORD}\n")
    insecure.environ["WEBOPS_URL"] = "https://elsewhere.example.com"
    before = len(insecure.panel.asked)
    assert insecure("list").exit_code == 3
    assert len(insecure.panel.asked) == before


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx2.Response(301, headers={"Location": "https://panel/"}), 7),
        (httpx2.Response(200, text="<html>hello"), 7),
        (httpx2.Response(502, text="Bad gateway"), 7),
        (httpx2.Response(404, text="<html>"), 7),
    ],
    ids=["redirect", "a page", "a proxy", "another site"],
)
def test_what_is_no_panel_is_unreachable(webops, answer, code):
    webops.panel.app = httpx2.MockTransport(lambda request: answer)
    result = webops("list")
    assert result.exit_code == code
    assert "Next: " in result.stderr or "WebOps panel" in result.stderr


def test_a_panel_that_does_not_answer_is_unreachable(webops):
    def away(request):
        raise httpx2.ConnectError("Connection refused")

    webops.panel.before = away
    result = webops("list")
    assert result.exit_code == 7
    assert "does not answer" in result.stderr
