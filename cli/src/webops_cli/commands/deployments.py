"""Making, reading and removing deployments."""

from __future__ import annotations

import sys
from typing import Any

import click

from webops_cli import options, output
from webops_cli.failures import FAILED, NOT_FOUND, TIMED_OUT, USAGE, Failure
from webops_cli.settings import App


@click.command()
@click.argument("name")
@click.option("--repo", required=True, help="https address of the repository.")
@click.option("--branch", "--ref", default="", help="Branch, tag or commit; the default branch when left out.")
@click.option("--path", default="", help="Folder in the repository.")
@click.option("--team", help="Needed when you are in several teams.")
@click.option("--env", "-e", "pairs", multiple=True, metavar="K=V", help="A variable; may be given often.")
@click.option("--env-file", type=click.File("r", encoding="utf-8"), help="A .env file; “-” for standard input.")
@click.option("--git-user", default="", help="User name for a private repository.")
@click.option("--git-token-stdin", is_flag=True, help="Read the repository's access token from standard input.")
@click.option("--no-deploy", is_flag=True, help="Make it only; deploy later.")
@options.waiting
@options.as_json
@click.pass_obj
def create(app: App, /, name: str, *, no_deploy: bool, wait: bool, timeout: float, json_: bool, **given: Any) -> None:
    """Make a deployment called NAME from a Git repository and put it live."""
    if wait and no_deploy:
        raise click.UsageError("--wait and --no-deploy do not go together.")
    body = {
        "name": name,
        "repository": given["repo"],
        "ref": given["branch"],
        "root": given["path"],
        "username": given["git_user"],
        "token": sys.stdin.readline().strip() if given["git_token_stdin"] else "",
        "team": given["team"],
        "variables": dict(split_pair(pair) for pair in given["pairs"]),
        "dotenv": given["env_file"].read() if given["env_file"] else "",
        "deploy": not no_deploy,
    }
    with options.connect(app) as client:
        made = client.post("deployments", body, once=True)
        if wait:
            watch(app, client, made["name"], made["open_release"]["number"], timeout=timeout, json_=json_)
            return
    if json_:
        output.as_json(made)
        return
    next_ = f"webops deploy {name} --wait" if no_deploy else f"webops logs {name} --build -f"
    output.note(f"Made {made['name']}. Next: {next_}")


def watch(app: App, client: Any, name: str, number: int, *, timeout: float, json_: bool) -> None:
    """Follow a release and print what is there at its end. Raises Failure unless it went live."""
    from webops_cli import follow
    from webops_cli.client import of

    ended = follow.release(app, client, name, number, timeout=timeout)
    shown = client.get(of(name))
    if json_:
        output.as_json({**shown, "last_release": ended})
    follow.outcome(name, ended)
    output.note(f"Release {number} of {name} is live after {output.seconds(ended['seconds'])}: {shown['url']}")
    if not json_:
        click.echo(shown["url"])


def split_pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Failure(f"“{key}” has no value.", exit_code=USAGE, hint="Write NAME=value, for example DEBUG=0.")
    return key, value


@click.command("list")
@options.as_json
@click.pass_obj
def list_(app: App, json_: bool) -> None:
    """All deployments you may see, with their status now."""
    with options.connect(app) as client:
        items = client.get("deployments")["items"]
    if json_:
        output.as_json(items)
        return
    output.table(
        ("NAME", "STATUS", "RELEASE", "URL", "REPOSITORY"),
        [(i["name"], i["status"], i["release"], i["url"], i["repository"]) for i in items],
        empty="Nothing here yet. Make the first: webops create NAME --repo URL --wait",
    )


@click.command()
@options.name
@options.as_json
@click.pass_obj
def show(app: App, name: str, json_: bool) -> None:
    """One deployment, as it is now."""
    from webops_cli.client import of

    with options.connect(app) as client:
        shown = client.get(of(name))
    if json_:
        output.as_json(shown)
    else:
        tell(shown)


def tell(shown: dict[str, Any]) -> None:
    """A deployment for people."""
    live, waiting = shown["live"], shown["open_release"]
    release = f"{live['number']}  {live['commit'][:8]}  {live['subject']}" if live else ""
    output.pairs(
        [
            ("name", shown["name"]),
            ("status", shown["status"]),
            ("reason", shown["reason"]),
            ("url", shown["url"]),
            ("release", release),
            ("under way", f"{waiting['kind']} {waiting['number'] or ''} {waiting['state']}" if waiting else ""),
            ("kind", shown["kind"]),
            ("repository", shown["repository"]),
            ("branch", shown["ref"]),
            ("folder", shown["root"]),
            ("database", shown["database"]),
            ("team", shown["team"]),
        ]
    )
    if shown["variables_not_applied"]:
        output.note(f"Variables were changed and are not applied yet. Next: webops deploy {shown['name']}")


