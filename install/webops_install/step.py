"""A step of the setup: compares the machine with what should be, and names the changes that are left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from webops_install.answers import Answers
from webops_install.change import Change
from webops_install.facts import Facts
from webops_install.machine import Machine
from webops_install.source import Source


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything that steps look at. `skipped` gets sentences about what could not be done here, and why; `told` what
    the administrator must hear at the end."""

    machine: Machine
    answers: Answers
    facts: Facts
    source: Source
    ssh_ports: tuple[int, ...] = (22,)
    skipped: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def release(self) -> Path:
        return Path("/opt/webops/releases", self.source.version)

    def skipped_one(self, subject: str) -> bool:
        return any(sentence.startswith(f"{subject}:") for sentence in self.skipped)

    def skip(self, sentence: str) -> None:
        if sentence not in self.skipped:
            self.skipped.append(sentence)


@dataclass(frozen=True, slots=True)
class Step:
    """`plan` yields the changes that are left, each after the one before it was made; with none left the step is done.
    A dry run makes none of them, so a plan must bear that. `verify` raises SetupError when it does not hold."""

    name: str
    plan: Callable[[Setup], Iterator[Change]]
    verify: Callable[[Setup], None] = lambda _: None
