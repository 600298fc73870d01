"""Watching a release until it is over: its steps and lines on standard error, its end as an exit code."""

from __future__ import annotations

import time
from typing import Any

import click

from webops_cli import output
from webops_cli.client import Client, of
from webops_cli.failures import FAILED, INTERRUPTED, TIMED_OUT, UNREACHABLE, Failure
from webops_cli.settings import App

PATIENCE = 30
"""How often in a row the panel may be away (a second each), for it may be restarting."""


def release(app: App, client: Client, name: str, number: int, *, timeout: float, quiet: bool = False) -> dict[str, Any]:
    """Follow it to its end and return it, whatever the end is. Raises Failure when the time is over. Ctrl-C leaves
    the release alone."""
    end = time.monotonic() + timeout
    position, told = 0, set[str]()
    try:
        while True:
            lines, shown = _look(app, client, name, number, position)
            if not quiet:
                _tell(lines, shown, told)
            position = lines[-1]["position"] if lines else position
            if shown["over"] and not lines:
                return shown
            if time.monotonic() > end:
                raise Failure(
                    f"Release {number} of {name} is still under way after {timeout:g} s; it goes on.",
                    exit_code=TIMED_OUT,
                    hint=_again(name, number),
                )
            app.sleep(0.2)
    except KeyboardInterrupt:
        output.note(f"\nDetached. Release {number} of {name} goes on.")
        output.note(f"Watch it: {_again(name, number)}   Stop it: webops cancel {name}")
        raise click.exceptions.Exit(INTERRUPTED) from None


def settled(app: App, client: Client, path: str, shown: dict[str, Any], *, seconds: float = 25.0) -> dict[str, Any]:
    """What `path` says once the worker has done what was asked of it, or after some seconds all the same. Raises
    Failure when it could not be done."""
    end = time.monotonic() + seconds
    while _is_open(shown["errand"]) and time.monotonic() < end:
        app.sleep(0.3)
        shown = client.get(path)
    errand = shown["errand"]
    if errand is not None and errand["state"] == "failed":
        raise Failure(output.clean(errand["outcome"]), exit_code=FAILED, hint=output.clean(errand["hint"]))
    if _is_open(errand):
        output.note("The worker has not done it yet; it goes on.")
    return shown


def _is_open(errand: dict[str, Any] | None) -> bool:
    return errand is not None and errand["state"] in ("queued", "running")


def outcome(name: str, shown: dict[str, Any]) -> None:
    """Say how it ended. Raises Failure unless it went live."""
    number, state = shown["number"], shown["state"]
    if state in ("live", "retired", "ready"):
        return
    ended = {"failed": "failed", "cancelled": "was cancelled", "superseded": "was superseded by a newer one"}
    cause = shown["cause"] if state == "failed" else ""
    raise Failure(
        f"Release {number} of {name} {ended.get(state, state)}. {output.clean(cause)}".strip(),
        exit_code=FAILED,
        details=tuple(output.clean(line) for line in shown["evidence"]),
        hint=output.clean(shown["hint"]) or f"webops logs {name} --release {number}",
    )


def _look(
    app: App, client: Client, name: str, number: int, position: int
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines after a position and the release as it is then. A panel that is away for a while is waited for."""
    path = of(name, "releases", number)
    for _ in range(PATIENCE):
        try:
            # The release first: lines that come after its end was seen can not be missed.
            shown = client.get(path)
            return client.lines(f"{path}/log", after=position, wait=0 if shown["over"] else app.patience), shown
        except Failure as failure:
            if failure.exit_code != UNREACHABLE:
                raise
            last = failure
            app.sleep(1)
    raise last


def _tell(lines: list[dict[str, Any]], shown: dict[str, Any], told: set[str]) -> None:
    for line in lines:
        output.note(click.style(f"  {line['step']:>9} ", dim=True) + output.clean(line["text"]))
    for step in shown["steps"]:
        if step["name"] not in told and step["state"] in ("done", "failed", "skipped"):
            told.add(step["name"])
            mark, took = output.MARKS[step["state"]], output.seconds(step["seconds"])
            words = [click.style(mark, fg=output.COLOURS.get(step["state"])), step["name"], took, step["note"]]
            output.note(" ".join(word for word in map(str, words) if word))


def _again(name: str, number: int) -> str:
    return f"webops logs {name} --release {number} -f"
