"""The certificate of a deployment's names."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TextIO

import click

from webops_cli import options, output
from webops_cli.settings import App


@click.command()
@options.name
@click.argument("action", type=click.Choice(["show", "issue", "upload", "remove"]), default="show")
@click.option("--chain", type=click.File("r", encoding="ascii"), help="With upload: file with the certificates, PEM.")
@click.option("--key", type=click.File("r", encoding="ascii"), help="With upload: file with the private key, PEM.")
@options.as_json
@click.pass_obj
def certificate(app: App, name: str, action: str, chain: TextIO | None, key: TextIO | None, json_: bool) -> None:
    """Show the certificate, ask for one now, upload one of your own, or remove that again.

    On a server names that lead to it get one by themselves.
    """
    from webops_cli import follow
    from webops_cli.client import of

    path = of(name, "certificate")
    if (action == "upload") != (chain is not None and key is not None):
        raise click.UsageError("“upload” needs --chain and --key, and nothing else takes them.")
    with options.connect(app) as client:
        if action == "issue":
            shown = client.post(path)
        elif chain is not None and key is not None:
            shown = client.put(path, {"chain": chain.read(), "key": key.read()})
        elif action == "remove":
            shown = client.delete(path)
        else:
            shown = client.get(path)
        if action != "show":
            shown = follow.settled(app, client, path, shown, seconds=90)
    if json_:
        output.as_json(shown)
    else:
        _tell(shown, name)


def _word(item: dict[str, Any]) -> str:
    if item["covered"]:
        return "good"
    if datetime.fromisoformat(item["not_after"]) < datetime.now(UTC):
        return "ended"
    return "self-made" if item["self_signed"] else "not for this name"


def _tell(shown: dict[str, Any], name: str) -> None:
    rows = [
        (
            item["host"],
            _word(item),
            item["source"],
            item["issuer"],
            item["not_after"][:10],
        )
        for item in shown["items"]
    ]
    empty = f"No certificate. Next: webops domains {name}"
    output.table(("NAME", "", "FROM", "ISSUER", "UNTIL"), rows, empty=empty)
    if shown["failures"]:
        output.note(output.clean(f"Asking failed {shown['failures']} times: {shown['problem']}"))
