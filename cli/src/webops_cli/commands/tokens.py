"""Tokens for scripts."""

from __future__ import annotations

import click

from webops_cli import options, output
from webops_cli.settings import App


@click.group(invoke_without_command=True)
@options.as_json
@click.pass_context
def tokens(ctx: click.Context, json_: bool) -> None:
    """Your tokens: list (the default), create, revoke."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, json_=json_)


@tokens.command("list")
@options.as_json
@click.pass_obj
def list_(app: App, json_: bool) -> None:
    """Your tokens."""
    with options.connect(app) as client:
        items = client.get("tokens")["items"]
    if json_:
        output.as_json(items)
        return
    rows = [
        (
            i["id"],
            i["name"],
            f"{i['prefix']}…",
            i["scope"],
            i["team"] or "all",
            output.age(i["last_used_at"]) or "never",
        )
        for i in items
    ]
    output.table(("ID", "NAME", "TOKEN", "SCOPE", "TEAM", "USED"), rows, empty="No tokens.")


@tokens.command()
@click.argument("name")
@click.option("--scope", type=click.Choice(["read", "deploy", "write", "admin"]), default="deploy", show_default=True)
@click.option("--team", help="Only for this team.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it lasts; for ever when left out.")
@options.as_json
@click.pass_obj
def create(app: App, name: str, scope: str, team: str | None, days: int | None, json_: bool) -> None:
    """Make a token called NAME. It is shown this once."""
    with options.connect(app) as client:
        made = client.post("tokens", {"name": name, "scope": scope, "team": team, "days": days}, once=True)
    if json_:
        output.as_json(made)
        return
    click.echo(made["token"])
    output.note("Keep it now: it is not shown again. Use it as WEBOPS_TOKEN.")


@tokens.command()
@click.argument("token_id", type=click.IntRange(min=1), metavar="ID")
@options.as_json
@click.pass_obj
def revoke(app: App, token_id: int, json_: bool) -> None:
    """End a token at once."""
    with options.connect(app) as client:
        client.delete(f"tokens/{token_id}")
    if json_:
        output.as_json({"id": token_id})
    else:
        output.note(f"Token {token_id} is revoked.")
