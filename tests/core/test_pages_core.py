"""Pages of the platform: signing in, the policy of their content, the team's pages, tokens."""

from __future__ import annotations

import re

import click
import pytest
from django.template.loader import render_to_string
from django.urls import reverse
from tests.conftest import PASSWORD
from tests.support.pages import Page, browser, live, parsed, release

from apps.api.models import ApiToken
from apps.core import audit
from apps.core.access import Actor
from apps.core.models import AuditRecord, GitServer
from apps.databases.models import Database
from apps.deployments.models import State
from webops_cli.main import cli
from webops_host.errors import HostUnreachable

PAGES = {
    "/": 302,
    "/account/": 200,
    "/account/tokens/": 200,
    "/account/logout/": 200,
    "/account/password/change/": 200,
    "/account/email/": 200,
    "/teams/acme/": 200,
    "/teams/acme/git-servers/": 200,
    "/teams/acme/audit/": 200,
    "/databases/": 200,
    "/deployments/": 200,
    "/deployments/?q=nothing": 200,
    "/deployments/new/": 200,
    "/deployments/blog/": 200,
    "/deployments/blog/look/": 200,
    "/deployments/blog/releases/": 200,
    "/deployments/blog/releases/1/": 200,
    "/deployments/blog/releases/2/": 200,
    "/deployments/blog/releases/3/": 200,
    "/deployments/blog/releases/1/rollback/": 200,
    "/deployments/blog/logs/": 200,
    "/deployments/blog/variables/": 200,
    "/deployments/blog/processes/": 200,
    "/deployments/blog/settings/": 200,
    "/deployments/blog/runs/": 200,
    "/deployments/blog/delete/": 200,
    "/deployments/nothing/": 404,
    "/deployments/blog/releases/99/": 404,
    "/deployments/blog/releases/99999999999999/": 404,
    "/no/such/page": 404,
}


@pytest.fixture
def site(blog, host, owner, team):
    """A deployment with a bit of everything."""
    release(blog, None, State.READY)
    release(blog, 1, State.RETIRED)
    live(blog, host, 2)
    release(blog, 3, State.FAILED, cause="It <b>broke</b>.", hint="Mend it.", evidence=["<i>line</i>"])
    blog.variables.create(key="API_KEY", value="very-secret-value")
    blog.database = Database.objects.create(team=team, host=blog.host, name="blog", engine="sqlite", url="sqlite:///x")
    blog.save()
    GitServer.objects.create(team=team, name="git.acme.example", port=8443, private=True)
    audit.record(Actor(owner, "127.0.0.1"), "deployment.create", team=team, target="blog")
    return blog


