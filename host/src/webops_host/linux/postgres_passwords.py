"""The passwords of deployments' roles, in files that only pgd's user reads: a URL that was given stays the same.

A deployment has two roles that sign in and uses one. A new password goes to the other, so that both work until the old
one is retired.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from webops_host.errors import BadValue
from webops_host.files import write_whole
from webops_host.names import DeploymentName

LETTERS = ("a", "b")


@dataclass(frozen=True, slots=True)
class Key:
    """Which of the two roles, and its password."""

    letter: str
    password: str = field(repr=False)

    @classmethod
    def new(cls, letter: str) -> Key:
        return cls(letter, secrets.token_hex(24))


@dataclass(frozen=True, slots=True)
class Keys:
    """`now` is what the URL names, `before` what still works beside it. `kept_since` is when a restore put a database
    aside, as a Unix time."""

    now: Key
    before: Key | None = None
    kept_since: float = 0.0


class Passwords:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: DeploymentName) -> Keys | None:
        """Raises BadValue for a file that somebody damaged."""
        file = self._file(name)
        try:
            data = json.loads(file.read_text())
            before = Key(**data["before"]) if data["before"] else None
            found = Keys(Key(**data["now"]), before, float(data["kept_since"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise BadValue(f"The kept database password of {name} is damaged.", hint=f"Remove {file}.") from None
        keys = [key for key in (found.now, found.before) if key is not None]
        if any(key.letter not in LETTERS or not key.password.isalnum() for key in keys):
            raise BadValue(f"The kept database password of {name} is damaged.", hint=f"Remove {file}.")
        return found

    def keep(self, name: DeploymentName, keys: Keys) -> Keys:
        """On disk before it is used, so that a crash in between leaves one that is set again."""
        write_whole(self._file(name), json.dumps({
            "now": _plain(keys.now), "before": _plain(keys.before), "kept_since": keys.kept_since,
        }).encode(), 0o600)  # fmt: skip
        return keys

    def forget(self, name: DeploymentName) -> None:
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: DeploymentName) -> Path:
        return self._folder / f"{name}.json"


def other(letter: str) -> str:
    return LETTERS[1 - LETTERS.index(letter)]


def _plain(key: Key | None) -> dict[str, str] | None:
    return None if key is None else {"letter": key.letter, "password": key.password}
