"""A lab: servers on one network, that belong to one session and go with it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.server.lab import record
from tests.server.lab.disk import Disk, fresh, thawed
from tests.server.lab.network import Network, forwarding, put_back
from tests.server.lab.places import LabError, cache, locked, missing
from tests.server.lab.prepared import prepared
from tests.server.lab.record import LabRecord, Owner, ServerRecord
from tests.server.lab.server import Server

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
CHECKOUT = str(Path(__file__).resolve().parents[3])
NUMBERS = range(1, 251)


class Lab:
    """`with Lab() as lab` has its own network and takes everything down at the end.

    `Lab.by_hand()` is the one that outlives its process: one for each checkout, for people at work.
    """

    def __init__(self, owner: Owner | None = None) -> None:
        if lacking := missing():
            raise LabError(f"no lab here without: {', '.join(lacking)}")
        with locked("lab"):
            sweep()
            self.record = _found(owner) or _allocate(owner or Owner.me())
            self.network = Network(self.record.number)
            self.network.open()

    @classmethod
    def by_hand(cls) -> Self:
        return cls(Owner())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def servers(self) -> tuple[Server, ...]:
        return tuple(Server(one) for one in record.servers() if one.lab == self.record.number)

    def server(self, suite: str = "bookworm", name: str = "", *, state: str = "") -> Server:
        """A new server, booted. With `state` it starts from what was frozen under that label."""
        if not state:
            prepared(suite)  # minutes, when it is the first one: nobody waits for the lock meanwhile
        server = Server(self._register(suite, name, state))
        try:
            server.boot()
        except BaseException:
            server.close()
            raise
        return server

    def _register(self, suite: str, name: str, state: str) -> ServerRecord:
        with locked("lab"):
            index = next(index for index in range(240) if index not in self._taken())
            name = name or f"t{self.record.number}-{suite}-{index}"
            if not NAME.fullmatch(name):
                raise LabError(f"{name!r} is no name for a server: small letters, digits and dashes")
            if name in {one.name for one in record.servers()}:
                raise LabError(f"there is a server {name!r} already")
            disk, suite = _disk(cache() / "servers" / name, suite, state)
            lowers = tuple(map(str, disk.lowers))
            made = ServerRecord(name, suite, self.record.number, index, str(disk.folder), lowers)
            made.save()
            return made

    def _taken(self) -> set[int]:
        return {one.index for one in record.servers() if one.lab == self.record.number}

    def close(self) -> None:
        with locked("lab"):
            _take_down(self.record)


def find(name: str) -> Server:
    for one in record.servers():
        if one.name == name:
            return Server(one)
    raise LabError(f"there is no server {name!r}; there are: {' '.join(s.name for s in record.servers()) or 'none'}")


def sweep() -> tuple[str, ...]:
    """Take down what sessions left that are dead; returns the names of their servers."""
    gone = []
    for lab in record.labs():
        if not lab.owner.alive:
            gone += [one.name for one in record.servers() if one.lab == lab.number]
            _take_down(lab)
    known = {one.folder for one in record.servers()}
    for folder in (cache() / "servers").glob("*"):
        if str(folder) not in known:
            Disk(folder, ()).remove()
            gone.append(folder.name)
    return tuple(gone)


def take_down(name: str) -> None:
    """One server; with the last one of a lab by hand, the lab."""
    server = find(name)
    with locked("lab"):
        server.close()
        for lab in record.labs():
            if lab.owner.pid == record.BY_HAND and not any(one.lab == lab.number for one in record.servers()):
                _take_down(lab)


def _disk(folder: Path, suite: str, state: str) -> tuple[Disk, str]:
    shutil.rmtree(folder, ignore_errors=True)
    return thawed(folder, state) if state else (fresh(folder, suite, folder.name), suite)


def _found(owner: Owner | None) -> LabRecord | None:
    """The lab by hand of this checkout, when that is what is asked for and it is there."""
    wanted = [lab for lab in record.labs() if owner and lab.owner == owner and lab.checkout == CHECKOUT]
    return wanted[0] if wanted else None


def _allocate(owner: Owner) -> LabRecord:
    used = {lab.number for lab in record.labs()}
    others = [lab.forwarding for lab in record.labs()]
    number = next(number for number in NUMBERS if number not in used)
    made = LabRecord(number, owner, CHECKOUT, others[0] if others else forwarding())
    made.save()
    return made


def _take_down(lab: LabRecord) -> None:
    for one in record.servers():
        if one.lab == lab.number:
            Server(one).close()
    Network(lab.number).close()
    lab.file.unlink(missing_ok=True)
    if not record.labs():
        put_back(lab.forwarding)
