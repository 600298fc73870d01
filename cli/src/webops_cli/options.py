"""Options and arguments that many commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from webops_cli import settings
from webops_cli.settings import App

if TYPE_CHECKING:
    from webops_cli.client import Client

F = TypeVar("F", bound=Callable[..., Any])


class Deployment(click.ParamType[str]):
    """A deployment's name, as given; completed from the panel."""

    name = "name"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        try:
            with connect(ctx.find_object(App) or App()) as client:
                names = [item["name"] for item in client.get("deployments")["items"]]
        except click.ClickException:
            return []
        return [click.shell_completion.CompletionItem(name) for name in names if name.startswith(incomplete)]


as_json = click.option("--json", "json_", is_flag=True, help="Print data as JSON.")
name = click.argument("name", type=Deployment())


def waiting(command: F) -> F:
    """`--wait` and how long."""
    command = click.option("--wait", is_flag=True, help="Watch it to its end; exit 1 if it does not go live.")(command)
    return click.option("--timeout", type=click.FloatRange(min=0), default=3600.0, help="Seconds to wait at most.")(
        command
    )


def connect(app: App) -> Client:
    """A client of the panel that one is signed in to."""
    from webops_cli.client import Client

    found = settings.profile(app.environ)
    return Client(found.url, found.token, transport=app.transport)