@click.command()
@options.name
@options.as_json
@click.pass_obj
def plan(app: App, name: str, json_: bool) -> None:
    """What was found in the repository, with reasons, and how it is built and run."""
    from webops_cli.client import of

    with options.connect(app) as client:
        _show_plan(name, client.get(of(name, "plan")), json_)


@click.command()
@options.name
@options.as_json
@click.pass_obj
def inspect(app: App, name: str, json_: bool) -> None:
    """Look at the repository again, then show the plan. Nothing of it runs."""
    from webops_cli.client import of

    with options.connect(app) as client:
        client.post(of(name, "inspect"))
        output.note("Looking at the repository …")
        found = client.get(of(name, "plan"), wait=20)
        for _ in range(30):
            if found["state"] not in ("queued", "running"):
                break
            found = client.get(of(name, "plan"), wait=20)
        else:
            raise Failure("The look is still under way.", exit_code=TIMED_OUT, hint=f"webops plan {name}")
        _show_plan(name, found, json_)


def _show_plan(name: str, found: dict[str, Any], json_: bool) -> None:
    if json_:
        output.as_json(found)
    elif found["made"]:
        _tell_plan(found)
    elif found["state"] in ("queued", "running"):
        output.note("The repository is being looked at.")
    if found["state"] == "failed":
        raise Failure(
            output.clean(found["cause"]) or "The repository could not be looked at.",
            exit_code=FAILED,
            details=tuple(output.clean(line) for line in found["evidence"]),
            hint=output.clean(found["hint"]),
        )
    if found["state"] == "none":
        output.note(f"Nobody has looked at the repository yet. Next: webops inspect {name}")


def _tell_plan(found: dict[str, Any]) -> None:
    click.echo(output.clean(found["summary"]))
    rows = [(f["subject"], f["value"], f["reason"], f["where"] or f["origin"]) for f in found["findings"]]
    output.table(("WHAT", "DECIDED", "WHY", "FROM"), rows, empty="")
    if found["processes"]:
        click.echo()
        rows = [(p["kind"], p["count"], p["command"], f"{p['memory_mib']} MiB") for p in found["processes"]]
        output.table(("PROCESS", "COUNT", "COMMAND", "MEMORY"), rows, empty="")
    if found["wanted"]:
        click.echo()
        rows = [(w["key"], _need(w), w["reason"], w["where"]) for w in found["wanted"]]
        output.table(("VARIABLE", "STATE", "WHY", "WHERE"), rows, empty="")
    for problem in found["problems"]:
        where = f" ({problem['where']})" if problem["where"] else ""
        output.note(output.clean(f"{problem['severity']}: {problem['message']}{where} {problem['fix']}".rstrip()))


def _need(wanted: dict[str, Any]) -> str:
    if wanted["is_set"]:
        return "set"
    return "generated" if wanted["generate"] else "missing" if wanted["required"] else "optional"


@click.command("open")
@options.name
@options.as_json
@click.pass_obj
def open(app: App, name: str, json_: bool) -> None:
    """Open the site in a browser."""
    from webops_cli.client import of

    with options.connect(app) as client:
        url = client.get(of(name))["url"]
    if not url:
        raise Failure(f"{name} has no address yet.", hint=f"webops deploy {name} --wait")
    if json_:
        output.as_json({"url": url})
        return
    click.echo(url)
    app.browse(url)


@click.command()
@options.name
@click.option("--confirm", help="The name once more, to confirm.")
@click.option("--wait", is_flag=True, help="Wait until it is gone.")
@options.as_json
@click.pass_obj
def delete(app: App, name: str, confirm: str | None, wait: bool, json_: bool) -> None:
    """Remove a deployment with its releases, files and database, for good."""
    from webops_cli.client import of

    if confirm is None:
        raise click.UsageError(f"This can not be undone. Confirm with: webops delete {name} --confirm {name}")
    with options.connect(app) as client:
        shown = client.delete(of(name), confirm=confirm)
        if wait:
            _until_gone(app, client, of(name))
    if json_:
        output.as_json({**shown, "status": "gone"} if wait else shown)
    else:
        output.note(f"{name} is gone." if wait else f"{name} is being removed.")


def _until_gone(app: App, client: Any, path: str) -> None:
    for _ in range(300):
        try:
            client.get(path)
        except Failure as failure:
            if failure.exit_code == NOT_FOUND:
                return
            raise
        app.sleep(0.5)
    raise Failure("It is still being removed.", exit_code=TIMED_OUT, hint="webops list")
