"""Databases on a real PostgreSQL: each closed to all others, passwords that change without anybody waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

psycopg = pytest.importorskip("psycopg")
from tests.support import postgres  # noqa: E402 - only where psycopg is
from tests.support.postgres import connect, rows  # noqa: E402

from webops_host import runner  # noqa: E402
from webops_host.errors import NotFound  # noqa: E402
from webops_host.linux import postgres_cluster  # noqa: E402
from webops_host.linux.postgres_cluster import Cluster  # noqa: E402
from webops_host.linux.postgres_databases import PostgresDatabases  # noqa: E402
from webops_host.names import DeploymentName  # noqa: E402

pytestmark = pytest.mark.skipif(postgres.PROGRAMS is None, reason="PostgreSQL is not installed")
SHOP, BLOG = DeploymentName("my-shop"), DeploymentName("blog")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with postgres.cluster() as running:
        yield running


@pytest.fixture
def databases(cluster: Cluster, tmp_path) -> Iterator[PostgresDatabases]:
    made = postgres.databases(cluster, tmp_path)
    yield made
    for name in (SHOP, BLOG):
        made.drop(name)


@pytest.fixture(scope="module")
def standing(cluster: Cluster, tmp_path_factory) -> Iterator[str]:
    """The address of a database for the tests that are refused anyway."""
    made = postgres.databases(cluster, tmp_path_factory.mktemp("standing"))
    yield made.ensure(DeploymentName("standing"))
    made.drop(DeploymentName("standing"))


def admin(cluster: Cluster, statements: str) -> str:
    return runner.run(postgres_cluster.ask(cluster, statements, {})).output


def at(url: str, database: str) -> str:
    """The same account, another database."""
    return url.replace("/wo_my_shop?", f"/{database}?")


def refused(url: str, statement: str = "SELECT 1") -> str:
    with pytest.raises(psycopg.Error) as caught:
        rows(url, statement)
    return str(caught.value)


def test_a_deployment_has_a_database_and_keeps_its_address(databases, cluster):
    url = databases.ensure(SHOP)
    assert url.startswith("postgres://wo_my_shop__a:")
    assert url.endswith(f"@/wo_my_shop?host={cluster.socket}")
    rows(url, "CREATE TABLE goods (id serial PRIMARY KEY, name text)")
    rows(url, "CREATE EXTENSION pg_trgm")  # one of those that PostgreSQL trusts everybody with
    assert databases.ensure(SHOP) == url
    assert rows(url, "SELECT tableowner, current_user, session_user FROM pg_tables WHERE tablename = 'goods'") == [
        ("wo_my_shop", "wo_my_shop", "wo_my_shop__a")
    ]
    facts = databases.facts(SHOP)
    assert (facts.engine, facts.tables, facts.connection_limit) == ("PostgreSQL", 1, 20)
    assert facts.bytes == databases.size(SHOP) > 1_000_000


def test_dropping_takes_everything_and_again_is_fine(databases, cluster):
    url = databases.ensure(SHOP)
    with connect(url):
        databases.drop(SHOP)
    databases.drop(SHOP)
    assert databases.size(SHOP) == 0
    assert admin(cluster, "SELECT rolname FROM pg_roles WHERE rolname ~ '^wo_'") == ""
    with pytest.raises(NotFound):
        databases.facts(SHOP)


def test_db_01_a_deployment_reaches_its_own_database_and_no_other(databases):
    shop, _ = databases.ensure(SHOP), databases.ensure(BLOG)
    assert rows(shop, "SELECT 1") == [(1,)]
    for other in ("wo_blog", "webops", "postgres", "template1", "template0"):
        assert "wo_my_shop__a" in refused(at(shop, other))


def test_db_01_not_even_where_the_rules_of_signing_in_would_let_it(databases, cluster):
    """Were pg_hba.conf wide open, the databases themselves are closed."""
    databases.ensure(SHOP)
    databases.ensure(BLOG)
    for database in ("wo_blog", "webops", "postgres", "template1"):
        for right in ("CONNECT", "TEMP", "CREATE"):
            asked = f"SELECT has_database_privilege('wo_my_shop__a', '{database}', '{right}')"
            assert admin(cluster, asked) == "f", f"{right} on {database}"


def test_db_01_a_new_database_is_closed_from_its_first_moment(databases, cluster):
    """While it is made, whoever tries finds it missing or closed, at every moment."""
    shop = databases.ensure(SHOP)
    stop, got_in, tried = threading.Event(), [], []

    def knock() -> None:
        while not stop.is_set():
            tried.append(1)
            try:
                connect(at(shop, "wo_blog")).close()
                got_in.append(1)
            except psycopg.Error:
                continue

    knocking = threading.Thread(target=knock)
    knocking.start()
    databases.ensure(BLOG)
    stop.set()
    knocking.join()
    assert tried
    assert not got_in
    assert "PUBLIC" not in admin(cluster, "SELECT datacl FROM pg_database WHERE datname = 'wo_blog'")
    assert admin(cluster, "SELECT count(*) FROM pg_database, aclexplode(datacl) WHERE grantee = 0") == "0"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE ROLE other",
        "CREATE ROLE other SUPERUSER",
        "ALTER ROLE wo_standing__a SUPERUSER",
        "ALTER ROLE webops PASSWORD 'x'",
        "GRANT pg_execute_server_program TO wo_standing",
        "GRANT webops TO wo_standing",
        "CREATE DATABASE other",
        "DROP DATABASE webops",
        "ALTER DATABASE wo_standing RENAME TO wo_other",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "CREATE TEMP TABLE t (x text); COPY t FROM PROGRAM 'id'",
        "CREATE TEMP TABLE t (x text); COPY t FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('.')",
        "SELECT lo_import('/etc/passwd')",
        "CREATE EXTENSION file_fdw",
        "CREATE EXTENSION dblink",
        "CREATE EXTENSION adminpack",
        "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/lib/x86_64-linux-gnu/libc.so.6', 'system'",
        "ALTER SYSTEM SET archive_command = 'id'",
        "SET temp_file_limit = -1",
        "ALTER ROLE wo_standing__a SET temp_file_limit TO -1",
        "ALTER ROLE wo_standing__a CONNECTION LIMIT -1",
        "SELECT rolpassword FROM pg_authid",
        "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
    ],
)
def test_db_02_a_deployments_role_can_not_become_more(standing, statement):
    for role in ("SELECT 1", "RESET ROLE"):
        with connect(standing) as connection:
            connection.execute(role)
            with pytest.raises(psycopg.Error) as caught:
                connection.execute(statement)
        assert caught.value.sqlstate in ("42501", "0A000"), caught.value  # not allowed; not there in this version


def test_db_03_connections_end_at_the_deployments_own_limit_and_the_panel_still_connects(databases, cluster):
    url = databases.ensure(SHOP)
    limit = databases.facts(SHOP).connection_limit
    held = []
    try:
        for _ in range(limit):
            held.append(connect(url))
        for _ in range(500 - limit):
            assert "too many connections for role" in refused(url)
        assert len(held) == limit == 20
        assert databases.facts(SHOP).connections == limit
        panel = f"postgres://webops@/webops?host={cluster.socket}"
        assert rows(panel, "SELECT current_user") == [("webops",)]
        assert rows(databases.ensure(BLOG), "SELECT 1") == [(1,)]
    finally:
        for connection in held:
            connection.close()


def test_db_03_all_deployments_together_leave_connections_to_the_platform(databases, cluster):
    many = [DeploymentName(f"many-{number}") for number in range(9)]
    try:
        for name in many:
            databases.ensure(name)
        told = admin(cluster, "SELECT sum(rolconnlimit), current_setting('max_connections')::int FROM pg_roles"
                     " WHERE rolname ~ '^wo_many_[0-9]__a$'")  # fmt: skip
        promised, most = map(int, told.split("\t"))
        assert promised <= most - 15
    finally:
        for name in many:
            databases.drop(name)


def test_db_03_sign_ins_that_are_not_finished_keep_the_platform_out_for_seconds_only(databases, cluster):
    databases.ensure(SHOP)
    most = int(admin(cluster, "SHOW max_connections"))
    panel = f"postgres://webops@/webops?host={cluster.socket}"
    with ExitStack() as held:
        for _ in range(most):
            held.enter_context(postgres.half_open(cluster, "wo_my_shop__a", "wo_my_shop"))
        began = time.monotonic()
        assert "too many clients" in refused(panel)
        assert rows(databases.ensure(BLOG), "SELECT 1") == [(1,)]
        assert rows(panel, "SELECT current_user") == [("webops",)]
        assert time.monotonic() - began < 7


def test_db_03_a_long_query_and_a_forgotten_transaction_end_by_themselves(databases):
    url = databases.ensure(SHOP)
    shown = [rows(url, f"SHOW {name}")[0][0] for name in (
        "statement_timeout", "idle_in_transaction_session_timeout", "temp_file_limit", "work_mem")]  # fmt: skip
    assert shown == ["5min", "5min", "512MB", "4MB"]
    with (
        connect(url, options="-c statement_timeout=50ms") as connection,
        pytest.raises(psycopg.errors.QueryCanceled),
    ):
        connection.execute("SELECT pg_sleep(3600)")


def test_db_03_temporary_files_end_at_the_limit(databases, cluster):
    url = databases.ensure(SHOP)
    admin(cluster, "ALTER ROLE wo_my_shop__a SET temp_file_limit TO '1MB'")
    assert "temp_file_limit" in refused(url, "SELECT count(*) FROM (SELECT * FROM generate_series(1, 3000000)"
                                        " ORDER BY random()) AS sorted")  # fmt: skip
    databases.ensure(SHOP)
    assert rows(url, "SHOW temp_file_limit") == [("512MB",)]


@pytest.mark.parametrize("text", ["ab", "a-b-c", "user", "select", "order-by", "p" + "q" * 30])
def test_db_04_every_name_of_a_deployment_is_a_name_of_a_database(databases, text):
    name = DeploymentName(text)
    try:
        url = databases.ensure(name)
        assert rows(url, "SELECT current_database()") == [(f"wo_{text.replace('-', '_')}",)]
    finally:
        databases.drop(name)


@pytest.mark.parametrize("value", ["it's", 'a "b"', "\\", "\\'; DROP ROLE x; --", "$$", ":'own'", "ä\tö", "`id`"])
def test_db_04_what_psql_is_given_arrives_as_it_is(cluster, value):
    told = runner.run(postgres_cluster.ask(cluster, "SELECT :'given' = convert_from(decode(:'hex', 'hex'), 'UTF8');\n",
                                           {"given": value, "hex": value.encode().hex()})).output  # fmt: skip
    assert told == "t"


def test_a_rotation_lets_old_and_new_passwords_work_until_the_old_is_retired(databases):
    old = databases.ensure(SHOP)
    rows(old, "CREATE TABLE goods (id int)")
    with connect(old) as busy:
        new = databases.rotate(SHOP)
        assert new != old
        assert databases.rotate(SHOP) == new
        assert databases.ensure(SHOP) == new
        assert databases.facts(SHOP).rotating
        busy.execute("INSERT INTO goods VALUES (1)")
        rows(old, "INSERT INTO goods VALUES (2)")
        rows(new, "ALTER TABLE goods ADD COLUMN name text")
        assert rows(new, "SELECT count(*) FROM goods") == [(2,)]
        databases.retire(SHOP)
        databases.retire(SHOP)
        with pytest.raises(psycopg.OperationalError):
            busy.execute("SELECT 1")
    refused(old)
    assert rows(new, "SELECT count(*) FROM goods") == [(2,)]
    assert databases.ensure(SHOP) == new
    again = databases.rotate(SHOP)
    databases.retire(SHOP)
    assert rows(again, "SELECT count(*) FROM goods") == [(2,)]
    refused(new)


def test_sec_01_the_servers_log_and_files_hold_no_password(databases, cluster, tmp_path):
    url = databases.ensure(SHOP)
    password = url.split(":")[2].split("@")[0]
    assert password not in (cluster.socket / "log").read_text()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if path.stat().st_mode & 0o077] == []
    assert (
        admin(cluster, "SELECT left(rolpassword, 14) FROM pg_authid WHERE rolname = 'wo_my_shop__a'")
        == "SCRAM-SHA-256$"
    )
