"""A PostgreSQL of the test's own: Debian's programs, a cluster in a temporary folder, a Unix socket and no port.

It runs as `postgres` when the tests run as root (the server refuses root), else as whoever runs the tests. Its rules of
who may sign in are the platform's own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from webops_host import runner
from webops_host.linux import postgres_cluster, postgres_hba, postgres_prepare
from webops_host.linux.postgres_cluster import Cluster
from webops_host.linux.postgres_databases import PostgresDatabases
from webops_host.linux.postgres_passwords import Passwords
from webops_host.shelf import Shelf

ALL = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
PROGRAMS = ALL[-1].parent if ALL else None
AS_POSTGRES = ("runuser", "-u", "postgres", "--") if os.getuid() == 0 else ()
MEMORY = Path("/dev/shm")  # databases are made and dropped in every test: on a disk that takes most of the time
ME = pwd.getpwuid(os.getuid()).pw_name


@contextmanager
def cluster() -> Iterator[Cluster]:
    assert PROGRAMS is not None
    folder = Path(tempfile.mkdtemp(prefix="wopg-", dir=MEMORY if MEMORY.is_dir() else "/tmp"))
    if AS_POSTGRES:
        shutil.chown(folder, "postgres")
        folder.chmod(0o755)
    try:
        yield from _running(folder, PROGRAMS)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _running(folder: Path, programs: Path) -> Iterator[Cluster]:
    data = folder / "data"
    _run(folder, programs / "initdb", "-D", data, "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
    version = int((data / "PG_VERSION").read_text())
    (data / "pg_hba.conf").write_text(postgres_hba.hba())
    (data / "pg_ident.conf").write_text(postgres_hba.ident(admins={"postgres", ME}, panel={"webops", ME}))
    with (data / "postgresql.conf").open("a") as file:
        file.write(postgres_hba.settings(version))
        file.write(f"unix_socket_directories = '{folder}'\nfsync = off\nmax_connections = 60\n")
        file.write("shared_buffers = 16MB\nautovacuum_naptime = 1h\n")
    control = (programs / "pg_ctl", "-D", data, "--silent", "-w")
    _run(folder, *control, "-l", folder / "log", "start")
    try:
        here = Cluster(programs, folder)
        runner.run(postgres_cluster.ask(here, postgres_prepare.PLATFORM, {}))
        yield here
    finally:
        _run(folder, *control, "-m", "immediate", "stop")


def databases(cluster: Cluster, folder: Path, **more: object) -> PostgresDatabases:
    return PostgresDatabases(cluster, Passwords(folder / "passwords"), Shelf(folder / "dumps"), **more)


def connect(url: str, **options: object) -> psycopg.Connection:
    return psycopg.connect(url, autocommit=True, connect_timeout=10, **options)


def rows(url: str, statement: str) -> list[tuple]:
    with connect(url) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def half_open(cluster: Cluster, role: str, database: str) -> socket.socket:
    """Somebody who begins to sign in and says no more, at the moment when the server waits for it."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(cluster.socket / f".s.PGSQL.{cluster.port}"))
    body = f"user\0{role}\0database\0{database}\0\0".encode()
    connection.sendall(struct.pack("!II", len(body) + 8, 3 << 16) + body)
    connection.recv(1)
    return connection


def leftovers(cluster: Cluster) -> str:
    """Roles and databases of work that is over."""
    asked = (
        "SELECT rolname FROM pg_roles WHERE rolname ~ '__v' UNION"
        " SELECT datname FROM pg_database WHERE datname ~ '__(new|gone)';"
    )
    return runner.run(postgres_cluster.ask(cluster, asked, {})).output


def _run(folder: Path, *words: object) -> None:
    done = subprocess.run([*AS_POSTGRES, *map(str, words)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
