"""The server's PostgreSQL, and its programs as commands. Over the Unix socket only.

As `postgres` (peer authentication) it makes roles and databases and reads catalogs, with a search path that holds no
object of anybody else. Whatever touches a deployment's own tables signs in as a visitor: a login of that deployment,
made for one piece of work and removed after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from webops_host.command import Command
from webops_host.names import DeploymentName

LONG = 6 * 3600.0  # seconds that a dump or a restore may take
ADMIN = "postgres"
PUBLIC_PATH = "/usr/bin:/bin"
PLAIN = (
    "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t", "--set=ON_ERROR_STOP=1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cluster:
    """`programs` is the folder of the version's own programs, `socket` the folder of its Unix socket."""

    programs: Path
    socket: Path = Path("/run/postgresql")
    port: int = 5432


@dataclass(frozen=True, slots=True)
class Visitor:
    """A login for one piece of work."""

    role: str
    password: str = field(repr=False)


def owner(name: DeploymentName) -> str:
    """The role that owns what is in the database, and the name of the database. Nobody signs in with it.

    No two deployments share one: a name has no underscore and no two hyphens in a row.
    """
    return f"wo_{name.replace('-', '_')}"


def login(name: DeploymentName, letter: str) -> str:
    """One of the two roles that the deployment's URL may name."""
    return f"{owner(name)}__{letter}"


def fresh(name: DeploymentName) -> str:
    """The database that a restore fills."""
    return f"{owner(name)}__new"


def kept(name: DeploymentName) -> str:
    """The database that was there before a restore."""
    return f"{owner(name)}__old"


def url(cluster: Cluster, name: DeploymentName, role: str, password: str) -> str:
    """In the form that libpq, Django's readers of URLs and SQLAlchemy all understand."""
    port = "" if cluster.port == 5432 else f"&port={cluster.port}"
    return f"postgres://{role}:{password}@/{owner(name)}?host={cluster.socket}{port}"


def ask(
    cluster: Cluster, statements: str, variables: Mapping[str, str], *, database: str = ADMIN, timeout: float = 120.0
) -> Command:
    """Statements for psql as `postgres`. Variables reach them quoted by psql: :'name' a text, :"name" an identifier."""
    words = (*_words(cluster, "psql", ADMIN, database), *PLAIN)
    given = "".join(f"\\set {name} {_quoted(value)}\n" for name, value in variables.items())
    secrets = frozenset(value for name, value in variables.items() if name == "verifier")
    env = {**_env(), "PGOPTIONS": "-c search_path=pg_catalog -c client_min_messages=warning"}
    return Command(words, env=env, hide=secrets, stdin=(given + statements).encode(), timeout=timeout)


def dump(cluster: Cluster, visitor: Visitor, database: str, file: Path) -> Command:
    """Write the whole database to a new file, in pg_dump's own form."""
    words = (
        *_words(cluster, "pg_dump", visitor.role, database),
        "--format=custom", "--compress=6", "--no-owner", "--no-privileges", "--lock-wait-timeout=60s",
        f"--file={file}",
    )  # fmt: skip
    return Command(words, env=_env(visitor), hide=frozenset({visitor.password}), timeout=LONG)


def contents(cluster: Cluster, file: Path) -> Command:
    """Print what an archive says it holds, a line each."""
    return Command((str(cluster.programs / "pg_restore"), "--list", str(file)), env=_env(), timeout=600.0)


def script(cluster: Cluster, file: Path) -> Command:
    """Print all of an archive as SQL: every block of it is read and unpacked on the way."""
    words = (str(cluster.programs / "pg_restore"), "--no-owner", "--no-privileges", "--file=-", str(file))
    return Command(words, env=_env(), timeout=LONG)


def restore(cluster: Cluster, visitor: Visitor, database: str, file: Path, chosen: Path) -> Command:
    """Fill an empty database from the parts of an archive that the list `chosen` names. The first error ends it."""
    words = (
        *_words(cluster, "pg_restore", visitor.role, database),
        "--exit-on-error", "--no-owner", "--no-privileges", f"--use-list={chosen}", str(file),
    )  # fmt: skip
    return Command(words, env=_env(visitor), hide=frozenset({visitor.password}), timeout=LONG)


def count(cluster: Cluster, visitor: Visitor, database: str) -> Command:
    """Print how many rows each table has, a number a line."""
    statements = (
        "SELECT format('SELECT count(*) FROM ONLY %I.%I', n.nspname, c.relname)"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema$)'"
        " AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e') \\gexec\n"
    )
    words = (*_words(cluster, "psql", visitor.role, database), *PLAIN)
    env = {**_env(visitor), "PGOPTIONS": "-c search_path=pg_catalog -c client_min_messages=warning"}
    hide = frozenset({visitor.password})
    return Command(words, env=env, hide=hide, stdin=statements.encode(), timeout=LONG)


def _words(cluster: Cluster, program: str, role: str, database: str) -> tuple[str, ...]:
    return (
        str(cluster.programs / program), "--no-password", f"--host={cluster.socket}", f"--port={cluster.port}",
        f"--username={role}", f"--dbname={database}",
    )  # fmt: skip


def _env(visitor: Visitor | None = None) -> dict[str, str]:
    """LC_MESSAGES so that errors are in the one language that explanations are made from."""
    env = {"PATH": PUBLIC_PATH, "HOME": "/nonexistent", "PGCONNECT_TIMEOUT": "10", "LC_ALL": "C.UTF-8"}
    return env if visitor is None else {**env, "PGPASSWORD": visitor.password}


def _quoted(value: str) -> str:
    """For \\set: between quotes a backslash begins an escape and a quote ends the text."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
