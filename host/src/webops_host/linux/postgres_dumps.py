"""Dumps of PostgreSQL: written by pg_dump, read whole before they count, restored with the rights of one role.

An exit status of 0 proves nothing: a dump counts when its table of contents can be read, every block of it was unpacked
and it has no fewer tables than the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from webops_host import runner
from webops_host.command import Command
from webops_host.database_values import DumpForm
from webops_host.errors import BadValue, Cancelled, CommandFailed, DiskFull
from webops_host.linux import postgres_cluster as cluster_of
from webops_host.linux.postgres_cluster import Cluster, Visitor
from webops_host.linux.postgres_script import Statement, statements
from webops_host.linux.postgres_wire import Connection, StatementFailed
from webops_host.values import Console

LINE_LIMIT = 64 << 20
LINES_AT_ONCE = 500  # read between looks at the cancel flag
FULL = "No space left on device"
MAKE_ANEW = "Make a new dump; those before it are still here."
ENTRY = re.compile(r"\d+; \d+ \d+ (?P<what>.+)")
# What an archive may hold that is another server's, or that an empty database has already.
SILENT_ENTRY = re.compile(
    r"SCHEMA - public |COMMENT - (?:EXTENSION plpgsql|SCHEMA public) |(?:EXTENSION|PROCEDURAL LANGUAGE) - plpgsql |"
    r"ACL - SCHEMA public "
)
FOREIGN_ENTRY = re.compile(
    r"(?:DEFAULT )?ACL |COMMENT - EXTENSION |DATABASE |DATABASE PROPERTIES |EVENT TRIGGER |PUBLICATION |SUBSCRIPTION "
)
SILENT_STATEMENT = re.compile(
    rb"\s*(?:CREATE\s+SCHEMA\s+(?:IF\s+NOT\s+EXISTS\s+)?public\s*;|COMMENT\s+ON\s+(?:SCHEMA\s+public|EXTENSION)\b"
    rb"|CREATE\s+EXTENSION\s+IF\s+NOT\s+EXISTS\s+plpgsql\b|ALTER\s+SCHEMA\s+public\s+OWNER\b)",
    re.IGNORECASE,
)
FOREIGN_STATEMENT = re.compile(
    rb"\s*(?:ALTER\s[^;']*\sOWNER\s+TO\s|GRANT\s|REVOKE\s|ALTER\s+DEFAULT\s+PRIVILEGES\s)", re.IGNORECASE
)
SETTING = re.compile(rb"\s*SET\s", re.IGNORECASE)
UNKNOWN_SETTING = "42704"


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a dump."""

    form: DumpForm
    tables: int
    rows: int


def write(cluster: Cluster, visitor: Visitor, database: str, file: Path, console: Console) -> None:
    """Dump the database to the file. Raises CommandFailed, DiskFull, Cancelled, CommandTimedOut."""
    _run(cluster_of.dump(cluster, visitor, database, file), console)


def inspect(cluster: Cluster, file: Path, console: Console) -> Content:
    """Read a file whole. Raises CommandFailed when it is damaged, BadValue when it is something else."""
    with file.open("rb") as opened:
        head = opened.read(512)
    if not head:
        raise CommandFailed("The dump is empty.", hint=MAKE_ANEW)
    if head.startswith(b"PGDMP"):
        return _inspect_archive(cluster, file, console)
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")):
        raise BadValue("The file is packed.", hint="Unpack it first, or use “pg_dump --format=custom”.")
    if b"\x00" in head:
        raise BadValue("That is no dump of PostgreSQL.", hint="Use “pg_dump --format=custom”, or plain SQL.")
    return _inspect_script(file, console)


def fill(
    cluster: Cluster, visitor: Visitor, database: str, file: Path, form: DumpForm, console: Console
) -> tuple[str, ...]:
    """Fill an empty database as the visitor; returns what was left out. Raises CommandFailed, BadValue, Cancelled."""
    if form is DumpForm.CUSTOM:
        return _fill_from_archive(cluster, visitor, database, file, console)
    with (
        file.open("rb") as opened,
        Connection(
            cluster.socket,
            port=cluster.port,
            user=visitor.role,
            password=visitor.password,
            database=database,
            console=console,
        ) as session,
    ):
        skipped = [_execute(session, statement) for statement in statements(_lines(opened, console))]
    return tuple(sorted({text for text in skipped if text}))


def count(cluster: Cluster, visitor: Visitor, database: str, console: Console) -> tuple[int, int]:
    """Tables and rows of a database. Raises CommandFailed, Cancelled."""
    lines: list[int] = []
    _run(cluster_of.count(cluster, visitor, database), replace(console, emit=lambda line: lines.append(int(line))))
    return len(lines), sum(lines)


