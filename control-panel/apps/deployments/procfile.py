"""Procfile: one process kind a line, as on Heroku. Lines are data; nothing here runs or expands them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(r"\s*([A-Za-z0-9_-]+)\s*:\s*(\S.*)")


@dataclass(frozen=True, slots=True)
class Line:
    """A process kind, its command as written, and the line number."""

    kind: str
    command: str
    number: int


def parse(text: str) -> tuple[tuple[Line, ...], tuple[tuple[int, str], ...]]:
    """The lines and, as (number, text), what could not be read. Of a kind given twice the last one counts."""
    lines: dict[str, Line] = {}
    wrong: list[tuple[int, str]] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.rstrip("\r").strip("\ufeff")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or "\x00" in line:
            wrong.append((number, line[:120]))
            continue
        lines[match[1].lower()] = Line(match[1].lower(), match[2].strip(), number)
    return tuple(lines.values()), tuple(wrong)
