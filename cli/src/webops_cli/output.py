"""Data goes to standard output, everything else to standard error. Text from elsewhere can not steer the terminal."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
COLOURS = {
    "running": "green",
    "live": "green",
    "done": "green",
    "deploying": "blue",
    "queued": "blue",
    "degraded": "yellow",
    "stopped": "yellow",
    "crashed": "red",
    "failed": "red",
}
MARKS = {"done": "✓", "failed": "✗", "skipped": "–", "running": "…"}


def as_json(shown: Any) -> None:
    click.echo(json.dumps(shown, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def note(text: str) -> None:
    """Progress and hints."""
    click.echo(text, err=True)


def clean(text: Any) -> str:
    """Without escape sequences and control characters, which a program's output may hold to mislead."""
    return CONTROLS.sub("", ESCAPES.sub("", str(text)))


def coloured(word: str) -> str:
    return click.style(word, fg=COLOURS.get(word))


def table(titles: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """Columns for people; `empty` says what to do when there is nothing."""
    shown = [[clean("" if cell is None else cell) for cell in row] for row in rows]
    if not shown:
        note(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for title in titles:
        made.add_column(title, overflow="fold")
    for row in shown:
        made.add_row(*(Text(cell, style=COLOURS.get(cell, "")) for cell in row))
    width = None if sys.stdout.isatty() else 200
    Console(file=sys.stdout, width=width, highlight=False, soft_wrap=False).print(made)


def pairs(rows: Iterable[tuple[str, Any]]) -> None:
    """A name and a value per line; empty ones are left out."""
    shown = [(name, clean(value)) for name, value in rows if value not in (None, "", [])]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{click.style(name.ljust(width), dim=True)}  {coloured(value) if name == 'status' else value}")


def age(text: str | None) -> str:
    """“4 min ago” for a time of the API."""
    if not text:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {name} ago"
    return f"{max(0, int(seconds))} s ago"


def seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"
