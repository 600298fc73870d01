"""The panel's own database as a file, and back. Run as PostgreSQL's superuser, through its socket."""

from __future__ import annotations

from pathlib import Path

from webops_install.errors import SetupError
from webops_install.machine import Machine
from webops_install.panel import as_user
from webops_install.steps import postgres
from webops_install.steps.postgres import DATABASE

DUMPS = Path("/var/backups/webops/panel")
INCOMING, OUTGOING = "webops_incoming", "webops_outgoing"
TIMEOUT = 1800.0


def dump(machine: Machine, name: str) -> Path:
    """A dump of the panel's database in DUMPS, whole or not there. Raises SetupError."""
    target = DUMPS / name
    partial = target.with_name(f".{name}.partial")
    machine.run(
        *program(machine, "pg_dump"), "--format=custom", "--compress=6", "-f", partial, DATABASE, timeout=TIMEOUT
    )
    listed = machine.asks(*program(machine, "pg_restore", connect=False), "--list", partial)
    if listed.status != 0:
        raise SetupError("The dump of the panel's database can not be read back.", output=listed.output)
    machine.at(partial).replace(machine.at(target))
    return target


def restore(machine: Machine, source: Path) -> None:
    """Put a dump in the place of the panel's database: read into a new one first, swapped by name when it is whole.

    Whoever uses the database is cut off, and kept off until it is swapped. Doing it again is fine wherever it was
    broken off. Raises SetupError.
    """
    names = set(_query(machine, "SELECT datname FROM pg_database").split())
    if OUTGOING in names and DATABASE not in names:  # broken off between the two renames
        _query(machine, f"ALTER DATABASE {OUTGOING} RENAME TO {DATABASE}")
    _drop(machine, INCOMING)
    _drop(machine, OUTGOING)
    create = f"CREATE DATABASE {INCOMING} OWNER webops TEMPLATE template0 ENCODING 'UTF8'"
    _query(machine, create)
    restoring = (*program(machine, "pg_restore"), "--exit-on-error", "--no-owner", "--role=webops", "-d", INCOMING)
    machine.run(*restoring, source, timeout=TIMEOUT)
    _query(machine, f"REVOKE ALL ON DATABASE {INCOMING} FROM PUBLIC")
    if DATABASE in names or OUTGOING in names:
        _query(machine, f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false")
        _disconnect(machine)
        _query(machine, f"ALTER DATABASE {DATABASE} RENAME TO {OUTGOING}")
    _query(machine, f"ALTER DATABASE {INCOMING} RENAME TO {DATABASE}")
    _drop(machine, OUTGOING)


def remove(machine: Machine) -> None:
    """The panel's database and role go. Again: nothing."""
    _disconnect(machine)
    for name in (DATABASE, INCOMING, OUTGOING):
        _drop(machine, name)


def _drop(machine: Machine, name: str) -> None:
    _query(machine, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _disconnect(machine: Machine) -> None:
    sql = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{DATABASE}'"  # noqa: S608
    _query(machine, sql)


def _query(machine: Machine, sql: str) -> str:
    """Names in it are this file's own. Raises SetupError."""
    words = (*program(machine, "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", sql)
    return machine.run(*words, timeout=TIMEOUT).strip()


def program(machine: Machine, name: str, *, connect: bool = True) -> tuple[str | Path, ...]:
    """A program of the cluster's own version, as `postgres`."""
    found = postgres.cluster(machine)
    if found is None:
        raise SetupError("There is no PostgreSQL here.", hint="Run setup.sh first.")
    where = ("-h", "/run/postgresql", "-p", str(found.port)) if connect else ()
    return as_user("postgres", found.cluster.programs / name, *where)
