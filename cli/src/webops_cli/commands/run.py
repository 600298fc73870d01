"""One command in a deployment's sandbox, with its output here and its exit status as ours."""

from __future__ import annotations

import shlex
import time
from typing import Any, NoReturn

import click

from webops_cli import options, output
from webops_cli.failures import FAILED, INTERRUPTED, Failure
from webops_cli.settings import App


@click.command(context_settings={"ignore_unknown_options": True})
@options.name
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="-- COMMAND…")
@click.option("--limit", type=click.IntRange(1, 21600), default=900, help="Seconds until it is ended.")
@click.option("--detach", is_flag=True, help="Do not wait for its end.")
@click.option("--list", "list_", is_flag=True, help="List the last commands instead.")
@options.as_json
@click.pass_obj
def run(app: App, name: str, words: tuple[str, ...], limit: int, detach: bool, list_: bool, json_: bool) -> None:
    """Run a command in the sandbox of what is live, for example: webops run blog -- python manage.py check.

    Ctrl-C ends it. The exit status is that of the command.
    """
    from webops_cli.client import of

    with options.connect(app) as client:
        if list_:
            _list(client.get(of(name, "commands"))["items"], json_)
            return
        if not words:
            raise click.UsageError("Say what to run, for example: webops run NAME -- python manage.py check")
        line = words[0] if len(words) == 1 else shlex.join(words)
        made = client.post(of(name, "commands"), {"command": line, "limit_seconds": limit}, once=True)
        if detach:
            output.as_json(made) if json_ else output.note(f"Command {made['number']} of {name} is queued.")
            return
        _end(_follow(app, client, of(name, "commands", made["number"]), quiet=json_), json_)


def _follow(app: App, client: Any, path: str, *, quiet: bool) -> dict[str, Any]:
    """Print its lines until it is over."""
    position = 0
    try:
        while True:
            shown: dict[str, Any] = client.get(path)
            lines = client.lines(f"{path}/log", after=position, wait=0 if shown["over"] else app.patience)
            for line in lines:
                position = line["position"]
                if not quiet:
                    click.echo(output.clean(line["text"]))
            if shown["over"] and not lines:
                return shown
            app.sleep(0.1)
    except KeyboardInterrupt:
        _stop(app, client, path)


def _stop(app: App, client: Any, path: str) -> NoReturn:
    output.note("\nEnding it …")
    client.post(f"{path}/cancel")
    end = time.monotonic() + 40
    while not client.get(path)["over"] and time.monotonic() < end:
        app.sleep(0.5)
    raise click.exceptions.Exit(INTERRUPTED)


def _end(shown: dict[str, Any], json_: bool) -> None:
    if json_:
        output.as_json(shown)
    status = shown["exit_status"]
    if status == 0:
        return
    if not json_:
        output.note(output.clean(f"{shown['cause']} {shown['hint']}".rstrip()))
    if status is None:
        raise Failure(f"The command {shown['state']}.", exit_code=FAILED)
    raise click.exceptions.Exit(status if 0 < status < 256 else 128 - status if -64 < status < 0 else FAILED)


def _list(items: list[dict[str, Any]], json_: bool) -> None:
    if json_:
        output.as_json(items)
        return
    rows = [
        (item["number"], item["state"], item["command"], item["asked_by"], output.age(item["created_at"]))
        for item in items
    ]
    output.table(("NO", "STATE", "COMMAND", "BY", "WHEN"), rows, empty="No command was run yet.")
