"""PostgreSQL as commands of psql: one database and one role for each deployment, closed to all others.

Names come from the deployment's checked name alone and passwords are hexadecimal; psql puts both into the statements as
its own quoted variables. Statements go in by standard input and the account's password by the environment, so neither
shows in a list of processes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, unquote, urlsplit

from webops_host.command import Command
from webops_host.errors import BadValue
from webops_host.names import DeploymentName

ENSURE = """
SELECT format('CREATE ROLE %I', :'own') WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'own') \\gexec
ALTER ROLE :"own" WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT 20 PASSWORD :'password';
GRANT :"own" TO CURRENT_USER;
SELECT format('CREATE DATABASE %I OWNER %I', :'own', :'own')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'own') \\gexec
REVOKE ALL ON DATABASE :"own" FROM PUBLIC;
GRANT CONNECT, TEMPORARY, CREATE ON DATABASE :"own" TO :"own";
"""
DROP = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :'own' AND pid <> pg_backend_pid();
DROP DATABASE IF EXISTS :"own";
DROP ROLE IF EXISTS :"own";
"""
SIZE = "SELECT pg_database_size(oid) FROM pg_database WHERE datname = :'own';"
RULE = "Use postgres://user:password@host:5432/postgres."


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL server and the account on it that makes databases."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str = "postgres"
    sslmode: str = ""

    @classmethod
    def parse(cls, url: str) -> Server:
        """From postgres://user:password@host:port/database?sslmode=…; a host that is a folder is a Unix socket's."""
        try:
            parts = urlsplit(url)
            options = parse_qs(parts.query)
            port = int(options.get("port", [parts.port or 5432])[0])
        except ValueError:
            raise BadValue("That is not the address of a PostgreSQL server.", hint=RULE) from None
        host = options.get("host", [unquote(parts.hostname or "localhost")])[0]
        if parts.scheme not in ("postgres", "postgresql") or not parts.username or host.startswith("-"):
            raise BadValue("That is not the address of a PostgreSQL server.", hint=RULE)
        sslmode = options.get("sslmode", [""])[0]
        database = unquote(parts.path.lstrip("/")) or "postgres"
        return cls(host, port, unquote(parts.username), unquote(parts.password or ""), database, sslmode)

    def url_for(self, name: DeploymentName, password: str) -> str:
        """What a deployment is given."""
        own = identifier(name)
        is_socket = self.host.startswith("/")
        options = [("host", self.host), ("port", str(self.port))] if is_socket else []
        options += [("sslmode", self.sslmode)] if self.sslmode else []
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in options)
        place = "" if is_socket else f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"
        return f"postgres://{own}:{password}@{place}/{own}{'?' if query else ''}{query}"


def identifier(name: DeploymentName) -> str:
    """The name of the deployment's role and database. No two deployments share one: a name has no underscore."""
    return f"wo_{name.replace('-', '_')}"


def ensure(server: Server, name: DeploymentName, password: str) -> Command:
    """Have the role with this password, and the database that only it may open. Again: nothing but the password."""
    if not password.isalnum() or not password.isascii():
        raise BadValue("That is not a password for a database role.", hint="Use letters and digits.")
    return _psql(server, name, ENSURE, password)


def drop(server: Server, name: DeploymentName) -> Command:
    """Remove database and role, ending what is connected. Absent is fine."""
    return _psql(server, name, DROP)


def size(server: Server, name: DeploymentName) -> Command:
    """Print the bytes the database takes; nothing when it is absent."""
    return _psql(server, name, SIZE)


def _psql(server: Server, name: DeploymentName, statements: str, password: str = "") -> Command:
    words = (
        "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--no-password", "--set=ON_ERROR_STOP=1",
        f"--host={server.host}", f"--port={server.port}", f"--username={server.user}", f"--dbname={server.database}",
    )  # fmt: skip
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "PGPASSWORD": server.password,
        "PGCONNECT_TIMEOUT": "10",
        "PGOPTIONS": "--client-min-messages=warning",
    }
    if server.sslmode:
        env["PGSSLMODE"] = server.sslmode
    variables = f"\\set own {identifier(name)}\n" + (f"\\set password {password}\n" if password else "")
    secrets = frozenset(filter(None, (password, server.password)))
    return Command(words, env=env, hide=secrets, stdin=(variables + statements).encode(), timeout=60.0)
