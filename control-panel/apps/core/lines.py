"""Text from outside as one line: what a person or a program sends can not begin a new line of a log."""

from __future__ import annotations

import logging
from typing import Any


def one_line(text: str) -> str:
    """The same text with every control character, line and paragraph separator written out."""
    return "".join(char if char.isprintable() else _written_out(char) for char in text)


def _written_out(char: str) -> str:
    return char.encode("unicode_escape").decode()


class LineFormatter(logging.Formatter):
    """A record is one line; only the traceback of an error of ours follows on its own lines."""

    def formatMessage(self, record: Any) -> str:
        record.message = one_line(record.message)
        return super().formatMessage(record)
