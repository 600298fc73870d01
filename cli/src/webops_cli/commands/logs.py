"""What a deployment prints, and what its releases printed."""

from __future__ import annotations

from typing import Any

import click

from webops_cli import options, output
from webops_cli.failures import NOT_FOUND, Failure
from webops_cli.settings import App

PAGE = 1000


@click.command()
@options.name
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C, or until the release is over.")
@click.option("-n", "count", type=click.IntRange(1, 5000), default=200, help="How many of the last lines.")
@click.option("--release", "number", type=click.IntRange(min=1), help="The log of that release instead.")
@click.option("--build", is_flag=True, help="The log of the newest release instead.")
@options.as_json
@click.pass_obj
def logs(app: App, name: str, follow: bool, count: int, number: int | None, build: bool, json_: bool) -> None:
    """What its programs print. With --release or --build, what a release printed. --json gives a line per line."""
    with options.connect(app) as client:
        if number is None and not build:
            _of_units(app, client, name, count=count, follow=follow, json_=json_)
        else:
            _of_release(app, client, name, number or _newest(client, name), count=count, follow=follow, json_=json_)


def _of_units(app: App, client: Any, name: str, *, count: int, follow: bool, json_: bool) -> None:
    from webops_cli.client import of

    found = client.get(of(name, "logs"), limit=count)
    if not found["items"] and not follow:
        output.note(f"Its programs have printed nothing. What its newest release printed: webops logs {name} --build")
    while True:
        for line in found["items"]:
            _print(line, line["unit"], json_)
        if not follow:
            return
        app.sleep(1)
        found = client.get(of(name, "logs"), after=found["next"], limit=PAGE)


def _of_release(app: App, client: Any, name: str, number: int, *, count: int, follow: bool, json_: bool) -> None:
    from webops_cli.client import of

    path = of(name, "releases", number)
    shown = client.get(path)
    lines = _all(client, path)
    for line in lines[-count:]:
        _print(line, line["step"], json_)
    position = lines[-1]["position"] if lines else 0
    while follow and not shown["over"]:
        shown = client.get(path)
        fresh = client.lines(f"{path}/log", after=position, wait=0 if shown["over"] else app.patience)
        for line in fresh:
            _print(line, line["step"], json_)
            position = line["position"]
        app.sleep(0.2)
    if shown["over"] and shown["state"] == "failed":
        output.note(output.clean(f"Release {number} failed. {shown['cause']} {shown['hint']}".rstrip()))


def _all(client: Any, path: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    while page := client.lines(f"{path}/log", after=lines[-1]["position"] if lines else 0, limit=PAGE):
        lines += page
        if len(page) < PAGE:
            break
    return lines


def _newest(client: Any, name: str) -> int:
    from webops_cli.client import of

    items = client.get(of(name, "releases"), limit=1)["items"]
    if not items:
        raise Failure(f"{name} has no releases yet.", exit_code=NOT_FOUND, hint=f"webops deploy {name} --wait")
    return int(items[0]["number"])


def _print(line: dict[str, Any], source: str, json_: bool) -> None:
    if json_:
        output.as_json(line)
    else:
        click.echo(click.style(f"{line['at'][11:19]} {source:>9} ", dim=True) + output.clean(line["text"]))
