"""The other commands, what all of them share, and what this program never does."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest
from tests import bad_input
from tests.api import stories
from tests.deployments.test_worker import worker

from apps.core.models import GitServer
from apps.deployments.models import Deployment
from webops_cli import output
from webops_cli.main import COMMANDS, cli
from webops_host.errors import CommandFailed
from webops_host.names import DeploymentName
from webops_host.values import Site


def leaves() -> list[tuple[str, click.Command]]:
    context = click.Context(cli)
    found = []
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None, name
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", child) for sub, child in command.commands.items()]
    return found


@pytest.mark.parametrize(("name", "command"), leaves(), ids=[name for name, _ in leaves()])
def test_every_command_has_json_and_help(name, command, terminal):
    assert any("--json" in param.opts for param in command.params)
    result = terminal(*name.split(), "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_help_lists_every_command(terminal):
    shown = terminal("--help").output
    assert all(name in shown for name in COMMANDS)


def test_help_imports_neither_the_panel_nor_what_it_does_not_need():
    program = (
        "import sys; from webops_cli.main import cli; cli(['--help'], standalone_mode=False); "
        "print(sorted({'django', 'httpx2', 'rich', 'apps', 'webops_host', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("typed", "meant"), [("deply", "deploy"), ("roll-back", "rollback"), ("lst", "list")])
def test_an_unknown_command_suggests_one(terminal, typed, meant):
    result = terminal(typed)
    assert result.exit_code == 2
    assert f"Did you mean “webops {meant}”?" in result.stderr


def test_an_unknown_deployment_suggests_one(webops, blog):
    result = webops("show", "blgo")
    assert result.exit_code == 4
    assert "Did you mean “blog”?" in result.stderr
    assert "Did you mean" not in webops("show", "something-else").stderr


def test_list_and_show(webops, blog, host):
    stories.went_live(blog)
    host.sites_up[DeploymentName("blog")] = Site(DeploymentName("blog"), 1)
    assert "blog" in webops("list").stdout
    assert json.loads(webops("list", "--json").stdout)[0]["status"] == "running"
    shown = json.loads(webops("show", "blog", "--json").stdout)
    assert (shown["url"], shown["status"]) == ("http://127.0.0.1:8100", "running")
    assert "Release 1 is served." in webops("show", "blog").stdout


def test_an_empty_list_teaches(webops, team):
    result = webops("list")
    assert (result.stdout, result.exit_code) == ("", 0)
    assert "webops create NAME --repo URL --wait" in result.stderr


def test_the_power_switch(webops, blog, host):
    assert webops("start", "blog").exit_code == 5
    stories.went_live(blog)
    webops.panel.after = lambda request: worker(host).work_once()
    assert json.loads(webops("start", "blog", "--json").stdout)["status"] == "running"
    assert json.loads(webops("restart", "blog", "--json").stdout)["status"] == "running"
    assert "stopped" in webops("stop", "blog").stdout
    host.breaks["sites.publish"] = CommandFailed("nginx said no.", hint="Look at its log.")
    failed = webops("start", "blog")
    assert failed.exit_code == 1
    assert "nginx said no." in failed.stderr
    assert "Look at its log." in failed.stderr


def test_delete_wants_the_name_once_more(terminal, owner, blog):
    webops = terminal.as_(owner)
    result = webops("delete", "blog")
    assert result.exit_code == 2
    assert "--confirm blog" in result.stderr
    assert webops("delete", "blog", "--confirm", "bog").exit_code == 2
    assert blog.wish != "deleted"
    assert json.loads(webops("delete", "blog", "--confirm", "blog", "--json").stdout)["status"] == "deleting"

    def gone(request) -> None:
        if request.method == "GET":
            Deployment.objects.filter(name="blog").delete()

    webops.panel.before = gone
    assert "blog is gone." in webops("delete", "blog", "--confirm", "blog", "--wait").stderr


def test_roles_count_here_too(terminal, viewer, stranger, blog):
    assert terminal.as_(viewer)("deploy", "blog").exit_code == 3
    assert terminal.as_(viewer)("show", "blog").exit_code == 0
    assert terminal.as_(stranger)("show", "blog").exit_code == 4
    assert terminal.as_(viewer)("env", "blog", "--reveal").exit_code == 3


def test_env_sets_imports_unsets_and_masks(webops, blog, tmp_path):
    assert "No variables yet" in webops("env", "blog").stderr
    result = webops("env", "blog", "set", "A=val-7f3a9c", "B=x=y z")
    assert (result.exit_code, "7f3a9c" in result.output) == (0, False)
    assert webops("env", "blog", "set", "SECRET", input="from-stdin\n").exit_code == 0
    assert "7f3a9c" not in webops("env", "blog").output
    assert "7f3a9c" not in webops("env", "blog", "--json").output
    shown = webops("env", "blog", "list", "--reveal", "--json").stdout
    assert {item["key"]: item["value"] for item in json.loads(shown)} == {
        "A": "val-7f3a9c",
        "B": "x=y z",
        "SECRET": "from-stdin",
    }
    file = tmp_path / ".env"
    file.write_text("C=3\n")
    assert json.loads(webops("env", "blog", "import", str(file), "--json").stdout)["changed"] == ["C"]
    assert "D" in webops("env", "blog", "import", "-", "--replace", input="D=4\n").stderr
    assert json.loads(webops("env", "blog", "unset", "D", "X", "--json").stdout)["changed"] == ["D"]
    assert json.loads(webops("env", "blog", "--json").stdout) == []


@pytest.mark.parametrize(
    "words",
    [("set",), ("unset",), ("import",), ("list", "A"), ("set", "=x"), ("import", "/nowhere/.env"), ("set", "1A=x")],
    ids=" ".join,
)
def test_env_says_what_is_wrong(webops, blog, words):
    result = webops("env", "blog", *words)
    assert result.exit_code == 2
    assert result.stderr


def test_env_names_the_line_that_is_wrong(webops, blog):
    result = webops("env", "blog", "import", "-", input="A=1\nnonsense\n")
    assert result.exit_code == 2
    assert "Line 2" in result.stderr


def test_the_plan_is_shown_or_asked_for(webops, blog):
    assert "webops inspect blog" in webops("plan", "blog").stderr

    def looked(request) -> None:
        if request.url.path.endswith("/plan"):
            finding = {"subject": "Kind", "value": "static", "reason": "There is an index.html."}
            blog.releases.update(state="ready", plan_data={"kind": "static", "findings": [finding]})

    webops.panel.before = looked
    shown = webops("inspect", "blog").stdout
    assert "There is an index.html." in shown
    assert json.loads(webops("plan", "blog", "--json").stdout)["summary"] == "Static site"


def test_open_opens_the_site(webops, blog):
    assert webops("open", "blog").exit_code == 1
    stories.went_live(blog)
    assert webops("open", "blog").stdout == "http://127.0.0.1:8100\n"
    assert webops.opened == ["http://127.0.0.1:8100"]


def test_tokens_are_made_listed_and_revoked(webops):
    made = webops("tokens", "create", "ci", "--scope", "deploy", "--days", "7")
    assert made.stdout.startswith("wo_")
    listed = webops("tokens")
    assert "ci" in listed.stdout
    assert made.stdout.strip() not in listed.stdout
    token_id = next(item["id"] for item in json.loads(webops("tokens", "--json").stdout) if item["name"] == "ci")
    assert webops("tokens", "revoke", str(token_id)).exit_code == 0
    assert webops("tokens", "revoke", str(token_id)).exit_code == 4


def test_git_servers_are_added_listed_and_removed(terminal, owner, team):
    webops = terminal.as_(owner)
    assert webops("git-servers", "add", "git.acme.test", "--port", "8443", "--private").exit_code == 0
    assert "8443" in webops("git-servers", "list").stdout
    assert webops("git-servers", "add", "10.0.0.1").exit_code == 2
    assert webops("git-servers", "remove", str(GitServer.objects.get().pk)).exit_code == 0
    assert not GitServer.objects.exists()


def test_databases_version_and_completion(webops):
    assert webops("databases", "--json").stdout == "[]\n"
    assert json.loads(webops("version", "--json").stdout)["version"]
    assert "_WEBOPS_COMPLETE" in webops("completion", "zsh").stdout
    assert webops("completion", "tcsh").exit_code == 2


@pytest.mark.parametrize(("case", "text"), bad_input.cases(bad_input.REFS), ids=bad_input.label)
def test_a_bad_ref_is_refused(case, text, webops, blog, host):
    result = webops("deploy", "blog", f"--ref={text}")
    assert result.exit_code == 2
    assert "ref: " in result.stderr
    assert not blog.releases.exists()
    assert host.did == []


@pytest.mark.parametrize(("case", "text"), bad_input.cases(bad_input.REPOSITORIES), ids=bad_input.label)
def test_a_bad_repository_is_refused(case, text, webops, team, host):
    result = webops("create", "shop", f"--repo={text}")
    assert result.exit_code == 2
    assert "repository: " in result.stderr
    assert not Deployment.objects.exists()


@pytest.mark.parametrize(("case", "text"), bad_input.cases(bad_input.NAMES), ids=bad_input.label)
def test_a_bad_name_is_refused(case, text, webops, team, host):
    result = webops("create", "--repo=https://github.com/acme/shop", "--", text)
    assert result.exit_code == 2
    assert "name: " in result.stderr
    assert not Deployment.objects.exists()


@pytest.mark.parametrize(("case", "text"), bad_input.cases(bad_input.NAMES), ids=bad_input.label)
def test_a_bad_name_of_a_deployment_is_not_found(case, text, webops, team):
    assert webops("show", "--", text).exit_code == 4


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link", "link"),
        ("a\rb\x08c\x9bd", "abcd"),
        ("tab\tstays", "tab\tstays"),
    ],
    ids=["colour", "title", "link", "controls", "tab"],
)
def test_ws_03_text_from_elsewhere_can_not_steer_the_terminal(text, shown):
    assert output.clean(text) == shown
