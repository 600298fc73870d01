"""create, deploy, rollback, cancel, logs: asking for releases and watching them."""

from __future__ import annotations

import json
from itertools import count

import httpx2
import pytest
from tests.api import stories

from apps.deployments import logs
from apps.deployments.models import Deployment, Release
from webops_host.names import DeploymentName, ProcessKind
from webops_host.values import Site, UnitRef

REPO = ("--repo", "https://github.com/acme/shop")


def when(webops, nth: int, happens) -> None:
    """At the nth look at a release, something happens: the worker is at work."""
    looks = count(1)

    def before(request: httpx2.Request) -> None:
        if "/releases/" in request.url.path and not request.url.path.endswith("/log") and next(looks) == nth:
            happens()

    webops.panel.before = before


def write(release: Release, *texts: str) -> None:
    writer = logs.Writer(release)
    for text in texts:
        writer.write("build", text)
    writer.close()


def go_live(host, name: str):
    def happens() -> None:
        row = Deployment.objects.get(name=name)
        write(row.releases.get(state="queued"), "Collecting flask", "\x1b[2Jgone \x1b[31mred")
        stories.went_live(row)
        host.sites_up[DeploymentName(name)] = Site(DeploymentName(name), 1)

    return happens


def test_create_waits_and_prints_the_final_object(webops, host, team):
    when(webops, 2, go_live(host, "shop"))
    result = webops("create", "shop", *REPO, "--branch", "main", "--path", "site", "--env", "A=1=2", "--wait", "--json")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert (shown["url"], shown["status"], shown["release"]) == ("http://127.0.0.1:8100", "running", 1)
    assert (shown["ref"], shown["root"]) == ("main", "site")
    assert shown["last_release"]["state"] == "live"
    assert "Collecting flask" in result.stderr
    assert "✓ start" in result.stderr
    assert "gone red" in result.stderr
    assert "\x1b" not in result.output


def test_create_prints_the_url_for_people(webops, host, team):
    when(webops, 1, go_live(host, "shop"))
    result = webops("create", "shop", *REPO, "--wait")
    assert result.stdout == "http://127.0.0.1:8100\n"
    assert "Release 1 of shop is live" in result.stderr


def test_create_takes_variables_and_secrets_without_showing_them(webops, team, tmp_path):
    file = tmp_path / ".env"
    file.write_text("B='two words'\nA=0\n")
    words = ("create", "shop", *REPO, "-e", "A=1", "--env-file", str(file), "--git-token-stdin", "--no-deploy")
    result = webops(*words, input="tok-7f3a9c\n")
    assert result.exit_code == 0, result.output
    assert "7f3a9c" not in result.output
    row = Deployment.objects.get()
    assert row.token == "tok-7f3a9c"
    assert {item.key: item.value for item in row.variables.all()} == {"A": "1", "B": "two words"}
    assert not row.releases.exists()


def test_a_release_that_fails_is_exit_1_with_cause_evidence_and_hint(webops, blog):
    when(webops, 2, lambda: stories.failed(blog))
    result = webops("deploy", "blog", "--wait", "--json")
    assert result.exit_code == 1
    assert "The module “flask” is not installed." in result.stderr
    assert "ModuleNotFoundError" in result.stderr
    assert "Next: Add flask to requirements.txt." in result.stderr
    assert "✗ start" in result.stderr
    assert json.loads(result.stdout)["last_release"]["state"] == "failed"


def test_a_release_that_is_cancelled_meanwhile_is_exit_1(webops, blog):
    when(webops, 2, lambda: blog.releases.update(state="cancelled"))
    result = webops("deploy", "blog", "--wait")
    assert result.exit_code == 1
    assert "was cancelled" in result.stderr


def test_ctrl_c_detaches_and_says_how_to_come_back(webops, blog):
    def interrupt() -> None:
        raise KeyboardInterrupt

    when(webops, 2, interrupt)
    result = webops("deploy", "blog", "--wait")
    assert result.exit_code == 130
    assert "webops logs blog --release 1 -f" in result.stderr
    assert "webops cancel blog" in result.stderr
    assert blog.releases.get().state == "queued"


