"""How a site behaves: maintenance page, password wall, allow list, limits."""

from __future__ import annotations

import sys
from typing import Any

import click

from webops_cli import options, output
from webops_cli.settings import App


@click.command()
@options.name
@click.option("--maintenance/--no-maintenance", default=None, help="Answer everybody with a page that says so.")
@click.option("--allow", multiple=True, metavar="NETWORK", help="Let in only these networks; may be given again.")
@click.option("--allow-all", is_flag=True, help="Let in everybody again.")
@click.option("--wall", metavar="VISITOR", help="Ask for a password, and let this visitor in with the one you type.")
@click.option("--wall-remove", metavar="VISITOR", help="Take a visitor off the list; without any there is no wall.")
@click.option("--body-limit", type=int, metavar="MIB", help="Largest upload, in MiB.")
@click.option("--fallback/--no-fallback", default=None, help="Answer unknown pages of a static site with index.html.")
@click.option("--cdn", type=click.Choice(["none", "cloudflare"]), help="Who may tell the visitor's address.")
@click.option("--hsts/--no-hsts", default=None, help="Tell browsers to use HTTPS only.")
@click.option("--sleep", type=int, metavar="MINUTES", help="Sleep after so long without a visitor; 0 is never.")
@options.as_json
@click.pass_obj
def site(app: App, /, name: str, json_: bool, **given: Any) -> None:
    """Show how the site behaves, or change it. A change applies at once, without a deploy.

    The password for --wall is asked for, or read from standard input, so that it is not seen by others.
    """
    from urllib.parse import quote

    from webops_cli import follow
    from webops_cli.client import of

    path = of(name, "site")
    changes = _changes(given)
    with options.connect(app) as client:
        shown = None
        if given["wall"]:
            visitor = quote(given["wall"], safe="")
            shown = client.put(f"{path}/wall/{visitor}", {"password": _password()})
        if given["wall_remove"]:
            shown = client.delete(f"{path}/wall/{quote(given['wall_remove'], safe='')}")
        if changes:
            shown = client.patch(path, changes)
        shown = client.get(path) if shown is None else follow.settled(app, client, path, shown)
    if json_:
        output.as_json(shown)
    else:
        _tell(shown)


def _changes(given: dict[str, Any]) -> dict[str, Any]:
    if given["allow"] and given["allow_all"]:
        raise click.UsageError("--allow and --allow-all exclude each other.")
    found = {key: given[key] for key in ("maintenance", "fallback", "cdn", "hsts") if given[key] is not None}
    if given["body_limit"] is not None:
        found["body_limit_mib"] = given["body_limit"]
    if given["sleep"] is not None:
        found["sleep_minutes"] = given["sleep"]
    if given["allow"] or given["allow_all"]:
        found["allow"] = list(given["allow"])
    return found


def _password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.read().removesuffix("\n")


def _tell(shown: dict[str, Any]) -> None:
    fallback = {None: "as the release says", True: "yes", False: "no"}[shown["fallback"]]
    output.pairs(
        (
            ("maintenance", "on" if shown["maintenance"] else "off"),
            ("password wall", ", ".join(shown["wall"]) or "none"),
            ("let in", ", ".join(shown["allow"]) or "everybody"),
            ("largest upload", f"{shown['body_limit_mib']} MiB"),
            ("single page", fallback),
            ("CDN", shown["cdn"]),
            ("HSTS", "yes" if shown["hsts"] else "no"),
            ("sleeps", f"after {shown['sleep_minutes']} min" if shown["sleep_minutes"] else "never"),
        )
    )
