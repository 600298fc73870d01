"""Git servers that a team allows beside those of the platform."""

from __future__ import annotations

from typing import TextIO

import click

from webops_cli import options, output
from webops_cli.settings import App


@click.group("git-servers", invoke_without_command=True)
@options.as_json
@click.pass_context
def git_servers(ctx: click.Context, json_: bool) -> None:
    """Git servers of the team: list (the default), add, remove."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, json_=json_)


@git_servers.command("list")
@options.as_json
@click.pass_obj
def list_(app: App, json_: bool) -> None:
    """Git servers that your teams allow."""
    with options.connect(app) as client:
        items = client.get("git-servers")["items"]
    if json_:
        output.as_json(items)
        return
    rows = [
        (i["id"], i["name"], i["port"], "private" if i["private"] else "", "own CA" if i["own_ca"] else "", i["team"])
        for i in items
    ]
    output.table(("ID", "NAME", "PORT", "", "", "TEAM"), rows, empty="None beside those of the platform.")


@git_servers.command()
@click.argument("name")
@click.option("--port", type=int, default=443, show_default=True)
@click.option("--private", is_flag=True, help="It may have an address that is not public.")
@click.option("--ca", type=click.File("r", encoding="ascii"), help="File with the PEM certificates to trust.")
@click.option("--team", help="Needed when you are in several teams.")
@options.as_json
@click.pass_obj
def add(app: App, name: str, port: int, private: bool, ca: TextIO | None, team: str | None, json_: bool) -> None:
    """Allow repositories from the server NAME, on this port only."""
    body = {"name": name, "port": port, "private": private, "ca_pem": ca.read() if ca else "", "team": team}
    with options.connect(app) as client:
        made = client.post("git-servers", body, once=True)
    if json_:
        output.as_json(made)
    else:
        output.note(f"{made['name']}:{made['port']} is allowed for the team {made['team']}.")


@git_servers.command()
@click.argument("server_id", type=click.IntRange(min=1), metavar="ID")
@options.as_json
@click.pass_obj
def remove(app: App, server_id: int, json_: bool) -> None:
    """Allow it no more."""
    with options.connect(app) as client:
        client.delete(f"git-servers/{server_id}")
    if json_:
        output.as_json({"id": server_id})
    else:
        output.note(f"Git server {server_id} is removed.")
