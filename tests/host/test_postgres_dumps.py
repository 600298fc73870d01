"""Dumps on a real PostgreSQL: read whole before they count, restored beside and then switched, hostile ones refused."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

psycopg = pytest.importorskip("psycopg")
from tests.support import postgres  # noqa: E402 - only where psycopg is
from tests.support.machine import QUIET  # noqa: E402
from tests.support.postgres import connect, leftovers, rows  # noqa: E402

from webops_host import runner  # noqa: E402
from webops_host.database_values import PIECE, DumpForm, DumpOrigin  # noqa: E402
from webops_host.errors import BadValue, CommandFailed, DiskFull, HostError, NotFound  # noqa: E402
from webops_host.linux import postgres_cluster  # noqa: E402
from webops_host.linux.postgres_cluster import Cluster  # noqa: E402
from webops_host.linux.postgres_databases import PostgresDatabases  # noqa: E402
from webops_host.names import DeploymentName, DumpId  # noqa: E402
from webops_host.values import Console  # noqa: E402

pytestmark = pytest.mark.skipif(postgres.PROGRAMS is None, reason="PostgreSQL is not installed")
SHOP, COPY, KEPT = DeploymentName("shop"), DeploymentName("shop-copy"), DeploymentName("kept")
UPLOAD = DumpId("20260131T235959Z-0a1b")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with postgres.cluster() as running:
        yield running


@pytest.fixture
def databases(cluster: Cluster, tmp_path) -> Iterator[PostgresDatabases]:
    made = postgres.databases(cluster, tmp_path)
    yield made
    for name in (SHOP, COPY):
        made.drop(name)


@pytest.fixture(scope="module")
def standing(cluster: Cluster, tmp_path_factory) -> Iterator[PostgresDatabases]:
    """One database for the tests in which nothing changes."""
    made = postgres.databases(cluster, tmp_path_factory.mktemp("standing"))
    rows(made.ensure(KEPT), "CREATE TABLE goods AS SELECT generate_series(1, 1000)")
    yield made
    made.drop(KEPT)


@pytest.fixture
def url(databases) -> str:
    """A shop with 1000 goods, one of them named so that a reader of dumps could trip over it."""
    url = databases.ensure(SHOP)
    rows(url, "CREATE TABLE goods (id serial PRIMARY KEY, name text); CREATE TABLE empty (x int)")
    rows(url, "INSERT INTO goods (name) SELECT 'good ' || n FROM generate_series(1, 999) AS n")
    rows(url, r"INSERT INTO goods (name) VALUES (E'\\.\nCOPY x FROM stdin;\n\\!')")
    return url


def count(url: str) -> int:
    return rows(url, "SELECT count(*) FROM goods")[0][0]


def upload(databases: PostgresDatabases, content: bytes, name: DeploymentName = SHOP) -> None:
    for offset in range(0, len(content), PIECE):
        databases.receive(name, UPLOAD, offset, content[offset : offset + PIECE])


def restored(databases: PostgresDatabases, script: str, name: DeploymentName = SHOP) -> tuple[str, ...]:
    upload(databases, script.encode(), name)
    databases.accept(name, UPLOAD, QUIET)
    return databases.restore(name, UPLOAD, QUIET).skipped


def test_a_dump_counts_what_is_in_it_and_can_be_read_in_pieces(databases, url, cluster):
    lines: list[str] = []
    dump = databases.dump(SHOP, Console(lines.append))
    assert (dump.tables, dump.rows, dump.form, dump.origin) == (2, 1000, DumpForm.CUSTOM, DumpOrigin.MADE)
    assert databases.dumps(SHOP) == (dump,)
    content = databases.read(SHOP, dump.id, 0)
    assert content.startswith(b"PGDMP")
    assert len(content) == dump.bytes
    assert databases.read(SHOP, dump.id, dump.bytes) == b""
    assert databases.read(SHOP, dump.id, 5) == content[5:]
    assert lines == [f"1000 rows in 2 tables, {dump.bytes} bytes."]
    databases.discard(SHOP, dump.id)
    databases.discard(SHOP, dump.id)
    assert databases.dumps(SHOP) == ()
    with pytest.raises(NotFound):
        databases.read(SHOP, dump.id, 0)
    assert leftovers(cluster) == ""


def test_a_restore_is_made_beside_and_the_database_before_is_kept(databases, url, cluster):
    dump = databases.dump(SHOP, QUIET)
    rows(url, "DELETE FROM goods WHERE id > 10")
    done = databases.restore(SHOP, dump.id, QUIET)
    assert (done.tables, done.rows, done.skipped) == (2, 1000, ())
    assert count(url) == 1000
    assert databases.facts(SHOP).kept_since > 0
    rows(url, "INSERT INTO goods (name) VALUES ('new'); ALTER TABLE goods ADD COLUMN price int")
    assert rows(url, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'") == [("wo_shop",)]
    databases.revert(SHOP)
    databases.revert(SHOP)
    assert count(url) == 10
    assert databases.facts(SHOP).kept_since == 0
    databases.restore(SHOP, dump.id, QUIET)
    databases.confirm(SHOP)
    databases.confirm(SHOP)
    databases.revert(SHOP)
    assert count(url) == 1000
    assert leftovers(cluster) == ""


def test_a_second_restore_keeps_the_database_from_before_the_first(databases, url):
    dump = databases.dump(SHOP, QUIET)
    rows(url, "DELETE FROM goods WHERE id > 10")
    databases.restore(SHOP, dump.id, QUIET)
    databases.restore(SHOP, dump.id, QUIET)
    databases.revert(SHOP)
    assert count(url) == 10


def test_a_clone_fills_another_deployments_database(databases, url, cluster):
    done = databases.clone(COPY, SHOP, QUIET)
    assert done.rows == 1000
    other = databases.ensure(COPY)
    assert count(other) == 1000
    rows(other, "DELETE FROM goods; ALTER TABLE goods ADD COLUMN mine int")
    assert count(url) == 1000
    assert databases.dumps(COPY) == ()
    databases.revert(COPY)
    assert rows(other, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    assert leftovers(cluster) == ""


def test_extensions_that_an_administrator_made_come_along(databases, url, cluster):
    made = "CREATE EXTENSION pageinspect SCHEMA public;"
    runner.run(postgres_cluster.ask(cluster, made, {}, database="wo_shop"))
    rows(url, "CREATE EXTENSION citext")
    dump = databases.dump(SHOP, QUIET)
    databases.restore(SHOP, dump.id, QUIET)
    databases.clone(COPY, SHOP, QUIET)
    for address in (url, databases.ensure(COPY)):
        assert rows(address, "SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1") == [
            ("citext",), ("pageinspect",)
        ]  # fmt: skip
        assert "superuser" in refused_text(address, "SELECT get_raw_page('goods', 0)")


def refused_text(url: str, statement: str) -> str:
    with pytest.raises(psycopg.Error) as caught:
        rows(url, statement)
    return str(caught.value)


def test_what_a_crash_left_is_settled(databases, url, cluster):
    half = "CREATE DATABASE wo_shop__new; ALTER DATABASE wo_shop ALLOW_CONNECTIONS false;"
    runner.run(postgres_cluster.ask(cluster, half, {}))
    databases.recover()
    assert count(url) == 1000
    assert leftovers(cluster) == ""


@pytest.mark.parametrize("words", [("--format=plain",), ("--format=plain", "--inserts"), ("--format=custom",)])
def test_what_pg_dump_wrote_elsewhere_is_restored(databases, url, words):
    """With owners and rights of the server it comes from."""
    program = str(postgres.PROGRAMS / "pg_dump")
    content = subprocess.run([program, *words, url], capture_output=True, check=True).stdout
    rows(url, "DELETE FROM goods")
    upload(databases, content)
    dump = databases.accept(SHOP, UPLOAD, QUIET)
    assert (dump.tables, dump.rows, dump.origin) == (2, 1000, DumpOrigin.UPLOADED)
    assert databases.accept(SHOP, UPLOAD, QUIET) == dump
    databases.restore(SHOP, UPLOAD, QUIET)
    assert count(url) == 1000
    assert rows(url, "SELECT count(*) FROM goods WHERE name LIKE E'\\\\\\\\.%'") == [(1,)]
    rows(url, "INSERT INTO goods (name) VALUES ('after')")


def test_an_upload_comes_in_pieces_that_may_come_twice(databases, url):
    assert databases.receive(SHOP, UPLOAD, 0, b"PGDMP") == 5
    assert databases.receive(SHOP, UPLOAD, 0, b"PGDMP") == 5
    assert databases.receive(SHOP, UPLOAD, 5, b"more") == 9
    with pytest.raises(BadValue, match="Only 9 bytes"):
        databases.receive(SHOP, UPLOAD, 20, b"gap")
    assert databases.dumps(SHOP) == ()
    with pytest.raises(CommandFailed, match="damaged"):
        databases.accept(SHOP, UPLOAD, QUIET)
    with pytest.raises(NotFound):
        databases.accept(SHOP, UPLOAD, QUIET)


MAKES = "CREATE TABLE made (x text);\n"


@pytest.mark.parametrize(
    "line",
    ["\\! touch {mark}", "SELECT 1 \\g |touch {mark}", "\\copy made from program 'touch {mark}'", "\\o |touch {mark}",
     "SELECT 'touch {mark}' \\gexec", "/* */ \\! touch {mark}", "\\i /etc/passwd", "\\connect postgres postgres"],
)  # fmt: skip
def test_fs_07_commands_of_psql_in_a_dump_are_refused_and_not_run(standing, tmp_path, line):
    mark = tmp_path / "mark"
    upload(standing, (MAKES + line.format(mark=mark) + "\n").encode(), KEPT)
    with pytest.raises(BadValue, match="a command of psql"):
        standing.accept(KEPT, UPLOAD, QUIET)
    assert standing.dumps(KEPT) == ()
    assert not mark.exists()


@pytest.mark.parametrize(
    "statement",
    ["COPY made FROM PROGRAM 'touch {mark}'", "COPY made TO PROGRAM 'touch {mark}'", "COPY made FROM '/etc/passwd'",
     "RESET ROLE; COPY made FROM PROGRAM 'touch {mark}'", "SET ROLE postgres", "CREATE ROLE other SUPERUSER",
     "CREATE EXTENSION file_fdw", "SELECT pg_read_file('/etc/passwd')", "ALTER ROLE webops PASSWORD 'x'",
     "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc.so.6', 'system'", "ALTER SYSTEM SET port = 1"],
)  # fmt: skip
def test_fs_07_what_the_deployment_may_not_do_its_dump_may_not_do(standing, cluster, tmp_path, statement):
    mark = tmp_path / "mark"
    with pytest.raises(CommandFailed):
        restored(standing, MAKES + statement.format(mark=mark) + ";\n", KEPT)
    standing.discard(KEPT, UPLOAD)
    assert not mark.exists()
    assert count(standing.ensure(KEPT)) == 1000
    assert leftovers(cluster) == ""


def test_fs_07_a_hostile_archive_has_the_deployments_rights_too(databases, url, cluster, tmp_path):
    """The rows of an archive run whatever its checks and triggers say, as whoever restores it."""
    mark = tmp_path / "mark"
    rows(url, "CREATE FUNCTION evil(text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN"
              f" BEGIN COPY (SELECT 1) TO PROGRAM 'touch {mark}'; EXCEPTION WHEN insufficient_privilege THEN END;"
              " RETURN true; END $$")  # fmt: skip
    rows(url, "CREATE TABLE trap (x text CHECK (public.evil(x)))")
    rows(url, "INSERT INTO trap VALUES ('x')")
    dump = databases.dump(SHOP, QUIET)
    assert databases.restore(SHOP, dump.id, QUIET).rows == 1001
    assert not mark.exists()
    assert leftovers(cluster) == ""


def test_fs_07_what_a_dump_makes_in_its_visitors_name_becomes_the_deployments(databases, url, cluster):
    restored(
        databases,
        "RESET ROLE;\nCREATE TABLE goods (x text);\nALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;\n",
    )
    rows(url, "ALTER TABLE goods ADD COLUMN y text")
    assert rows(url, "SELECT tableowner FROM pg_tables WHERE tablename = 'goods'") == [("wo_shop",)]
    assert leftovers(cluster) == ""


@pytest.mark.parametrize("name", ["../../etc/x", "20260131T235959Z-0a1b/../x", "a;b", "", "20260131T235959Z-0A1B\n"])
def test_fs_07_the_name_of_a_dump_is_only_a_name(name):
    with pytest.raises(BadValue):
        DumpId(name)


@pytest.mark.parametrize("content", [b"\x1f\x8b\x08packed", b"PK\x03\x04zip", b"\x7fELF\x00\x00", b"hello", b""])
def test_fs_07_what_is_no_dump_is_refused(standing, content):
    standing.receive(KEPT, UPLOAD, 0, content)
    with pytest.raises(HostError):
        standing.accept(KEPT, UPLOAD, QUIET)
    assert standing.dumps(KEPT) == ()


# --- backups that go wrong -------------------------------------------------------------------------------------


def with_program(cluster: Cluster, folder: Path, text: str) -> Cluster:
    """The same cluster with another pg_dump."""
    folder.mkdir()
    for program in ("psql", "pg_restore"):
        (folder / program).symlink_to(cluster.programs / program)
    fake = folder / "pg_dump"
    fake.write_text(f"#!/bin/bash\nfile=$(printf '%s\\n' \"$@\" | sed -n 's/^--file=//p')\n{text}\n")
    fake.chmod(0o755)
    return Cluster(folder, cluster.socket, cluster.port)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (": > $file; exit 0", CommandFailed),
        ("exit 0", CommandFailed),
        ('{real} "$@" && truncate -s -100 $file', CommandFailed),
        ('{real} "$@" && truncate -s 3000 $file', CommandFailed),
        (
            '{real} "$@" && printf XXXXXXXX | dd of=$file bs=1 seek=$(($(stat -c %s $file) - 60)) conv=notrunc',
            CommandFailed,
        ),
        ('{real} "$@" --exclude-table=goods', CommandFailed),
        ('{real} "$@"; echo "pg_dump: error: could not write: No space left on device" >&2; exit 1', DiskFull),
        ('{real} "$@"; kill -9 $$', CommandFailed),
    ],
    ids=["empty", "none", "cut", "cut in the middle", "damaged", "a table missing", "disk full", "killed"],
)
def test_rel_15_a_dump_that_is_not_whole_is_none_and_the_last_good_one_stays(
    databases, url, cluster, tmp_path, fault, kind
):
    good = databases.dump(SHOP, QUIET)
    broken = with_program(cluster, tmp_path / "programs", fault.replace("{real}", str(cluster.programs / "pg_dump")))
    with pytest.raises(kind):
        postgres.databases(broken, tmp_path).dump(SHOP, QUIET)
    assert databases.dumps(SHOP) == (good,)
    assert sorted(path.suffix for path in (tmp_path / "dumps/shop").iterdir()) == [".dump", ".json"]
    assert databases.restore(SHOP, good.id, QUIET).rows == 1000


def test_rel_15_no_dump_is_begun_without_room(databases, url, cluster, tmp_path):
    good = databases.dump(SHOP, QUIET)
    full = postgres.databases(cluster, tmp_path, free=lambda: 1 << 20)
    for attempt in (
        lambda: full.dump(SHOP, QUIET),
        lambda: full.restore(SHOP, good.id, QUIET),
        lambda: full.receive(SHOP, UPLOAD, 0, b"x"),
    ):
        with pytest.raises(DiskFull):
            attempt()
    assert databases.dumps(SHOP) == (good,)


def test_rel_15_a_file_that_changed_on_the_disk_is_not_restored(databases, url, tmp_path):
    dump = databases.dump(SHOP, QUIET)
    file = tmp_path / f"dumps/shop/{dump.id}.dump"
    content = bytearray(file.read_bytes())
    content[-40] ^= 1
    file.write_bytes(content)
    with pytest.raises(BadValue, match="damaged"):
        databases.restore(SHOP, dump.id, QUIET)
    assert count(url) == 1000


def test_a_dump_is_made_while_the_deployment_holds_all_its_connections(databases, url):
    held = [connect(url) for _ in range(databases.facts(SHOP).connection_limit)]
    try:
        assert databases.dump(SHOP, QUIET).rows == 1000
    finally:
        for connection in held:
            connection.close()
