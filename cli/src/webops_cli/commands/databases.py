"""Databases of one's deployments."""

from __future__ import annotations

import click

from webops_cli import options, output
from webops_cli.settings import App


@click.command()
@options.as_json
@click.pass_obj
def databases(app: App, json_: bool) -> None:
    """Databases of your deployments."""
    with options.connect(app) as client:
        items = client.get("databases")["items"]
    if json_:
        output.as_json(items)
        return
    rows = [(item["name"], item["engine"], item["deployment"], item["team"]) for item in items]
    output.table(("NAME", "ENGINE", "DEPLOYMENT", "TEAM"), rows, empty="No databases: a Django app brings its own.")