def test_a_panel_that_restarts_meanwhile_is_waited_for(webops, blog, host):
    def away() -> None:
        raise httpx2.ConnectError("refused")

    looks = count(1)

    def before(request: httpx2.Request) -> None:
        if request.url.path.endswith("/releases/1"):
            look = next(looks)
            if look in (2, 3):
                raise httpx2.ReadError("reset")
            if look == 4:
                go_live(host, "blog")()

    webops.panel.before = before
    assert webops("deploy", "blog", "--wait").exit_code == 0


def test_waiting_has_an_end(webops, blog):
    result = webops("deploy", "blog", "--wait", "--timeout", "0")
    assert result.exit_code == 6
    assert "it goes on" in result.stderr


def test_an_answer_that_was_lost_is_asked_for_again_and_the_work_done_once(webops, blog):
    lost = iter([True])

    def after(request: httpx2.Request) -> None:
        if request.method == "POST" and next(lost, False):
            raise httpx2.ReadError("reset")

    webops.panel.after = after
    result = webops("deploy", "blog", "--json")
    assert json.loads(result.stdout)["number"] == 1
    assert blog.releases.count() == 1


def test_a_question_is_asked_again_when_the_connection_that_was_kept_has_just_ended(webops, blog):
    ended = iter([True])

    def before(request: httpx2.Request) -> None:
        if request.method == "GET" and next(ended, False):
            raise httpx2.RemoteProtocolError("Server disconnected without sending a response.")

    webops.panel.before = before
    assert "No releases yet" in webops("releases", "blog").stderr


def test_rollback_goes_back(webops, blog, host):
    for _ in range(2):
        stories.went_live(blog)
    assert json.loads(webops("rollback", "blog", "--json").stdout)["back_to"] == 1
    assert json.loads(webops("rollback", "blog", "1", "--json").stdout)["back_to"] == 1
    result = webops("rollback", "blog", "9")
    assert result.exit_code == 5
    assert "can be gone back to: " in result.stderr


def test_cancel_stops_what_waits(webops, blog):
    assert webops("cancel", "blog").exit_code == 5
    webops("deploy", "blog")
    assert "is cancelled" in webops("cancel", "blog").stderr


def test_releases_are_listed_newest_first(webops, blog):
    assert "No releases yet" in webops("releases", "blog").stderr
    for _ in range(2):
        stories.went_live(blog)
    lines = webops("releases", "blog").stdout.splitlines()
    assert lines[1].split()[:2] == ["2", "live"]
    assert lines[2].split()[:2] == ["1*", "retired"]
    assert [item["number"] for item in json.loads(webops("releases", "blog", "-n", "1", "--json").stdout)] == [2]


@pytest.fixture
def built(webops, blog):
    webops("deploy", "blog")
    release = blog.releases.get()
    write(release, *(f"line {number}" for number in range(5)))
    return release


def test_the_log_of_a_release(webops, built):
    assert "line 0" in webops("logs", "blog", "--release", "1").stdout
    lines = webops("logs", "blog", "--build", "-n", "2", "--json").stdout.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["line 3", "line 4"]
    assert webops("logs", "blog", "--release", "2").exit_code == 4


def test_following_the_log_of_a_release_ends_with_it(webops, built, blog):
    def happens() -> None:
        write(built, "last words")
        stories.failed(blog)

    when(webops, 2, happens)
    result = webops("logs", "blog", "--build", "-f", "-n", "1")
    assert [line.split()[-1] for line in result.stdout.splitlines()] == ["4", "words"]
    assert "Release 1 failed." in result.stderr


def test_the_log_of_the_app_is_followed_until_ctrl_c(webops, blog, host):
    unit = UnitRef(DeploymentName("blog"), 1, ProcessKind("web"))
    host.print(unit, "one", "two")
    assert webops("logs", "blog", "-n", "1").stdout.split()[-1] == "two"
    looks = count(1)

    def before(request: httpx2.Request) -> None:
        if request.url.path.endswith("/logs"):
            look = next(looks)
            if look == 2:
                host.print(unit, "three")
            if look == 3:
                raise KeyboardInterrupt

    webops.panel.before = before
    result = webops("logs", "blog", "-f")
    assert [line.split()[-1] for line in result.stdout.splitlines()] == ["one", "two", "three"]
    assert result.exit_code == 130
