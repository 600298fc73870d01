"""Domains of a deployment, and the DNS records that they need."""

from __future__ import annotations

from typing import Any

import click

from webops_cli import options, output
from webops_cli.settings import App

ACTIONS = ("list", "add", "remove", "primary", "check", "redirect")
RULES = {"as-is": "as_is", "to-bare": "to_bare", "to-www": "to_www"}


@click.command()
@options.name
@click.argument("action", type=click.Choice(ACTIONS), default="list")
@click.argument("domain", required=False)
@click.option("--www", type=click.Choice(list(RULES)), help="With redirect: which of www and bare leads to the other.")
@click.option("--one-name/--any-name", default=None, help="With redirect: lead all others to the primary one, or not.")
@options.as_json
@click.pass_obj
def domains(
    app: App, name: str, action: str, domain: str | None, www: str | None, one_name: bool | None, json_: bool
) -> None:
    """List, add, remove or check domains, and choose the primary one.

    What is listed says which DNS records to set, and what was found of them. A change applies at once.
    """
    from webops_cli import follow
    from webops_cli.client import of

    _check(action, domain, www, one_name)
    with options.connect(app) as client:
        shown = _do(client, name, action, domain or "", {"www": RULES.get(www or ""), "one_name": one_name})
        if action != "list":
            shown = follow.settled(app, client, of(name, "domains"), shown)
    if json_:
        output.as_json(shown)
    else:
        _tell(shown, name)


def _check(action: str, domain: str | None, www: str | None, one_name: bool | None) -> None:
    named = action in ("add", "remove", "primary")
    if named and not domain:
        raise click.UsageError(
            f"Say which domain to {action}, for example: webops domains NAME {action} www.example.com"
        )
    if not named and domain:
        raise click.UsageError(f"“{action}” takes no domain.")
    chosen = www is not None or one_name is not None
    if (action == "redirect") != chosen:
        raise click.UsageError("--www and --one-name go with “redirect”, which needs one of them.")


def _do(client: Any, name: str, action: str, domain: str, body: dict[str, Any]) -> Any:
    from urllib.parse import quote

    from webops_cli.client import of

    path, one = of(name, "domains"), quote(domain, safe="")
    match action:
        case "add":
            return client.post(path, {"name": domain})
        case "remove":
            return client.delete(f"{path}/{one}")
        case "primary":
            return client.post(f"{path}/{one}/primary")
        case "check":
            return client.post(f"{path}/check")
        case "redirect":
            return client.patch(path, body)
    return client.get(path)


def _tell(shown: dict[str, Any], name: str) -> None:
    rows = [(shown["default"], "default", "", "")] if shown["default"] else []
    for item in shown["items"]:
        state = "primary" if item["primary"] else "" if item["proven"] else "not proven yet"
        records = item["records"] or [{"kind": "", "says": "", "name": "", "wanted": []}]
        for record in records:
            says = record["says"] or (f"Set it to {' or '.join(record['wanted'])}." if record["wanted"] else "")
            rows.append((item["shown"], state, record["kind"], says))
    output.table(("DOMAIN", "", "RECORD", ""), rows, empty=f"No domains yet. Next: webops domains {name} add DOMAIN")
    for item in shown["items"]:
        for record in item["records"]:
            if record["kind"] == "TXT" and not record["ok"]:
                output.note(f"Prove that it is yours: TXT {record['name']} → {record['wanted'][0]}")
