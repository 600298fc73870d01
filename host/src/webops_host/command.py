"""A program to run, as a value: decided by pure builders, looked at in tests, run in one place (`runner`)."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Command:
    """Words of a program; `timeout` in seconds. `env` is the whole environment, never an addition to ours.

    Printing it replaces every text in `hide` by `[hidden]`, and never shows the environment.
    """

    argv: tuple[str, ...]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    hide: frozenset[str] = field(default=frozenset(), repr=False)
    timeout: float = 60.0
    memory_mib: int | None = None
    stdin: bytes = field(default=b"", repr=False)

    @property
    def program(self) -> str:
        return self.argv[0]

    def __str__(self) -> str:
        line = shlex.join(self.argv)
        for secret in self.hide:
            line = line.replace(secret, "[hidden]")
        return line
