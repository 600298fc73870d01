"""Databases on the embedded host: a SQLite file for each deployment, or a database on a PostgreSQL server that the
person named."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from webops_host import postgres, runner
from webops_host.command import Command
from webops_host.database_values import DatabaseFacts, Dump, Restored
from webops_host.errors import BadValue, CommandFailed, DiskFull, NotFound, NotSupported
from webops_host.files import write_whole
from webops_host.layout import Layout
from webops_host.names import DeploymentName, DumpId
from webops_host.values import Console

FILE = "db.sqlite3"
TABLES = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
BESIDE = ("", "-wal", "-shm", "-journal")


class EmbeddedDatabases:
    """`postgres_url` names a server and an account on it that may make databases and roles; without it, SQLite."""

    def __init__(self, layout: Layout, postgres_url: str = "") -> None:
        self._layout = layout
        self._server = postgres.Server.parse(postgres_url) if postgres_url else None

    def ensure(self, name: DeploymentName) -> str:
        """Have a database; returns its URL, with a password where there is one. The same URL each time.

        Raises CommandFailed, ProgramMissing, DiskFull.
        """
        if self._server is None:
            return self._ensure_file(name)
        password = self._password(name)
        _ask(postgres.ensure(self._server, name, password))
        return self._server.url_for(name, password)

    def drop(self, name: DeploymentName) -> None:
        """Remove it with its data. Absent is fine."""
        for suffix in BESIDE:
            self._file(name).with_name(FILE + suffix).unlink(missing_ok=True)
        if self._server is not None:
            _ask(postgres.drop(self._server, name))
            self._password_file(name).unlink(missing_ok=True)

    def size(self, name: DeploymentName) -> int:
        """Bytes it takes, 0 when absent."""
        if self._server is None:
            files = (self._file(name).with_name(FILE + suffix) for suffix in BESIDE)
            return sum(file.stat().st_size for file in files if file.is_file())
        try:
            return int(_ask(postgres.size(self._server, name)).strip() or 0)
        except (CommandFailed, ValueError):
            return 0

    def facts(self, name: DeploymentName) -> DatabaseFacts:
        """What there is to say of it now. Raises NotFound when it is absent."""
        if self._server is not None:
            raise _not_here()
        file = self._file(name)
        if not file.is_file():
            raise NotFound(f"{name} has no database.", hint="It gets one with its first release.")
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
            (tables,) = connection.execute(TABLES).fetchone()
        return DatabaseFacts(engine="SQLite", version=sqlite3.sqlite_version, bytes=self.size(name), tables=tables)

    def rotate(self, name: DeploymentName) -> str:
        """There is no password that could change, or the server is not the platform's own."""
        raise _not_here()

    def retire(self, name: DeploymentName) -> None:
        """Nothing was ever rotated."""

    def dump(self, name: DeploymentName, console: Console) -> Dump:
        raise _not_here()

    def dumps(self, name: DeploymentName) -> tuple[Dump, ...]:
        """None are made."""
        return ()

    def read(self, name: DeploymentName, dump: DumpId, offset: int) -> bytes:
        raise _not_here()

    def receive(self, name: DeploymentName, dump: DumpId, offset: int, piece: bytes) -> int:
        raise _not_here()

    def accept(self, name: DeploymentName, dump: DumpId, console: Console) -> Dump:
        raise _not_here()

    def discard(self, name: DeploymentName, dump: DumpId) -> None:
        """There are none."""

    def restore(self, name: DeploymentName, dump: DumpId, console: Console) -> Restored:
        raise _not_here()

    def clone(self, name: DeploymentName, source: DeploymentName, console: Console) -> Restored:
        raise _not_here()

    def revert(self, name: DeploymentName) -> None:
        """Nothing was ever restored."""

    def confirm(self, name: DeploymentName) -> None:
        """Nothing is kept."""

    def _ensure_file(self, name: DeploymentName) -> str:
        """Readers and a writer at once from the start: two releases run beside each other for a while."""
        file = self._file(name)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                file.touch(mode=0o600)
                connection = sqlite3.connect(file)
                connection.execute("PRAGMA journal_mode=WAL")
                connection.close()
        except (OSError, sqlite3.Error) as error:
            raise DiskFull("The database's file can not be written.", hint=str(error)) from error
        return f"sqlite:///{quote(str(file))}"

    def _file(self, name: DeploymentName) -> Path:
        return self._layout.data(name).absolute() / FILE

    def _password_file(self, name: DeploymentName) -> Path:
        return self._layout.state / "databases" / name

    def _password(self, name: DeploymentName) -> str:
        """Kept before it is used, so that a crash in between leaves one that is set again."""
        file = self._password_file(name)
        if file.is_file():
            password = file.read_text().strip()
            if not password.isalnum():
                raise BadValue(f"The kept database password of {name} is damaged.", hint=f"Remove {file}.")
            return password
        password = secrets.token_hex(24)
        write_whole(file, password.encode(), 0o600)
        return password


def _not_here() -> NotSupported:
    return NotSupported(
        "On this computer, databases are plain files (or on a server of your own) without passwords and dumps.",
        hint="Copy the file while the app is stopped, or use your server's own tools. A WebOps server has both.",
    )


def _ask(command: Command) -> str:
    try:
        return runner.run(command).output
    except CommandFailed as error:
        message = "The PostgreSQL server did not do what was asked."
        raise CommandFailed(message, hint=str(error.facts.get("last", "")), facts=error.facts) from error
