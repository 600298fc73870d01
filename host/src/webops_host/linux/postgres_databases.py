"""The server's databases: one PostgreSQL database for each deployment, closed to all others from its first second.

What makes a database is done as `postgres`; what reads or fills its tables, as a visitor of that deployment.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from webops_host import runner, shelf
from webops_host.database_values import DatabaseFacts, Dump, DumpForm, DumpOrigin, Restored, new_dump
from webops_host.errors import Cancelled, CommandFailed, DiskFull, HostError, NotFound
from webops_host.linux import postgres_cluster as cluster_of
from webops_host.linux import postgres_dumps as dumps
from webops_host.linux import postgres_statements as sql
from webops_host.linux.postgres_cluster import Cluster, Visitor, fresh, kept, login, owner
from webops_host.linux.postgres_dumps import Content
from webops_host.linux.postgres_passwords import Key, Keys, Passwords, other
from webops_host.linux.postgres_scram import verifier
from webops_host.names import DeploymentName, DumpId
from webops_host.shelf import Shelf
from webops_host.values import Console

ROOM = 256 << 20  # bytes that stay free
CROWDED = "too many clients"
CROWD_SECONDS = 15.0  # that we try to get in: whoever does not finish signing in makes room before that
PAUSE = 0.2
VISIT_SECONDS = cluster_of.LONG + 3600


class PostgresDatabases:
    """Satisfies `ports.Databases`. One process only: passwords and switches of a deployment are done in turn."""

    def __init__(
        self, cluster: Cluster, passwords: Passwords, dumped: Shelf, *, free: Callable[[], int] | None = None
    ) -> None:
        self._cluster, self._passwords, self._shelf = cluster, passwords, dumped
        self._free = free or dumped.free
        self._turns: defaultdict[DeploymentName, threading.RLock] = defaultdict(threading.RLock)

    def recover(self) -> None:
        """Settle what a crash left: call it once, before anything else."""
        self._ask(sql.RECOVER, {})

    # --- having one ----------------------------------------------------------------------------------------------

    def ensure(self, name: DeploymentName) -> str:
        with self._turns[name]:
            keys = self._passwords.find(name) or self._passwords.keep(name, Keys(Key.new("a")))
            self._ask(sql.ROLES, {"own": owner(name)})
            for key in (keys.before, keys.now):
                if key is not None:
                    self._open(name, key)
            self._ask(sql.DATABASE + sql.SHARE, {"own": owner(name), "database": owner(name)})
            return self._url(name, keys.now)

    def rotate(self, name: DeploymentName) -> str:
        with self._turns[name]:
            keys = self._known(name)
            if keys.before is None:
                keys = replace(keys, now=Key.new(other(keys.now.letter)), before=keys.now)
                self._passwords.keep(name, keys)
            return self.ensure(name)

    def retire(self, name: DeploymentName) -> None:
        with self._turns[name]:
            keys = self._passwords.find(name)
            if keys is not None and keys.before is not None:
                self._ask(sql.END_LOGIN, {"login": login(name, keys.before.letter)})
                self._passwords.keep(name, replace(keys, before=None))

    def drop(self, name: DeploymentName) -> None:
        with self._turns[name]:
            for database in self._there(name):
                self._ask(sql.DROP_DATABASE, {"database": database})
            self._ask(sql.DROP_ROLES + sql.SHARE, {"own": owner(name)})
            self._passwords.forget(name)
            self._shelf.clear(name)

    def size(self, name: DeploymentName) -> int:
        return int(self._ask(sql.SIZE, {"own": owner(name)}).strip() or 0)

    def facts(self, name: DeploymentName) -> DatabaseFacts:
        keys = self._known(name)
        told = self._ask(sql.FACTS, {"own": owner(name), "login": login(name, keys.now.letter)}).strip()
        if not told:
            raise NotFound(f"{name} has no database.", hint="Deploy it, or wait until a restore is over.")
        size, version, connections, limit, longest = told.split("\t")
        tables = self._ask(sql.TABLES, {}, database=owner(name))
        return DatabaseFacts(
            engine="PostgreSQL",
            version=version.split()[0],
            bytes=int(size),
            tables=int(tables),
            connections=int(connections),
            connection_limit=int(limit),
            longest_query=max(0.0, float(longest)),
            kept_since=keys.kept_since,
            rotating=keys.before is not None,
        )

    # --- dumps ---------------------------------------------------------------------------------------------------

    def dump(self, name: DeploymentName, console: Console) -> Dump:
        with self._turns[name]:
            dump = new_dump()
            try:
                return self._shelf.keep(name, self._written(name, self._begin(name, dump, name), dump, console))
            except BaseException:
                self._shelf.discard(name, dump)
                raise

    def dumps(self, name: DeploymentName) -> tuple[Dump, ...]:
        return self._shelf.all(name)

    def read(self, name: DeploymentName, dump: DumpId, offset: int) -> bytes:
        return self._shelf.read(name, dump, offset)

    def receive(self, name: DeploymentName, dump: DumpId, offset: int, piece: bytes) -> int:
        self._known(name)
        if self._free() < ROOM + len(piece):
            raise DiskFull("There is no room for the dump.", hint="Remove dumps that you do not need.")
        return self._shelf.receive(name, dump, offset, piece)

    def accept(self, name: DeploymentName, dump: DumpId, console: Console) -> Dump:
        with self._turns[name]:
            part = self._shelf.part(name, dump)
            if part is None:
                return self._shelf.find(name, dump)[0]
            try:
                content = dumps.inspect(self._cluster, part, console)
            except BaseException:
                self._shelf.discard(name, dump)
                raise
            return self._shelf.keep(name, self._described(dump, part, content, DumpOrigin.UPLOADED))

    def discard(self, name: DeploymentName, dump: DumpId) -> None:
        with self._turns[name]:
            self._shelf.discard(name, dump)

    # --- restoring -----------------------------------------------------------------------------------------------

    def restore(self, name: DeploymentName, dump: DumpId, console: Console) -> Restored:
        with self._turns[name]:
            known, file = self._shelf.check(name, dump)
            self.ensure(name)
            return self._replaced(name, name, known, file, console)

    def clone(self, name: DeploymentName, source: DeploymentName, console: Console) -> Restored:
        with self._turns[name]:
            self._known(source)
            self.ensure(name)
            dump = new_dump()
            try:
                file = self._begin(name, dump, source)
                return self._replaced(name, source, self._written(source, file, dump, console), file, console)
            finally:
                self._shelf.discard(name, dump)

    def revert(self, name: DeploymentName) -> None:
        with self._turns[name]:
            if kept(name) in self._there(name):
                try:
                    self._ask(sql.SWITCH_BACK, self._places(name))
                except BaseException:
                    self._ask(sql.REOPEN, {"own": owner(name)})
                    raise
            self._kept_since(name, 0.0)

    def confirm(self, name: DeploymentName) -> None:
        with self._turns[name]:
            self._ask(sql.DROP_DATABASE, {"database": kept(name)})
            self._kept_since(name, 0.0)

    def _replaced(
        self, name: DeploymentName, like: DeploymentName, dump: Dump, file: Path, console: Console
    ) -> Restored:
        """Fill a database beside, compare, then let the two change places. An administrator's extensions of `like` are
        made there first."""
        if self._free() < ROOM + 4 * dump.bytes:
            raise DiskFull("There is no room to restore it beside the database there is.", hint="Free some disk.")
        database = fresh(name)
        self._ask(sql.DROP_DATABASE, {"database": database})
        try:
            self._ask(sql.DATABASE, {"own": owner(name), "database": database})
            for line in self._ask(sql.EXTENSIONS, {}, database=owner(like)).splitlines():
                extension, schema = line.split("\t")
                self._ask(sql.EXTENSION, {"extension": extension, "schema": schema}, database=database)
            with self._visit(name, database) as visitor:
                console.emit("Filling a new database …")
                skipped = dumps.fill(self._cluster, visitor, database, file, dump.form, console)
                tables, rows = dumps.count(self._cluster, visitor, database, console)
            if dump.form is DumpForm.CUSTOM and (tables < dump.tables or rows != dump.rows):
                raise CommandFailed(
                    f"{rows} rows in {tables} tables arrived of {dump.rows} in {dump.tables}.",
                    hint="Nothing has changed. Look at triggers and rules of the dump.",
                )
            if console.cancelled():
                raise Cancelled("It was cancelled.")
            self._switch(name)
        except BaseException:
            self._ask(sql.DROP_DATABASE + sql.REOPEN, {"database": database, "own": owner(name)})
            raise
        console.emit(f"{rows} rows in {tables} tables are in their place.")
        return Restored(tables, rows, skipped)

    def _switch(self, name: DeploymentName) -> None:
        again = kept(name) in self._there(name)
        if not again:
            self._kept_since(name, time.time())
        self._ask(sql.SWITCH_AGAIN if again else sql.SWITCH, self._places(name))

    # --- small steps ---------------------------------------------------------------------------------------------

    def _begin(self, name: DeploymentName, dump: DumpId, source: DeploymentName) -> Path:
        """Where to write a dump of `source` among those of `name`."""
        if self._free() < ROOM + self.size(source) // 2:
            raise DiskFull("There is no room for a dump.", hint="Remove dumps that you do not need.")
        return self._shelf.begin(name, dump)

    def _written(self, name: DeploymentName, file: Path, dump: DumpId, console: Console) -> Dump:
        """Dump the database to the file and read it whole."""
        self._known(name)
        file.touch(mode=0o600)
        expected = int(self._ask(sql.TABLES, {}, database=owner(name)))
        with self._visit(name, owner(name)) as visitor:
            dumps.write(self._cluster, visitor, owner(name), file, console)
        expected = min(expected, int(self._ask(sql.TABLES, {}, database=owner(name))))
        content = dumps.inspect(self._cluster, file, console)
        if content.tables < expected:
            raise CommandFailed(f"The dump holds {content.tables} of {expected} tables.", hint=dumps.MAKE_ANEW)
        made = self._described(dump, file, content, DumpOrigin.MADE)
        console.emit(f"{made.rows} rows in {made.tables} tables, {made.bytes} bytes.")
        return made

    def _described(self, dump: DumpId, file: Path, content: Content, origin: DumpOrigin) -> Dump:
        version = self._ask("SHOW server_version;", {}).split()[0] if origin is DumpOrigin.MADE else ""
        return Dump(
            id=dump,
            at=time.time(),
            bytes=file.stat().st_size,
            form=content.form,
            origin=origin,
            digest=shelf.digest(file),
            tables=content.tables,
            rows=content.rows,
            version=version,
        )

    @contextmanager
    def _visit(self, name: DeploymentName, database: str) -> Iterator[Visitor]:
        """A login for one piece of work in one database. What it made there becomes the deployment's."""
        visitor = Visitor(f"{owner(name)}__v{secrets.token_hex(4)}", secrets.token_hex(24))
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + VISIT_SECONDS))
        names = {"own": owner(name), "login": visitor.role}
        try:
            self._ask(sql.VISIT, {**names, "verifier": verifier(visitor.password), "until": until})
            yield visitor
        finally:
            self._ask(sql.LEAVE, names, database=database)

    def _open(self, name: DeploymentName, key: Key) -> None:
        names = {"own": owner(name), "login": login(name, key.letter)}
        self._ask(sql.LOGIN, {**names, "verifier": verifier(key.password)})

    def _url(self, name: DeploymentName, key: Key) -> str:
        return cluster_of.url(self._cluster, name, login(name, key.letter), key.password)

    def _known(self, name: DeploymentName) -> Keys:
        keys = self._passwords.find(name)
        if keys is None:
            raise NotFound(f"{name} has no database.", hint="It gets one with its first release.")
        return keys

    def _kept_since(self, name: DeploymentName, at: float) -> None:
        keys = self._passwords.find(name)
        if keys is not None and keys.kept_since != at:
            self._passwords.keep(name, replace(keys, kept_since=at))

    def _there(self, name: DeploymentName) -> list[str]:
        return self._ask(sql.EXISTS, self._places(name)).split()

    def _places(self, name: DeploymentName) -> dict[str, str]:
        return {"own": owner(name), "fresh": fresh(name), "kept": kept(name), "gone": f"{owner(name)}__gone"}

    def _ask(self, statements: str, variables: Mapping[str, str], *, database: str = cluster_of.ADMIN) -> str:
        command = cluster_of.ask(self._cluster, statements, variables, database=database)
        deadline = time.monotonic() + CROWD_SECONDS
        while True:
            try:
                return runner.run(command).output
            except CommandFailed as error:
                last = str(error.facts.get("last", ""))
                if CROWDED not in last or time.monotonic() > deadline:
                    kind: type[HostError] = DiskFull if dumps.FULL in last else CommandFailed
                    raise kind("PostgreSQL did not do what was asked.", hint=last, facts=error.facts) from error
            time.sleep(PAUSE)
