"""Databases of one's deployments: what they are now, dumps, restores, new passwords."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from webops_cli import options, output
from webops_cli.failures import FAILED, Failure
from webops_cli.settings import App

if TYPE_CHECKING:
    from webops_cli.client import Client

LOOK_SECONDS = 20
DUMP = click.argument("dump_id", metavar="DUMP")


@click.group(invoke_without_command=True)
@options.as_json
@click.pass_context
def databases(ctx: click.Context, json_: bool) -> None:
    """Databases of your deployments: list (the default), show, dump, restore, rotate, …"""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, json_=json_)


@databases.command("list")
@options.as_json
@click.pass_obj
def list_(app: App, json_: bool) -> None:
    """Databases of your deployments."""
    with options.connect(app) as client:
        items = client.get("databases")["items"]
    if json_:
        output.as_json(items)
        return
    rows = [(item["name"], item["engine"], item["deployment"], item["team"]) for item in items]
    output.table(("NAME", "ENGINE", "DEPLOYMENT", "TEAM"), rows, empty="No databases: a Django app brings its own.")


@databases.command()
@options.name
@options.as_json
@click.pass_obj
def show(app: App, name: str, json_: bool) -> None:
    """One database as it is now, with its dumps."""
    with options.connect(app) as client:
        now = client.get(_of(name))
    if json_:
        output.as_json(now)
        return
    limit = f" of {now['connection_limit']}" if now["connection_limit"] else ""
    click.echo(f"{now['name']}: {now['engine']} {now['version']}, {_size(now['bytes'])} in {now['tables']} tables")
    click.echo(f"{now['connections']}{limit} connections, the longest query runs for {now['longest_query']:.1f} s")
    if now["rotating"]:
        output.note("Two passwords work until the next release is live.")
    if now["kept_since"]:
        output.note("The database from before a restore is kept: webops databases confirm, or revert.")
    _dumps(now["dumps"])


@databases.command()
@options.name
@options.as_json
@click.pass_obj
def dumps(app: App, name: str, json_: bool) -> None:
    """Its dumps, newest first."""
    with options.connect(app) as client:
        found = client.get(_of(name))["dumps"]
    if json_:
        output.as_json(found)
    else:
        _dumps(found)


@databases.command()
@options.name
@options.as_json
@click.pass_obj
def dump(app: App, name: str, json_: bool) -> None:
    """Write everything in it to a file of the platform."""
    _ask(app, name, json_, "dumps")


@databases.command()
@options.name
@DUMP
@click.option("--output", "-o", "target", type=click.Path(path_type=Path), help="File to write; DUMP.dump if left out.")
@options.as_json
@click.pass_obj
def download(app: App, name: str, dump_id: str, target: Path | None, json_: bool) -> None:
    """Bring a dump here. A file that is there already is not replaced."""
    file = target or Path(f"{Path(dump_id).name}.dump")
    with options.connect(app) as client:
        size = client.save(_of(name, "dumps", quote(dump_id, safe="")), file)
    if json_:
        output.as_json({"file": str(file), "bytes": size})
    else:
        output.note(f"{file}: {_size(size)}")


@databases.command()
@options.name
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@options.as_json
@click.pass_obj
def upload(app: App, name: str, file: Path, json_: bool) -> None:
    """Take a dump to the platform: pg_dump's own form, or plain SQL. Nothing is restored yet."""
    with options.connect(app) as client:
        _tell(_until_over(client, name, client.send_file(_of(name, "uploads"), file)), json_)


@databases.command()
@options.name
@DUMP
@options.as_json
@click.pass_obj
def restore(app: App, name: str, dump_id: str, json_: bool) -> None:
    """Put a dump in the place of what is there, which is kept until you say confirm or revert."""
    _ask(app, name, json_, "restore", {"dump": dump_id})


@databases.command()
@options.name
@click.argument("source")
@options.as_json
@click.pass_obj
def clone(app: App, name: str, source: str, json_: bool) -> None:
    """Fill the database of NAME from that of SOURCE. What was in it is kept until you say confirm or revert."""
    _ask(app, name, json_, "clone", {"source": source})


@databases.command()
@options.name
@options.as_json
@click.pass_obj
def revert(app: App, name: str, json_: bool) -> None:
    """Go back to the database from before the last restore."""
    _ask(app, name, json_, "revert")


@databases.command()
@options.name
@options.as_json
@click.pass_obj
def confirm(app: App, name: str, json_: bool) -> None:
    """Remove the database from before the last restore for good."""
    _ask(app, name, json_, "confirm")


@databases.command()
@options.name
@options.as_json
@click.pass_obj
def rotate(app: App, name: str, json_: bool) -> None:
    """Give it a new password. A release brings it to what runs; nobody waits."""
    _ask(app, name, json_, "rotate")


@databases.command()
@options.name
@DUMP
@options.as_json
@click.pass_obj
def discard(app: App, name: str, dump_id: str, json_: bool) -> None:
    """Remove a dump for good."""
    with options.connect(app) as client:
        made = client.delete(_of(name, "dumps", quote(dump_id, safe="")))
        _tell(_until_over(client, name, made), json_)


def _ask(app: App, name: str, json_: bool, what: str, body: dict[str, Any] | None = None) -> None:
    with options.connect(app) as client:
        _tell(_until_over(client, name, client.post(_of(name, what), body)), json_)


def _until_over(client: Client, name: str, errand: dict[str, Any]) -> dict[str, Any]:
    while not errand["over"]:
        errand = client.get(_of(name, "errands", errand["id"]), wait=LOOK_SECONDS)
    return errand


def _tell(errand: dict[str, Any], json_: bool) -> None:
    if json_:
        output.as_json(errand)
    if errand["state"] != "done":
        raise Failure(errand["outcome"] or "It was not done.", exit_code=FAILED, hint=errand["hint"])
    if not json_:
        output.note(errand["outcome"])


def _dumps(found: list[dict[str, Any]]) -> None:
    rows = [
        (one["id"], output.age(one["at"]), _size(one["bytes"]), one["tables"], one["rows"], one["form"], one["origin"])
        for one in found
    ]
    output.table(("DUMP", "MADE", "SIZE", "TABLES", "ROWS", "FORM", "ORIGIN"), rows, empty="No dumps.")


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _of(name: str, *rest: str | int) -> str:
    return "/".join(["databases", quote(name, safe="") or "-", *map(str, rest)])
