"""Nothing of another team can be taken, and no address inside can be reached by naming it."""

from __future__ import annotations

import pytest
from tests.support.pages import browser

from apps.core.models import GitServer
from apps.databases.models import Database
from apps.deployments.models import Deployment, DomainName

LOOPBACK = (
    "127.0.0.1", "127.1", "0", "0x7f000001", "0177.0.0.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]", "１２７.0.0.1", "localhost", "localhost.", "169.254.169.254", "metadata.google.internal",
    "127.0.0.1.", "①②⑦.⓪.⓪.①",
)  # fmt: skip
NO_NAMES = tuple(text for text in LOOPBACK if text not in ("localhost", "metadata.google.internal"))


@pytest.fixture
def theirs(stranger, host, blog):
    """What the other team has: a deployment with a domain, a database, a Git server of its own."""
    team = stranger.memberships.get().team
    made = Deployment.objects.create(
        team=team, host=blog.host, name="theirs", repository="https://github.com/other/theirs"
    )
    DomainName.objects.create(deployment=made, name="www.other.test")
    made.database = Database.objects.create(
        team=team, host=blog.host, name="theirs", engine="sqlite", url="sqlite:///t"
    )
    made.save()
    GitServer.objects.create(team=team, name="git.other.test", port=8443, private=True)
    return made


@pytest.mark.parametrize(
    "body",
    [
        {"team": "other"},
        {"team_id": 2, "host": 2, "database": "theirs", "database_id": 1},
        {"domains": ["www.other.test"]},
        {"name": "theirs", "wish": "deleted"},
        {"repository": "https://git.other.test:8443/a/b"},
    ],
    ids=["team", "ids", "domain", "name", "their git server"],
)
def test_az_03_a_change_attaches_nothing_of_another_team(body, blog, theirs, as_owner):
    before = [Deployment.objects.filter(name=name).values().get() for name in ("blog", "theirs")]
    answer = as_owner.patch("deployments/blog", json=body)
    assert answer.status_code in (200, 400, 422)
    assert [Deployment.objects.filter(name=name).values().get() for name in ("blog", "theirs")] == before
    assert DomainName.objects.get().deployment == theirs
    assert "theirs" not in answer.text
    assert "www.other.test" not in answer.text


def test_az_03_a_new_deployment_is_not_made_from_their_git_server(theirs, as_owner, blog):
    answer = as_owner.post("deployments", json={"name": "mine", "repository": "https://git.other.test:8443/a/b"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "repository"
    assert not Deployment.objects.filter(name="mine").exists()


@pytest.mark.parametrize("path", ["deployments/theirs", "deployments/theirs/releases", "deployments/theirs/variables"])
def test_az_03_what_is_theirs_is_not_found(path, theirs, as_owner):
    assert as_owner.get(path).status_code == 404
    assert as_owner.delete(path).status_code in (404, 405, 422)


def test_az_03_their_git_server_can_not_be_removed(theirs, as_owner, owner):
    server = GitServer.objects.get()
    assert as_owner.delete(f"git-servers/{server.pk}").status_code == 404
    assert browser(owner).post(f"/teams/acme/git-servers/{server.pk}/forget/").status_code == 404
    assert GitServer.objects.filter(pk=server.pk).exists()


@pytest.mark.parametrize("place", LOOPBACK)
def test_ssrf_01_no_spelling_of_an_inner_address_is_a_repository(place, as_owner, owner, team, host):
    for port in ("", ":6379"):
        url = f"https://{place}{port}/a/b"
        answer = as_owner.post("deployments", json={"name": "mine", "repository": url})
        assert answer.status_code == 400
        assert {error["field"] for error in answer.json()["errors"]} == {"repository"}
        page = browser(owner).post("/deployments/new/", {"repository": url, "name": "mine", "team": "acme"})
        assert page.status_code == 400
    assert not Deployment.objects.exists()


@pytest.mark.parametrize("place", NO_NAMES)
def test_ssrf_01_an_address_is_no_name_of_a_git_server(place, as_owner, owner, team):
    answer = as_owner.post("git-servers", json={"name": place, "port": 443, "private": True})
    assert answer.status_code == 400
    page = browser(owner).post("/teams/acme/git-servers/", {"name": place, "port": "443", "private": "on"})
    assert page.status_code == 400
    assert not GitServer.objects.exists()


@pytest.mark.parametrize("place", ["localhost", "metadata.google.internal"])
def test_ssrf_01_an_inner_name_needs_the_word_of_an_admin_and_opens_one_port(place, as_owner, team, host):
    assert as_owner.post("git-servers", json={"name": place, "port": 8443, "private": True}).status_code == 201
    for port, status in (("", 400), (":6379", 400), (":8443", 201)):
        url = f"https://{place}{port}/a/b"
        assert as_owner.post("deployments", json={"repository": url}).status_code == status, url
