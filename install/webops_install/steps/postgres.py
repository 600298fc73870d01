"""PostgreSQL: the cluster's settings, who may sign in, the panel's role and database; then the panel's tables."""

from __future__ import annotations

from collections.abc import Iterator

from webops_host.errors import HostError
from webops_host.linux import postgres_hba, postgres_prepare
from webops_host.linux.postgres_prepare import Found
from webops_install import panel
from webops_install.change import Change
from webops_install.machine import Machine
from webops_install.panel import as_user
from webops_install.step import Setup, Step
from webops_install.steps import packages
from webops_install.steps.release import PYTHON

DATABASE = "webops"


def _plan(setup: Setup) -> Iterator[Change]:
    found = cluster(setup.machine)
    if found is not None and _is_cut_short(setup.machine, found):
        yield Change("make PostgreSQL's cluster anew, which was cut short", lambda: _make_anew(setup.machine, found))
    if not is_prepared(setup.machine):
        program = setup.release / "host/pgd.py"
        prepare = (PYTHON, "-I", setup.machine.at(program), "--prepare")
        yield Change("prepare PostgreSQL", lambda: setup.machine.run(*prepare))


def _is_cut_short(machine: Machine, found: Found) -> bool:
    """Whether an earlier run was killed while the package made its cluster: one that came with us, in which there is
    no database yet, not even PostgreSQL's own."""
    if "postgresql" not in packages.ours(machine):
        return False
    if not found.is_online:
        machine.asks("pg_ctlcluster", str(found.version), found.name, "start", timeout=180)
    sql = "SELECT count(*) FROM pg_database WHERE NOT datistemplate"
    asked = machine.asks(*as_user("postgres", "psql", "-XAtq", "-p", str(found.port), "-d", "template1", "-c", sql))
    if asked.status != 0:
        return not machine.exists(postgres_prepare.STATE / postgres_prepare.RECORD)
    return asked.output.strip() == "0"


def _make_anew(machine: Machine, found: Found) -> None:
    machine.run("pg_dropcluster", "--stop", str(found.version), found.name, timeout=180)
    machine.run("pg_createcluster", "--start", str(found.version), found.name, timeout=300)


def is_prepared(machine: Machine) -> bool:
    """Whether the cluster runs with our settings and rules, and has the panel's database."""
    found = cluster(machine)
    if found is None or not found.is_online or not machine.exists(postgres_prepare.STATE / postgres_prepare.RECORD):
        return False
    if machine.exists(postgres_prepare.STATE / postgres_prepare.DUE):
        return False
    rules = machine.text(found.settings / "pg_hba.conf") or ""
    wanted = {
        "pg_hba.conf": postgres_hba.hba(rules),
        "pg_ident.conf": postgres_hba.ident(),
        postgres_prepare.SETTINGS: postgres_hba.settings(found.version),
    }
    if any(machine.text(found.settings / name) != text for name, text in wanted.items()):
        return False
    return query(machine, f"SELECT datallowconn FROM pg_database WHERE datname = '{DATABASE}'") == "t"  # noqa: S608


def cluster(machine: Machine) -> Found | None:
    listed = machine.asks("pg_lsclusters", "--no-header")
    try:
        return postgres_prepare.choose(postgres_prepare.parse(listed.output)) if listed.status == 0 else None
    except HostError:
        return None


def query(machine: Machine, sql: str) -> str:
    """One value, as PostgreSQL's own superuser; empty when it can not be had."""
    found = cluster(machine)
    port = str(found.port if found else 5432)
    asked = machine.asks(*as_user("postgres", "psql", "-XAtq", "-p", port, "-d", "postgres", "-c", sql))
    return asked.output.strip() if asked.status == 0 else ""


def _plan_tables(setup: Setup) -> Iterator[Change]:
    machine, release = setup.machine, setup.release
    if not machine.exists(release / "panel/bin/python"):  # a dry run
        yield Change("make the panel's tables", lambda: None)
    elif panel.manage_says(machine, "migrate", "--check", "--no-color", release=release).status != 0:
        yield Change("make the panel's tables", lambda: _bootstrap(setup))


def _bootstrap(setup: Setup) -> None:
    """What it says is for the end and for no log: the way in for the first owner."""
    said = panel.manage(setup.machine, "bootstrap", "--no-color", release=setup.release, quiet=True)
    setup.told.extend(line for line in said.splitlines() if line.strip())


def _verify_tables(setup: Setup) -> None:
    """What a run that was broken off left undone after the tables, is done now; else this changes nothing."""
    _bootstrap(setup)


STEP = Step("PostgreSQL", _plan)
TABLES_STEP = Step("panel's tables", _plan_tables, _verify_tables)
