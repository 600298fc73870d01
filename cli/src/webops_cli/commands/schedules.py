"""Commands on a schedule, and what came of their last runs."""

from __future__ import annotations

import click

from webops_cli import options, output
from webops_cli.settings import App


@click.command()
@options.name
@options.as_json
@click.pass_obj
def schedules(app: App, name: str, json_: bool) -> None:
    """Commands on a schedule, as webops.toml names them, and their last runs."""
    from webops_cli.client import of

    with options.connect(app) as client:
        shown = client.get(of(name, "schedules"))
    if json_:
        output.as_json(shown)
        return
    rows = [(item["schedule"], item["command"], item["next_at"], item["last_outcome"]) for item in shown["items"]]
    output.table(
        ("SCHEDULE", "COMMAND", "NEXT", "LAST"), rows, empty="No schedules: webops.toml names them in [[cron]]."
    )
    runs = [
        (output.age(run["started_at"]), run["state"], run["command"], output.seconds(run["seconds"]), run["outcome"])
        for run in shown["runs"]
    ]
    if runs:
        click.echo()
        output.table(("WHEN", "STATE", "COMMAND", "TOOK", ""), runs, empty="")
