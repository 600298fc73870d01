"""What is alive, in files that every checkout and every session on this machine reads."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from tests.server.lab.places import ALIVE

BY_HAND = 0


@dataclass(frozen=True)
class Owner:
    """The process that a lab belongs to; its start tells it from a later one with the same number."""

    pid: int = BY_HAND
    born: str = ""

    @classmethod
    def me(cls) -> Self:
        return cls(os.getpid(), birth(os.getpid()))

    @property
    def alive(self) -> bool:
        return self.pid == BY_HAND or birth(self.pid) == self.born


@dataclass(frozen=True)
class LabRecord:
    """`forwarding` is how this machine had it before."""

    number: int
    owner: Owner
    checkout: str
    forwarding: str

    @property
    def file(self) -> Path:
        return ALIVE / "labs" / f"{self.number}.json"

    def save(self) -> None:
        _write(self.file, asdict(self))


@dataclass(frozen=True)
class ServerRecord:
    name: str
    suite: str
    lab: int
    index: int
    folder: str
    lowers: tuple[str, ...]
    leader: int = 0
    born: str = ""

    @property
    def file(self) -> Path:
        return ALIVE / "servers" / f"{self.name}.json"

    def save(self) -> None:
        _write(self.file, asdict(self))

    def led_by(self, leader: int) -> ServerRecord:
        return replace(self, leader=leader, born=birth(leader))


def labs() -> tuple[LabRecord, ...]:
    found = [json.loads(file.read_text()) for file in sorted((ALIVE / "labs").glob("*.json"))]
    return tuple(LabRecord(**{**one, "owner": Owner(**one["owner"])}) for one in found)


def servers() -> tuple[ServerRecord, ...]:
    found = [json.loads(file.read_text()) for file in sorted((ALIVE / "servers").glob("*.json"))]
    return tuple(ServerRecord(**{**one, "lowers": tuple(one["lowers"])}) for one in found)


def birth(pid: int) -> str:
    """When a process began, in the ticks of this machine; empty when there is none, or only its remains."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else fields[18]


def _write(file: Path, content: dict[str, object]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(content))
    part.rename(file)
