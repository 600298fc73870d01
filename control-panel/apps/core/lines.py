"""Text from outside as one line: what a person or a program sends can not begin a new line of a log, and no way in
that still works is written there."""

from __future__ import annotations

import logging
import re
from typing import Any

from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError

UNREACHABLE = (OperationalError, InterfaceError)
"""What the database's driver raises when the database can not be reached or hung up."""
SECRET_PATH = re.compile(r"(/first-sign-in/)[^/\s]+")


def one_line(text: str) -> str:
    """The same text with every control character, line and paragraph separator written out."""
    return "".join(char if char.isprintable() else _written_out(char) for char in text)


def _written_out(char: str) -> str:
    return char.encode("unicode_escape").decode()


class LineFormatter(logging.Formatter):
    """A record is one line; only the traceback of an error of ours follows on its own lines. A database that can not
    be reached and a wrong Host header are none, and are said in one line, too."""

    def format(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, (*UNREACHABLE, DisallowedHost)):
            said = {**vars(record), "exc_info": None, "exc_text": None, "args": None}
            record = logging.makeLogRecord(said | {"msg": f"{record.getMessage()} ({error})"})
        return super().format(record)

    def formatMessage(self, record: Any) -> str:
        record.message = SECRET_PATH.sub(r"\1…", one_line(record.message))
        return super().formatMessage(record)
