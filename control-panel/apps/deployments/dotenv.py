"""Text of an `.env` file to variables and back. Values are literal: nothing is expanded, `$` is a dollar sign."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_HEAD = re.compile(r"[ \t]*(?:export[ \t]+)?([^=\s#'\"]+)[ \t]*=[ \t]*")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$", "`": "`"}
_WRITTEN = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that could not be read, and why."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Parsed:
    """Variables in the order of the text (of a key given twice, the last value), and the lines that were wrong."""

    pairs: tuple[tuple[str, str], ...]
    mistakes: tuple[Mistake, ...]


def parse(text: str) -> Parsed:
    """Read `KEY=value`, `export KEY=value`, 'single' (literal) and "double" quotes (escapes, several lines)."""
    text = text.removeprefix("\ufeff")
    pairs: dict[str, str] = {}
    mistakes: list[Mistake] = []
    at = 0
    while at < len(text):
        number = text.count("\n", 0, at) + 1
        end = _line_end(text, at)
        line = text[at:end].rstrip("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            at = end + 1
            continue
        head = _HEAD.match(line)
        if head is None or not _KEY.fullmatch(head[1]):
            mistakes.append(Mistake(number, f"“{line.strip()[:40]}” is not of the form NAME=value."))
            at = end + 1
            continue
        value, at, wrong = _value(text, at + head.end(), end)
        if wrong or "\x00" in value:
            mistakes.append(Mistake(number, wrong or f"{head[1]} has a NUL character."))
            continue
        pairs.pop(head[1], None)
        pairs[head[1]] = value
    return Parsed(tuple(pairs.items()), tuple(mistakes))


def dump(pairs: Iterable[tuple[str, str]]) -> str:
    """Text that `parse` reads back to the same pairs."""
    return "".join(f"{key}={_written(value)}\n" for key, value in pairs)


def _written(value: str) -> str:
    if not value or _PLAIN.fullmatch(value):
        return value
    return '"' + "".join(_WRITTEN.get(char, char) for char in value) + '"'


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _value(text: str, at: int, end: int) -> tuple[str, int, str]:
    """The value that begins at `at`, where the next line begins, and what was wrong."""
    quote = text[at : at + 1]
    if quote not in ('"', "'") or not quote:
        raw = text[at:end].rstrip("\r")
        comment = re.search(r"(?:^|[ \t])#", raw)
        return (raw[: comment.start()] if comment else raw).strip(" \t"), end + 1, ""
    close = _closing(text, at + 1, quote)
    if close < 0:
        return "", end + 1, f"The {quote} that opens here is never closed."
    rest_end = _line_end(text, close)
    rest = text[close + 1 : rest_end].strip()
    if rest and not rest.startswith("#"):
        return "", rest_end + 1, f"There is text after the closing {quote}: “{rest[:20]}”."
    inner = text[at + 1 : close]
    return (inner if quote == "'" else _unescape(inner)), rest_end + 1, ""


def _closing(text: str, at: int, quote: str) -> int:
    while at < len(text):
        if text[at] == "\\" and quote == '"':
            at += 2
            continue
        if text[at] == quote:
            return at
        at += 1
    return -1


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[0]), text, flags=re.DOTALL)
