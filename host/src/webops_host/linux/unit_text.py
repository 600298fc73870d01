"""Unit files and variable files as text, from values: whatever a value holds stays a value.

Every line goes through one function that refuses control characters and escapes what systemd.unit(5) would expand, so
that no text can begin a line, a section or a specifier of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from webops_host.errors import BadValue

Line = tuple[str, str]
KEY = re.compile(r"(X-)?[A-Z][A-Za-z0-9]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
NEEDS_ESCAPE = re.compile(r'[\\"$`]')


def unit(sections: Mapping[str, Iterable[Line]]) -> str:
    """A unit file. Raises BadValue for a value that is not one line."""
    blocks = [f"[{title}]\n{''.join(_line(key, value) for key, value in lines)}" for title, lines in sections.items()]
    return "# Written by WebOps; changes are lost.\n" + "\n".join(blocks)


def exec_words(words: Iterable[str]) -> str:
    """The value of an `Exec…=` line that runs exactly these words (systemd.service(5), COMMAND LINES)."""
    return " ".join(f'"{_word(word)}"' for word in words)


def text(value: str) -> str:
    """A value in which nothing is a specifier."""
    return value.replace("%", "%%")


def variables(values: Mapping[str, str]) -> str:
    """An `EnvironmentFile` (systemd.exec(5)) whose values arrive byte for byte. NUL can not be carried."""
    return "".join(f'{key}="{_variable(key, value)}"\n' for key, value in values.items())


def _line(key: str, value: str) -> str:
    if KEY.fullmatch(key) is None or CONTROL.search(value) or value.endswith("\\"):
        raise BadValue(f"{key}={value!r:.80} can not stand in a unit.")
    return f"{key}={value}\n"


def _word(word: str) -> str:
    if "\x00" in word:
        raise BadValue("A word of a command line holds a NUL.")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", escaped)


def _variable(key: str, value: str) -> str:
    if "\x00" in value:
        raise BadValue(f"The value of {key} holds a NUL, which no environment can carry.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadValue(f"The value of {key} is not text.", hint="Encode it, for example in base64.") from None
    return NEEDS_ESCAPE.sub(lambda found: f"\\{found[0]}", value)
