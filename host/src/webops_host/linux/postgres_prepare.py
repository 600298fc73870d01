"""Makes a PostgreSQL cluster the platform's: settings, who may sign in, the panel's role and database.

Run it as root (set-up) as often as you like: what is right already is left alone, and only what has to be is restarted.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from webops_host import runner
from webops_host.command import Command
from webops_host.errors import BadValue, NotFound
from webops_host.files import write_whole
from webops_host.linux import postgres_cluster, postgres_hba
from webops_host.linux.postgres_cluster import Cluster

ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
OS_USER = "postgres"
STATE = Path("/var/lib/webops/pgd")
DUMPS = Path("/var/backups/webops/databases")
RECORD = "cluster.json"
DUE = "due"
"""There from before settings are written until the cluster took them up: a run that was broken off goes on here."""
SETTINGS = "conf.d/webops.conf"

# Closed while it is made, as the deployments' are.
PLATFORM = r"""
SELECT 'CREATE ROLE webops_visitors NOLOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'webops_visitors')
\gexec
ALTER ROLE webops_visitors WITH NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
SELECT 'CREATE ROLE webops NOLOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'webops') \gexec
ALTER ROLE webops WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL;
SELECT format('CREATE DATABASE webops OWNER webops TEMPLATE template0 ENCODING ''UTF8'' ALLOW_CONNECTIONS false %s',
              CASE WHEN pg_encoding_to_char(encoding) = 'UTF8' THEN '' ELSE 'LOCALE ''C.UTF-8''' END)
    FROM pg_database
    WHERE datname = 'template0' AND NOT EXISTS (SELECT FROM pg_database WHERE datname = 'webops') \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_database \gexec
ALTER DATABASE webops ALLOW_CONNECTIONS true;
SELECT 'GRANT pg_use_reserved_connections TO webops' WHERE current_setting('server_version_num')::int >= 160000 \gexec
REVOKE ALL ON SCHEMA public FROM PUBLIC;
\connect template1
REVOKE ALL ON SCHEMA public FROM PUBLIC;
\connect webops
ALTER SCHEMA public OWNER TO webops;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A cluster as pg_lsclusters lists it."""

    version: int
    name: str
    port: int
    is_online: bool

    @property
    def settings(self) -> Path:
        return Path("/etc/postgresql") / str(self.version) / self.name

    @property
    def cluster(self) -> Cluster:
        programs = Path("/usr/lib/postgresql") / str(self.version) / "bin"
        return Cluster(programs=programs, port=self.port)


def parse(listing: str) -> tuple[Found, ...]:
    """What pg_lsclusters --no-header prints: version, name, port, status, owner, data, log."""
    found = []
    for line in listing.splitlines():
        version, name, port, status, *_ = line.split()
        if version.isdigit():
            found.append(Found(int(version), name, int(port), status.startswith("online")))
    return tuple(found)


def choose(found: tuple[Found, ...]) -> Found:
    """The cluster at the usual port, else the newest version's. Raises NotFound."""
    ranked = sorted(found, key=lambda one: (one.port == 5432, one.version))
    if not ranked:
        raise NotFound("There is no PostgreSQL cluster.", hint="Install the package postgresql.")
    return ranked[-1]


def prepare() -> Found:
    """Make it so. Raises HostError."""
    if os.getuid() != 0:
        raise BadValue("Preparing PostgreSQL needs root.", hint="Run it with sudo.")
    listing = runner.run(Command(("/usr/bin/pg_lsclusters", "--no-header"), env=ENV)).output
    found = choose(parse(listing))
    _folders(found)
    _write_settings(found)
    _bring_up(found)
    runner.run(_as_postgres(postgres_cluster.ask(found.cluster, PLATFORM, {})))
    return found


def find(state: Path = STATE) -> Cluster:
    """The cluster that was prepared. Raises NotFound."""
    try:
        data = json.loads((state / RECORD).read_text())
        return Cluster(Path(data["programs"]), Path(data["socket"]), int(data["port"]))
    except (OSError, ValueError, KeyError):
        raise NotFound("PostgreSQL was not prepared.", hint="Run set-up again: pgd.py --prepare.") from None


def record(cluster: Cluster) -> bytes:
    data = {"programs": str(cluster.programs), "socket": str(cluster.socket), "port": cluster.port}
    return json.dumps(data).encode()


def due(before: str, changed: set[str]) -> str:
    """What the cluster has to do: new settings need a restart, new rules only another look. What an earlier run left
    to do still is."""
    if SETTINGS in changed or before == "restart":
        return "restart"
    return "reload" if changed else before


def _write_settings(found: Found) -> None:
    before = _text(found.settings / "pg_hba.conf")
    texts = {
        "pg_hba.conf": postgres_hba.hba(before),
        "pg_ident.conf": postgres_hba.ident(),
        SETTINGS: postgres_hba.settings(found.version),
    }
    changed = {name for name, text in texts.items() if _text(found.settings / name) != text}
    if changed:
        write_whole(STATE / DUE, due(_text(STATE / DUE), changed).encode(), 0o600)
    user = pwd.getpwnam(OS_USER)
    for name in changed:
        file = found.settings / name
        aside = file.with_name(f"{file.name}.before-webops")
        if file.exists() and not aside.exists():
            write_whole(aside, file.read_bytes(), 0o640)
        write_whole(file, texts[name].encode(), 0o640)
        os.chown(file, user.pw_uid, user.pw_gid)


def _bring_up(found: Found) -> None:
    act = _text(STATE / DUE) if found.is_online else "start"
    if act:
        runner.run(Command(("/usr/bin/pg_ctlcluster", str(found.version), found.name, act), env=ENV, timeout=180.0))
    (STATE / DUE).unlink(missing_ok=True)


def _folders(found: Found) -> None:
    """pgd's own, closed to everybody else."""
    user = pwd.getpwnam(OS_USER)
    for folder in (STATE, DUMPS):
        folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
        os.chown(folder, user.pw_uid, grp.getgrnam(OS_USER).gr_gid)
    write_whole(STATE / RECORD, record(found.cluster), 0o600)
    os.chown(STATE / RECORD, user.pw_uid, user.pw_gid)


def _as_postgres(command: Command) -> Command:
    words = ("/usr/sbin/runuser", f"--user={OS_USER}", "--", *command.argv)
    return Command(words, cwd=Path("/"), env=command.env, hide=command.hide, stdin=command.stdin, timeout=180.0)


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""
