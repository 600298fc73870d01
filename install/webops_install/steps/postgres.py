"""PostgreSQL: the cluster's settings, the panel's role and database, its tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from webops_install import settings, systemd
from webops_install.change import Change
from webops_install.errors import SetupError
from webops_install.machine import Machine
from webops_install.settings import PANEL
from webops_install.step import Setup, Step

ROLE = DATABASE = "webops"
CURRENT = Path("/opt/webops/current")


def as_user(user: str, *argv: str | Path) -> tuple[str | Path, ...]:
    """Words that run a program as a user, without a session."""
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--", *argv)


def query(machine: Machine, sql: str, database: str = "postgres") -> str:
    return machine.run(*as_user("postgres", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database), stdin=sql).strip()


def _plan(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    if not machine.exists("/usr/bin/psql") or not systemd.is_active(machine, "postgresql.service"):
        yield Change("start PostgreSQL", lambda: systemd.start(machine, "postgresql.service"))
    if not machine.exists("/usr/bin/psql"):  # a dry run on a bare machine
        yield Change("make the panel's role and database", lambda: None)
        return
    if query(machine, f"SELECT 1 FROM pg_roles WHERE rolname = '{ROLE}';") != "1":
        yield Change("make the panel's role", lambda: query(machine, f"CREATE ROLE {ROLE} LOGIN;"))
    if query(machine, f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}';") != "1":
        create = f"CREATE DATABASE {DATABASE} OWNER {ROLE} TEMPLATE template0 ENCODING 'UTF8';"
        yield Change("make the panel's database", lambda: query(machine, create))


def manage(machine: Machine, release: Path, *words: str, timeout: float = 600.0) -> str:
    """`manage.py` of a release, as the panel's user, with the panel's settings."""
    environment = settings.read_environment(machine.text(PANEL) or "")
    hidden = frozenset(environment[name] for name in ("SECRET_KEY", "ENCRYPTION_KEY", "REDIS_URL") if name in environment)
    program = as_user("webops", release / "panel/bin/python", "manage.py", *words)
    folder = machine.at(release / "src/control-panel")
    return machine.run(*program, env=environment, cwd=folder, timeout=timeout, hide=hidden)


def _plan_tables(setup: Setup) -> Iterator[Change]:
    machine, release = setup.machine, setup.release
    if not machine.exists(release / "panel/bin/python"):
        yield Change("make the panel's tables", lambda: None)
        return
    environment = settings.read_environment(machine.text(PANEL) or "")
    program = as_user("webops", release / "panel/bin/python", "manage.py", "migrate", "--check", "--no-color")
    checked = machine.programs(
        machine._command(program, environment, "", 120.0, frozenset(), machine.at(release / "src/control-panel")), None
    )
    if checked.status != 0:
        yield Change("make the panel's tables", lambda: _migrate(machine, release))


def _migrate(machine: Machine, release: Path) -> None:
    manage(machine, release, "migrate", "--noinput", "--no-color")
    manage(machine, release, "createcachetable")


def _verify_tables(setup: Setup) -> None:
    if not setup.machine.exists(setup.release / "panel/bin/python"):
        raise SetupError("The panel's environment is not there.")


STEP = Step("PostgreSQL", _plan)
TABLES_STEP = Step("panel's tables", _plan_tables, _verify_tables)
