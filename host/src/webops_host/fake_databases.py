"""Databases in memory: a database is a number of rows, and a dump remembers how many there were."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import MutableMapping
from dataclasses import dataclass, field

from webops_host.database_values import PIECE, DatabaseFacts, Dump, DumpForm, DumpOrigin, Restored
from webops_host.errors import BadValue, NotFound
from webops_host.names import DeploymentName, Digest, DumpId
from webops_host.values import Console

BORN = 1_700_000_000.0


@dataclass
class Kept:
    """What there is of one deployment beside its URL."""

    rows: int = 3
    before: int | None = None
    generation: int = 1
    rotating: bool = False
    dumps: dict[DumpId, tuple[Dump, bytes]] = field(default_factory=dict)
    parts: dict[DumpId, bytes] = field(default_factory=dict)


class FakeDatabases:
    """`urls` is the host's own, so that tests may look at it; `all` is what is in them."""

    def __init__(self, urls: MutableMapping[DeploymentName, str]) -> None:
        self._urls = urls
        self.all: defaultdict[DeploymentName, Kept] = defaultdict(Kept)

    def ensure(self, name: DeploymentName) -> str:
        return self._urls.setdefault(name, f"sqlite:////nowhere/{name}/db.sqlite3")

    def rotate(self, name: DeploymentName) -> str:
        one = self._one(name)
        if not one.rotating:
            one.rotating, one.generation = True, one.generation + 1
            self._urls[name] = (
                f"postgres://wo_{name}__{one.generation}:pw{one.generation}@/wo_{name}?host=/run/postgresql"
            )
        return self._urls[name]

    def retire(self, name: DeploymentName) -> None:
        self.all[name].rotating = False

    def drop(self, name: DeploymentName) -> None:
        self._urls.pop(name, None)
        self.all.pop(name, None)

    def size(self, name: DeploymentName) -> int:
        return 4096 if name in self._urls else 0

    def facts(self, name: DeploymentName) -> DatabaseFacts:
        one = self._one(name)
        kept = 0.0 if one.before is None else BORN
        return DatabaseFacts("PostgreSQL", "15.0", 4096, 1, 1, 20, 0.0, kept, one.rotating)

    def dump(self, name: DeploymentName, console: Console) -> Dump:
        one = self._one(name)
        return self._keep(one, self._new(one), f"PGDMP{one.rows}".encode(), DumpOrigin.MADE)

    def dumps(self, name: DeploymentName) -> tuple[Dump, ...]:
        return tuple(sorted((dump for dump, _ in self.all[name].dumps.values()), key=lambda d: d.id, reverse=True))

    def read(self, name: DeploymentName, dump: DumpId, offset: int) -> bytes:
        return self._find(name, dump)[1][offset : offset + PIECE]

    def receive(self, name: DeploymentName, dump: DumpId, offset: int, piece: bytes) -> int:
        parts = self._one(name).parts
        there = parts.get(dump, b"")
        if offset > len(there):
            raise BadValue(f"Only {len(there)} bytes are here, not {offset}.", hint="Send what is missing first.")
        parts[dump] = there[:offset] + piece
        return len(parts[dump])

    def accept(self, name: DeploymentName, dump: DumpId, console: Console) -> Dump:
        one = self._one(name)
        if dump not in one.parts:
            return self._find(name, dump)[0]
        content = one.parts.pop(dump)
        if not content.startswith(b"PGDMP"):
            raise BadValue("That is no dump of PostgreSQL.", hint="Use “pg_dump --format=custom”, or plain SQL.")
        return self._keep(one, dump, content, DumpOrigin.UPLOADED)

    def discard(self, name: DeploymentName, dump: DumpId) -> None:
        self.all[name].dumps.pop(dump, None)
        self.all[name].parts.pop(dump, None)

    def restore(self, name: DeploymentName, dump: DumpId, console: Console) -> Restored:
        return self._put(name, self._find(name, dump)[0].rows)

    def clone(self, name: DeploymentName, source: DeploymentName, console: Console) -> Restored:
        rows = self._one(source).rows
        self.ensure(name)
        return self._put(name, rows)

    def revert(self, name: DeploymentName) -> None:
        one = self.all[name]
        if one.before is not None:
            one.rows, one.before = one.before, None

    def confirm(self, name: DeploymentName) -> None:
        self.all[name].before = None

    def _put(self, name: DeploymentName, rows: int) -> Restored:
        one = self.all[name]
        one.before = one.rows if one.before is None else one.before
        one.rows = rows
        return Restored(tables=1, rows=rows)

    def _one(self, name: DeploymentName) -> Kept:
        if name not in self._urls:
            raise NotFound(f"{name} has no database.", hint="It gets one with its first release.")
        return self.all[name]

    def _find(self, name: DeploymentName, dump: DumpId) -> tuple[Dump, bytes]:
        found = self.all[name].dumps.get(dump)
        if found is None:
            raise NotFound(f"There is no dump {dump} of {name}.", hint="List those there are.")
        return found

    def _new(self, one: Kept) -> DumpId:
        return DumpId(f"20231114T2213{len(one.dumps):02d}Z-0000")

    def _keep(self, one: Kept, dump: DumpId, content: bytes, origin: DumpOrigin) -> Dump:
        digest = Digest(hashlib.sha256(content).hexdigest())
        rows = int(content[5:15]) if content[5:15].isdigit() else 0
        made = Dump(dump, BORN, len(content), DumpForm.CUSTOM, origin, digest, tables=1, rows=rows, version="15.0")
        one.dumps[dump] = (made, content)
        return made