# --- archives --------------------------------------------------------------------------------------------------


def _inspect_archive(cluster: Cluster, file: Path, console: Console) -> Content:
    promised = sum(" TABLE DATA " in line for line in _entries(cluster, file))
    counter = _Rows()
    result = runner.stream(cluster_of.script(cluster, file), counter.feed, console)
    if result.status != 0:
        last = result.output.strip().splitlines()[-1:] or [""]
        raise CommandFailed("The dump is damaged.", hint=MAKE_ANEW, facts={"last": last[0][:300]})
    if counter.tables not in (0, promised):
        raise CommandFailed(f"The dump holds {counter.tables} of {promised} tables.", hint=MAKE_ANEW)
    return Content(DumpForm.CUSTOM, promised, counter.rows)


def _entries(cluster: Cluster, file: Path) -> list[str]:
    try:
        output = runner.run_binary(cluster_of.contents(cluster, file)).decode(errors="replace")
    except CommandFailed as error:
        raise CommandFailed("The dump is damaged.", hint=MAKE_ANEW, facts=error.facts) from error
    return [line for line in output.splitlines() if ENTRY.fullmatch(line)]


def _fill_from_archive(
    cluster: Cluster, visitor: Visitor, database: str, file: Path, console: Console
) -> tuple[str, ...]:
    chosen, skipped = [], []
    for line in _entries(cluster, file):
        match = ENTRY.fullmatch(line)
        what = match["what"] if match else ""
        if SILENT_ENTRY.match(what):
            continue
        if FOREIGN_ENTRY.match(what):
            skipped.append(what)
        else:
            chosen.append(line)
    listing = file.with_suffix(".list")
    try:
        listing.write_text("".join(f"{line}\n" for line in chosen))
        _run(cluster_of.restore(cluster, visitor, database, file, listing), console)
    finally:
        listing.unlink(missing_ok=True)
    return tuple(skipped[:50])


class _Rows:
    """Counts the COPY blocks and their rows in what pg_restore prints."""

    def __init__(self) -> None:
        self.tables = self.rows = 0
        self._rest = b""
        self._inside = False

    def feed(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if self._inside:
                if line == b"\\.":
                    self._inside = False
                else:
                    self.rows += 1
            elif line.startswith(b"COPY ") and line.endswith(b" FROM stdin;"):
                self._inside = True
                self.tables += 1


# --- scripts ---------------------------------------------------------------------------------------------------


def _inspect_script(file: Path, console: Console) -> Content:
    tables = rows = 0
    with file.open("rb") as opened:
        for statement in statements(_lines(opened, console)):
            start = statement.text.lstrip()[:40].upper()
            tables += start.startswith((b"CREATE TABLE", b"CREATE UNLOGGED TABLE"))
            rows += start.startswith(b"INSERT ")
            rows += sum(1 for _ in statement.rows) if statement.rows is not None else 0
    if not tables and not rows:
        raise BadValue("The file makes no table and holds no row.", hint="Use what pg_dump wrote.")
    return Content(DumpForm.SQL, tables, rows)


def _execute(session: Connection, statement: Statement) -> str:
    """Run it; returns what was left out, if that is worth a word."""
    if SILENT_STATEMENT.match(statement.text):
        return ""
    if FOREIGN_STATEMENT.match(statement.text):
        return " ".join(statement.text.decode(errors="replace").split())[:80]
    try:
        session.execute(statement.text, statement.rows)
    except StatementFailed as error:
        if SETTING.match(statement.text) and error.facts.get("sqlstate") == UNKNOWN_SETTING:
            return " ".join(statement.text.decode(errors="replace").split())[:80]
        raise
    return ""


def _lines(opened: IO[bytes], console: Console) -> Iterator[bytes]:
    for number, line in enumerate(iter(lambda: opened.readline(LINE_LIMIT), b"")):
        if number % LINES_AT_ONCE == 0 and console.cancelled():
            raise Cancelled("It was cancelled.")
        if len(line) == LINE_LIMIT:
            raise BadValue("A line of the script is longer than 64 MiB.", hint="Make a dump in the custom form.")
        yield line


def _run(command: Command, console: Console) -> None:
    """Run a program of PostgreSQL, with its last words in the error."""
    try:
        runner.run(command, console)
    except CommandFailed as error:
        last = str(error.facts.get("last", ""))
        if FULL in last:
            raise DiskFull("The disk is full.", hint="Remove dumps or databases that you do not need.") from error
        raise CommandFailed(error.message, hint=last, facts=error.facts) from error
