"""A dump in plain SQL, taken apart into statements and COPY data as psql would, without what only psql can do.

Reading it wrongly can not do harm: everything goes to the server as a statement, and the server refuses what it does
not understand or what the role may not do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from webops_host.errors import BadValue

STATEMENT_LIMIT = 64 << 20
MARKS = re.compile(
    rb"""--[^\n]*|/\*|\*/|'|"|\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$|;|\\[^\s]*|[()]"""
    rb"""|[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*"""
)
COPY = re.compile(rb"\s*COPY\b.*\bFROM\s+STDIN\b", re.IGNORECASE | re.DOTALL)
OWN_COMMANDS = (b"\\restrict", b"\\unrestrict")  # pg_dump writes them around its script, to protect psql
END = b"\\."


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `rows`, when it is a COPY FROM STDIN, are read from the script as they are asked for."""

    text: bytes
    rows: Iterator[bytes] | None = None


def statements(lines: Iterable[bytes]) -> Iterator[Statement]:
    """Every statement of a script, in order. Raises BadValue for a command of psql, and for an end in the middle."""
    source = iter(lines)
    reader = _Reader()
    for number, line in enumerate(source, 1):
        for text in reader.feed(line, number):
            if COPY.match(text):
                rows = _rows(source)
                yield Statement(text, rows)
                for _ in rows:  # whatever was not asked for
                    continue
            elif text.strip():
                yield Statement(text)
    if reader.rest():
        raise BadValue("The script ends in the middle of a statement.", hint="It was cut off: make the dump again.")


def _rows(source: Iterator[bytes]) -> Iterator[bytes]:
    for line in source:
        if line.rstrip(b"\r\n") == END:
            return
        yield line
    raise BadValue("The script ends in the middle of a table's rows.", hint="It was cut off: make the dump again.")


class _Reader:
    """Where in a statement we are: in which quotes, comment, parentheses or body of a function."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._quote = b""  # what ends the text we are in; */ for a comment
        self._escapes = False
        self._comments = self._depth = self._bodies = 0
        self._words: list[bytes] = []
        self._before = b""

    def rest(self) -> bool:
        return bool(self._quote or b"".join(self._parts).strip())

    def feed(self, line: bytes, number: int) -> Iterator[bytes]:
        """The statements that end in this line."""
        begin = at = 0
        while at < len(line):
            if self._quote:
                at = self._inside(line, at)
                continue
            mark = MARKS.search(line, at)
            if mark is None:
                break
            at = mark.end()
            text = mark[0]
            if text.startswith(b"\\"):
                _refuse_command(line, text, number)
                begin = at = len(line)
            elif text == b";" and not self._depth and not self._bodies:
                yield self._end(line[begin:at])
                begin = at
            elif text.startswith(b"--"):
                self._keep(line[begin : mark.start()])
                begin = at
            else:
                self._step(text, line, mark.start())
        self._keep(line[begin:])

    def _step(self, text: bytes, line: bytes, at: int) -> None:
        if text == b"/*":
            self._quote, self._comments = b"*/", 1
        elif text in (b"'", b'"') or text.startswith(b"$"):
            self._quote = text
            self._escapes = text == b"'" and self._before.upper() == b"E" and line[at - 1 : at] in (b"e", b"E")
        elif text in (b"(", b")"):
            self._depth = max(0, self._depth + (1 if text == b"(" else -1))
        else:
            self._word(text.upper())
        self._before = text

    def _word(self, word: bytes) -> None:
        """A body in BEGIN ATOMIC … END holds semicolons of its own (CREATE FUNCTION of SQL:2003)."""
        if (word == b"ATOMIC" and self._before.upper() == b"BEGIN") or (self._bodies and word == b"CASE"):
            self._bodies += 1
        elif self._bodies and word == b"END":
            self._bodies -= 1

    def _inside(self, line: bytes, at: int) -> int:
        """From inside quotes to behind their end, or to the end of the line."""
        if self._quote == b"*/":
            return self._inside_comment(line, at)
        while (end := line.find(self._quote, at)) >= 0:
            slash = line.find(b"\\", at, end) if self._escapes else -1
            if slash >= 0:
                at = slash + 2
            elif self._quote == b"'" and line[end : end + 2] == b"''":
                at = end + 2
            else:
                end += len(self._quote)
                self._quote, self._escapes = b"", False
                return end
        return len(line)

    def _inside_comment(self, line: bytes, at: int) -> int:
        for mark in re.finditer(rb"/\*|\*/", line[at:]):
            self._comments += 1 if mark[0] == b"/*" else -1
            if not self._comments:
                self._quote = b""
                return at + mark.end()
        return len(line)

    def _keep(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > STATEMENT_LIMIT:
            raise BadValue("A statement of the script is longer than 64 MiB.", hint="Make a dump in the custom form.")

    def _end(self, part: bytes) -> bytes:
        self._keep(part)
        text = b"".join(self._parts)
        self._parts, self._size, self._before = [], 0, b""
        return text


def _refuse_command(line: bytes, text: bytes, number: int) -> None:
    if text in OWN_COMMANDS and line.lstrip().startswith(text):
        return
    shown = text.decode(errors="replace")[:40]
    raise BadValue(
        f"Line {number} of the script holds “{shown}”, a command of psql and not of SQL.",
        hint="Make the dump with “pg_dump --format=custom”, or without “--create”.",
    )
