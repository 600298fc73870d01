"""Start, stop, restart."""

from __future__ import annotations

import click

from webops_cli import options, output
from webops_cli.commands.deployments import tell
from webops_cli.settings import App


@click.command()
@options.name
@options.as_json
@click.pass_obj
def start(app: App, name: str, json_: bool) -> None:
    """Start a stopped deployment."""
    _press(app, name, "start", json_)


@click.command()
@options.name
@options.as_json
@click.pass_obj
def stop(app: App, name: str, json_: bool) -> None:
    """Stop its processes and its site; nothing is removed."""
    _press(app, name, "stop", json_)


@click.command()
@options.name
@options.as_json
@click.pass_obj
def restart(app: App, name: str, json_: bool) -> None:
    """Restart its processes, with the variables of the live release."""
    _press(app, name, "restart", json_)


def _press(app: App, name: str, button: str, json_: bool) -> None:
    from webops_cli import follow
    from webops_cli.client import of

    with options.connect(app) as client:
        shown = follow.settled(app, client, of(name), client.post(of(name, button)))
    if json_:
        output.as_json(shown)
    else:
        tell(shown)
