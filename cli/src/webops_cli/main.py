"""The `webops` command. Its sub-commands are imported when they are used, so that help is quick."""

from __future__ import annotations

import difflib
import importlib
from typing import Any, NoReturn

import click

from webops_cli import __version__
from webops_cli.failures import INTERRUPTED
from webops_cli.settings import App

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Sign in": {
        "login": ("session", "Sign in to a panel."),
        "logout": ("session", "Give the token back and forget it."),
        "whoami": ("session", "Who you are signed in as."),
    },
    "Deployments": {
        "create": ("deployments", "Make a deployment from a Git repository."),
        "list": ("deployments", "All deployments you may see."),
        "show": ("deployments", "One deployment, as it is now."),
        "plan": ("deployments", "What was found in the repository."),
        "inspect": ("deployments", "Look at the repository again."),
        "open": ("deployments", "Open the site in a browser."),
        "delete": ("deployments", "Remove a deployment for good."),
    },
    "Releases": {
        "deploy": ("releases", "Put the newest commit live."),
        "releases": ("releases", "The releases of a deployment."),
        "rollback": ("releases", "Go back to an earlier release."),
        "cancel": ("releases", "Stop the release under way."),
        "logs": ("logs", "What it prints, or what a release printed."),
    },
    "Running": {
        "start": ("power", "Start a stopped deployment."),
        "stop": ("power", "Stop it; nothing is removed."),
        "restart": ("power", "Restart its processes."),
        "scale": ("scale", "Copies of each process, and what they may use."),
        "run": ("run", "Run one command in its sandbox."),
        "schedules": ("schedules", "Commands on a schedule, and their last runs."),
        "domains": ("domains", "Domains: list, add, remove, check."),
        "certificate": ("certificate", "The certificate of its names: show, issue, upload."),
        "site": ("site", "How the site behaves: maintenance, password, limits."),
        "env": ("env", "Environment variables: list, set, unset, import."),
        "databases": ("databases", "Databases of your deployments."),
    },
    "Account and team": {
        "tokens": ("tokens", "Tokens for scripts: list, create, revoke."),
        "git-servers": ("git_servers", "Git servers of the team: list, add, remove."),
    },
    "This program": {
        "version": ("itself", "The version of this program."),
        "completion": ("itself", "Completion for bash, zsh or fish."),
    },
}
COMMANDS = {name: where for section in SECTIONS.values() for name, where in section.items()}


class Commands(click.Group):
    """Finds a command in its module; suggests one when there is none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"webops_cli.commands.{COMMANDS[cmd_name][0]}")
        found: click.Command = getattr(module, cmd_name.replace("-", "_") if cmd_name != "list" else "list_")
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            _no_such_command(ctx, name)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in section.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="webops")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Put static sites and Django apps from Git repositories live.

    Begin with “webops login”, then “webops create blog --repo URL --wait”. WEBOPS_URL and WEBOPS_TOKEN stand in for
    signing in. Exit codes: 0 done, 1 failed, 2 usage, 3 forbidden, 4 not found, 5 conflict, 6 timed out,
    7 unreachable, 130 interrupted.
    """
    if ctx.obj is None:
        ctx.obj = App()


def _no_such_command(ctx: click.Context, name: str) -> NoReturn:
    found = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.6)
    more = f" Did you mean “webops {found[0]}”?" if found else ""
    raise click.UsageError(f"There is no command “{name}”.{more}", ctx)


def main() -> None:
    cli(prog_name="webops")
