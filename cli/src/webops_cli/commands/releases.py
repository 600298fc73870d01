"""Asking for releases and reading them."""

from __future__ import annotations

import click

from webops_cli import options, output
from webops_cli.commands.deployments import watch
from webops_cli.settings import App


@click.command()
@options.name
@click.option("--ref", default="", help="Branch, tag or commit instead of the deployment's own.")
@options.waiting
@options.as_json
@click.pass_obj
def deploy(app: App, name: str, ref: str, wait: bool, timeout: float, json_: bool) -> None:
    """Put the newest commit live."""
    _ask(app, name, "deploy", {"ref": ref}, wait=wait, timeout=timeout, json_=json_)


@click.command()
@options.name
@click.argument("number", type=click.IntRange(min=1), required=False)
@options.waiting
@options.as_json
@click.pass_obj
def rollback(app: App, name: str, number: int | None, wait: bool, timeout: float, json_: bool) -> None:
    """Go back to release NUMBER, or to the one live before. Nothing is built again."""
    _ask(app, name, "rollback", {"release": number}, wait=wait, timeout=timeout, json_=json_)


def _ask(
    app: App, name: str, verb: str, body: dict[str, str | int | None], *, wait: bool, timeout: float, json_: bool
) -> None:
    from webops_cli.client import of

    with options.connect(app) as client:
        asked = client.post(of(name, verb), body, once=True)
        if wait:
            watch(app, client, name, asked["number"], timeout=timeout, json_=json_)
            return
    if json_:
        output.as_json(asked)
    else:
        output.note(f"Release {asked['number']} of {name} is queued. Next: webops logs {name} --build -f")


@click.command()
@options.name
@options.as_json
@click.pass_obj
def cancel(app: App, name: str, json_: bool) -> None:
    """Stop the release under way; what runs is killed, and what is live stays."""
    from webops_cli.client import of

    with options.connect(app) as client:
        stopped = client.post(of(name, "cancel"))
    if json_:
        output.as_json(stopped)
    else:
        number = stopped["number"] or "(a look at the repository)"
        what = "is cancelled" if stopped["over"] else "is being cancelled"
        output.note(f"Release {number} of {name} {what}.")


@click.command()
@options.name
@click.option("-n", "count", type=click.IntRange(1, 100), default=20, help="How many, newest first.")
@options.as_json
@click.pass_obj
def releases(app: App, name: str, count: int, json_: bool) -> None:
    """The releases of a deployment, newest first. * marks those that one can go back to."""
    from webops_cli.client import of

    with options.connect(app) as client:
        items = client.get(of(name, "releases"), limit=count)["items"]
    if json_:
        output.as_json(items)
        return
    rows = [
        (
            f"{item['number']}{'*' if item['kept'] and item['state'] != 'live' else ''}",
            item["state"],
            f"to #{item['back_to']}" if item["back_to"] else item["commit"][:8],
            item["subject"],
            item["triggered_by"],
            output.seconds(item["seconds"]),
            output.age(item["created_at"]),
        )
        for item in items
    ]
    titles = ("NO", "STATE", "COMMIT", "SUBJECT", "BY", "TOOK", "WHEN")
    output.table(titles, rows, empty=f"No releases yet. Next: webops deploy {name} --wait")
