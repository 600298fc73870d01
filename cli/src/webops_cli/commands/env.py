"""Environment variables of a deployment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from webops_cli import options, output
from webops_cli.failures import USAGE, Failure
from webops_cli.settings import App

MASK = "••••••"


@click.command()
@options.name
@click.argument("action", type=click.Choice(["list", "set", "unset", "import"]), default="list")
@click.argument("given", nargs=-1, metavar="[K=V…|K…|FILE]")
@click.option("--reveal", is_flag=True, help="List values too; this is noted in the audit log.")
@click.option("--replace", is_flag=True, help="With import: remove variables that the file does not name.")
@options.as_json
@click.pass_obj
def env(app: App, name: str, action: str, given: tuple[str, ...], reveal: bool, replace: bool, json_: bool) -> None:
    """List, set, unset or import variables. They apply with the next deploy.

    “set KEY” without a value asks for it, or reads it from standard input, so that it is not seen by others.
    “import -” reads the .env text from standard input.
    """
    from webops_cli.client import of

    path = of(name, "variables")
    _check(action, given)
    with options.connect(app) as client:
        if action == "list":
            _list(client.get(path, values="true" if reveal else "false"), name, json_)
            return
        if action == "set":
            answer = client.patch(path, {"variables": dict(_pair(text) for text in given)})
        elif action == "unset":
            answer = client.delete(path, key=list(given))
        else:
            answer = client.post(f"{path}/import", {"dotenv": _text(given[0]), "replace": replace})
    _after(answer, name, json_)


def _check(action: str, given: tuple[str, ...]) -> None:
    if action == "list" and given:
        raise click.UsageError("“list” takes nothing more.")
    if action == "import" and len(given) != 1:
        raise click.UsageError("Name one file to import, or “-” for standard input.")
    if action in ("set", "unset") and not given:
        raise click.UsageError(f"Say what to {action}, for example: webops env NAME {action} DEBUG")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key:
        raise click.UsageError(f"“{text[:20]}” has no name before the “=”.")
    if equals:
        return key, value
    if sys.stdin.isatty():
        return key, str(click.prompt(key, hide_input=True, err=True))
    return key, sys.stdin.read().removesuffix("\n")


def _text(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise Failure(f"{file} can not be read: {reason}.", exit_code=USAGE) from None


def _list(shown: dict[str, Any], name: str, json_: bool) -> None:
    if json_:
        output.as_json(shown["items"])
        return
    rows = [
        (
            item["key"],
            MASK if item["value"] is None else item["value"],
            "" if item["applied"] else "not applied yet",
            "generated" if item["generated"] else "",
        )
        for item in shown["items"]
    ]
    output.table(("NAME", "VALUE", "", ""), rows, empty=f"No variables yet. Next: webops env {name} set NAME=value")


def _after(answer: dict[str, Any], name: str, json_: bool) -> None:
    if json_:
        output.as_json({"changed": answer["changed"], "not_applied": answer["not_applied"]})
        return
    if not answer["changed"]:
        output.note("Nothing changed.")
        return
    output.note(f"Changed: {', '.join(answer['changed'])}.")
    if answer["not_applied"]:
        output.note(f"Not applied yet. Next: webops deploy {name}")
