"""Signing in and out."""

from __future__ import annotations

import socket
import sys

import click

from webops_cli import options, output, settings
from webops_cli.failures import FORBIDDEN, UNREACHABLE, USAGE, Failure
from webops_cli.settings import App, Profile


@click.command()
@click.argument("url", required=False)
@click.option("--username", "-u", help="User name; asked for when left out.")
@click.option("--token", help="Give “-” and a token on standard input, instead of a password.")
@click.option("--insecure", is_flag=True, help="Send the password although others can read along.")
@options.as_json
@click.pass_obj
def login(app: App, url: str | None, username: str | None, token: str | None, insecure: bool, json_: bool) -> None:
    """Sign in to the panel at URL and remember it."""
    where = settings.clean_url(url) if url else settings.current_url(app.environ)
    if not settings.is_private(where) and not insecure:
        raise Failure(
            f"{where} is not encrypted: others could read your password.",
            exit_code=USAGE,
            hint=f"webops login {where.replace('http://', 'https://', 1)}, or add --insecure.",
        )
    kept = _by_token(app, where, token) if token else _by_password(app, where, username)
    path = settings.keep(app.environ, kept)
    if json_:
        output.as_json({"url": kept.url, "username": kept.username})
    else:
        output.note(f"Signed in to {kept.url} as {kept.username}. The token is kept in {path}.")


def _by_token(app: App, where: str, token: str) -> Profile:
    from webops_cli.client import Client

    if token != "-":  # noqa: S105 - the word for standard input
        raise Failure(
            "A token does not belong on the command line, where others can see it.",
            exit_code=USAGE,
            hint=f"webops login {where} --token - < file",
        )
    secret = sys.stdin.readline().strip()
    with Client(where, secret, transport=app.transport) as client:
        return Profile(where, secret, client.get("me")["username"])


def _by_password(app: App, where: str, username: str | None) -> Profile:
    from webops_cli.client import Client

    output.note(f"Signing in to {where}")
    username = username or _ask("User name")
    password = _ask("Password", hide=True)
    with Client(where, transport=app.transport) as client:
        body = {"username": username, "password": password, "client": socket.gethostname()[:60]}
        session = client.post("session", body)
    return Profile(where, session["token"], session["username"])


def _ask(what: str, *, hide: bool = False) -> str:
    """From the person; or a line of standard input, when that is not a terminal."""
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=hide, err=True))
    return sys.stdin.readline().rstrip("\r\n")


@click.command()
@options.as_json
@click.pass_obj
def logout(app: App, json_: bool) -> None:
    """Revoke the token of this sign-in and forget it."""
    found = settings.profile(app.environ)
    try:
        with options.connect(app) as client:
            client.delete("session")
    except Failure as failure:
        if failure.exit_code not in (FORBIDDEN, UNREACHABLE):
            raise
        output.note(f"{failure.message} The token is forgotten here all the same.")
    settings.forget(app.environ, found.url)
    if json_:
        output.as_json({"url": found.url})
    else:
        output.note(f"Signed out of {found.url}.")


@click.command()
@options.as_json
@click.pass_obj
def whoami(app: App, json_: bool) -> None:
    """Who you are signed in as, where, and your roles."""
    with options.connect(app) as client:
        me = client.get("me")
        me["url"] = client.url
    if json_:
        output.as_json(me)
        return
    teams = ", ".join(f"{team['team']} ({team['role']})" for team in me["teams"])
    output.pairs(
        [
            ("user", me["username"]),
            ("panel", me["url"]),
            ("teams", teams or "none"),
            ("token", me["token"]),
            ("scope", me["scope"]),
            ("until", me["token_expires_at"]),
        ]
    )