@pytest.mark.parametrize("role", ["owner", "viewer"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_there_and_keeps_the_content_policy(path, role, site, request):
    response = browser(request.getfixturevalue(role)).get(path)
    assert response.status_code == PAGES[path]
    policy = response["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "nonce" not in policy
    if response.status_code != 302:
        page = parsed(response)
        assert page.forbidden == []
        assert page.elsewhere == []
        assert len(page.ids) == len(set(page.ids))
        assert "very-secret-value" not in response.content.decode()
        assert response["Cache-Control"] == "no-store"


def test_a_page_without_a_sign_in_leads_to_the_sign_in(site):
    response = browser().get("/deployments/blog/")
    assert response.status_code == 302
    assert response["Location"] == "/account/login/?next=/deployments/blog/"


def test_the_sign_in_page_says_what_was_wrong_and_then_lets_one_in(owner):
    client = browser()
    wrong = client.post("/account/login/", {"login": "olga", "password": "not this one"})
    assert wrong.status_code == 200
    assert "not correct" in parsed(wrong).words
    right = client.post(
        "/account/login/?next=/databases/", {"login": "olga", "password": PASSWORD, "next": "/databases/"}
    )
    assert (right.status_code, right["Location"]) == (302, "/databases/")


@pytest.mark.parametrize("path", ["/account/login/", "/account/signup/", "/account/password/reset/"])
def test_pages_before_the_sign_in_keep_the_content_policy(path, db):
    page = parsed(browser().get(path))
    assert page.forbidden == []
    assert page.elsewhere == []


def test_signing_out_ends_the_session(owner):
    client = browser(owner)
    assert client.post("/account/logout/").status_code == 302
    assert client.get("/deployments/").status_code == 302


def test_the_first_view_is_small_and_needs_five_requests_at_most(site, owner, settings):
    response = browser(owner).get("/deployments/")
    html = response.content.decode()
    assert html.count("<script") == 1
    assert html.count('rel="stylesheet"') == 1
    static = settings.BASE_DIR / "static"
    whole = sum((static / name).stat().st_size for name in ("webops.css", "webops.js", "icons.svg", "favicon.svg"))
    assert whole + len(html) < 60 * 1024  # before compression


def test_a_host_that_does_not_answer_is_said_and_breaks_no_page(site, host, owner):
    for operation in ("processes.status", "sites.address", "processes.logs", "databases.size", "host.explain"):
        host.breaks[operation] = HostUnreachable("The host does not answer.", hint="Start it.")
    client = browser(owner)
    for path, status in PAGES.items():
        assert client.get(path).status_code == status
    assert "The host does not answer." in parsed(client.get("/deployments/blog/")).words
    assert client.get("/deployments/blog/logs/lines").status_code == 503


def test_a_refusal_is_a_page_with_its_hint(blog, owner):
    response = browser(owner).post("/deployments/blog/power/start/")
    assert response.status_code == 409
    assert "blog has no live release. Deploy it first." in parsed(response).words


def test_an_admin_allows_a_git_server_and_forgets_it(team, owner):
    client = browser(owner)
    made = client.post("/teams/acme/git-servers/", {"name": "git.acme.example", "port": "8443", "private": "on"})
    assert made.status_code == 302
    server = GitServer.objects.get()
    assert (server.name, server.port, server.private) == ("git.acme.example", 8443, True)
    again = client.post("/teams/acme/git-servers/", {"name": "git.acme.example", "port": "8443"})
    assert again.status_code == 400
    assert "allowed already" in parsed(again).words
    assert client.post(reverse("core:forget-git-server", args=["acme", server.pk])).status_code == 302
    assert not GitServer.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "127.0.0.1"), ("name", "a b"), ("port", "0"), ("port", "70000"), ("ca_pem", "not a certificate")],
)
def test_a_wrong_git_server_is_refused_beside_its_field(field, value, team, owner):
    given = {"name": "git.acme.example", "port": "443"} | {field: value}
    response = browser(owner).post("/teams/acme/git-servers/", given)
    assert response.status_code == 400
    assert f"id_{field}_error" in parsed(response).ids
    assert not GitServer.objects.exists()


def test_everybody_in_the_team_may_read_its_audit_log_and_nobody_else(site, viewer, stranger):
    assert "deployment.create" in parsed(browser(viewer).get("/teams/acme/audit/")).words
    assert browser(stranger).get("/teams/acme/audit/").status_code == 404
    assert AuditRecord.objects.exists()


def test_a_token_is_shown_once_and_can_be_revoked(owner, stranger):
    client = browser(owner)
    made = client.post("/account/tokens/", {"name": "laptop", "scope": "deploy", "days": "30"})
    token = ApiToken.objects.get()
    secret = next(word for word in parsed(made).words.split() if word.startswith(token.prefix) and "…" not in word)
    assert secret not in client.get("/account/tokens/").content.decode()
    assert token.expires_at is not None
    assert browser(stranger).post(reverse("api-pages:revoke", args=[token.pk])).status_code == 404
    assert client.post(reverse("api-pages:revoke", args=[token.pk])).status_code == 302
    assert not ApiToken.objects.exists()


def test_a_token_for_another_team_is_refused(owner, stranger):
    response = browser(owner).post("/account/tokens/", {"name": "x", "scope": "read", "days": "", "team": "other"})
    assert response.status_code == 400
    assert not ApiToken.objects.exists()


def test_the_health_page_answers_without_a_sign_in(db):
    assert browser().get("/healthz").content == b"ok\n"


@pytest.mark.parametrize("name", ["400.html", "403.html", "403_csrf.html", "404.html", "500.html", "503.html"])
def test_the_last_resort_pages_need_nothing_and_keep_the_content_policy(name):
    page = Page()
    page.feed(render_to_string(name))
    assert page.forbidden == []
    assert page.elsewhere == []
    assert "WebOps" in page.words


@pytest.mark.parametrize("path", [path for path, status in PAGES.items() if status == 200])
def test_the_command_a_page_shows_is_one_of_the_command_line(path, site, owner):
    html = browser(owner).get(path).content.decode()
    found = re.search(r"<span>Command line</span> <code>webops ([a-z-]+)", html)
    assert found is None or found[1] in cli.list_commands(click.Context(cli))
    assert found is not None or path.startswith("/account/logout")
