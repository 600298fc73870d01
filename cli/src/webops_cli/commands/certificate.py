"""The certificate of a deployment's names."""

from __future__ import annotations

from typing import Any, TextIO

import click

from webops_cli import options, output
from webops_cli.settings import App

PATIENCE = 25


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
    from webops_cli.client import of

    path, wait = of(name, "certificate"), f"?wait={PATIENCE}"
    if (action == "upload") != (chain is not None and key is not None):
        raise click.UsageError("“upload” needs --chain and --key, and nothing else takes them.")
    with options.connect(app) as client:
        if action == "issue":
            shown = client.post(f"{path}{wait}")
        elif chain is not None and key is not None:
            shown = client.put(f"{path}{wait}", {"chain": chain.read(), "key": key.read()})
        elif action == "remove":
            shown = client.delete(path, wait=PATIENCE)
        else:
            shown = client.get(path)
    if json_:
        output.as_json(shown)
    else:
        _tell(shown, name)


def _tell(shown: dict[str, Any], name: str) -> None:
    rows = [
        (
            item["host"],
            "good" if item["covered"] else "self-made" if item["self_signed"] else "not for this name",
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
    errand = shown["errand"]
    if errand is not None and errand["state"] in ("queued", "running"):
        output.note("The worker has not done it yet.")
    elif errand is not None and errand["state"] == "failed":
        output.note(output.clean(f"It failed: {errand['outcome']} {errand['hint']}".rstrip()))
