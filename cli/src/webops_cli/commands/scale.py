"""Copies of each process, and what a deployment may use."""

from __future__ import annotations

from typing import Any

import click

from webops_cli import options, output
from webops_cli.commands.deployments import watch
from webops_cli.settings import App

LIMITS = {"memory": "memory_mib", "cpu": "cpu_percent", "tasks": "tasks"}


@click.command()
@options.name
@click.argument("copies", nargs=-1, metavar="[KIND=COPIES…]")
@click.option("--workers", type=int, help="Workers inside the web process.")
@click.option("--memory", type=int, metavar="MIB", help="Memory of all of it, in MiB.")
@click.option("--cpu", type=int, metavar="PERCENT", help="CPU, in percent of one core.")
@click.option("--tasks", type=int, help="Processes and threads at most.")
@options.waiting
@options.as_json
@click.pass_obj
def scale(app: App, /, name: str, copies: tuple[str, ...], json_: bool, **given: Any) -> None:
    """Show or change how many copies run and what they may use, for example: webops scale blog worker=3 --memory 512.

    A change makes a release of the commit that is live.
    """
    from webops_cli.client import of

    wanted = dict(_pair(text) for text in copies)
    limits = {key: given[word] for word, key in LIMITS.items() if given[word] is not None}
    with options.connect(app) as client:
        if not wanted and not limits and given["workers"] is None:
            _tell(client.get(of(name, "scale")), json_)
            return
        shown = client.patch(of(name, "scale"), {"copies": wanted, "workers": given["workers"], "limits": limits})
        if given["wait"] and shown["release"] is not None:
            watch(app, client, name, shown["release"], timeout=given["timeout"], json_=json_)
            return
    if json_:
        output.as_json(shown)
    elif shown["release"] is None:
        output.note("Nothing changed.")
    else:
        output.note(f"Release {shown['release']} of {name} is queued. Next: webops logs {name} --build -f")


def _pair(text: str) -> tuple[str, int]:
    kind, equals, count = text.partition("=")
    if not kind or not equals or not count.isdecimal():
        raise click.UsageError(f"“{text[:40]}” is not KIND=COPIES, for example worker=2.")
    return kind, int(count)


def _tell(shown: dict[str, Any], json_: bool) -> None:
    if json_:
        output.as_json(shown)
        return
    processes, limits, most = shown["processes"], shown["limits"], shown["most"]
    rows = [(one["kind"], one["copies"], one["workers"]) for one in processes]
    output.table(("PROCESS", "COPIES", "WORKERS"), rows, empty="Nothing is live yet, or it is a static site.")
    names = (("memory", "memory_mib", "MiB"), ("CPU", "cpu_percent", "%"), ("tasks", "tasks", ""))
    output.pairs((word, f"{limits[key]} {unit} of at most {most[key]}") for word, key, unit in names)
