"""Restores on a real PostgreSQL that do not reach their end: what was there is there, open, and nothing is left."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

psycopg = pytest.importorskip("psycopg")
from tests.support import postgres  # noqa: E402 - only where psycopg is
from tests.support.machine import QUIET  # noqa: E402
from tests.support.postgres import leftovers, rows  # noqa: E402

from webops_host import runner  # noqa: E402
from webops_host.errors import Cancelled, CommandFailed, DiskFull  # noqa: E402
from webops_host.linux import postgres_cluster  # noqa: E402
from webops_host.linux.postgres_cluster import Cluster  # noqa: E402
from webops_host.linux.postgres_databases import ROOM, PostgresDatabases  # noqa: E402
from webops_host.names import DeploymentName, DumpId  # noqa: E402
from webops_host.values import Console  # noqa: E402

pytestmark = pytest.mark.skipif(postgres.PROGRAMS is None, reason="PostgreSQL is not installed")
SHOP, COPY = DeploymentName("shop"), DeploymentName("shop-copy")
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


@pytest.fixture
def url(databases) -> str:
    url = databases.ensure(SHOP)
    rows(url, "CREATE TABLE goods AS SELECT generate_series(1, 1000) AS id")
    return url


def count(url: str) -> int:
    return rows(url, "SELECT count(*) FROM goods")[0][0]


def test_a_restore_that_fails_or_is_cancelled_changes_nothing(databases, url, cluster):
    dump = databases.dump(SHOP, QUIET)
    rows(url, "DELETE FROM goods WHERE id > 10")
    with pytest.raises(Cancelled):
        databases.restore(SHOP, dump.id, Console(lambda line: None, lambda: True))
    assert count(url) == 10
    assert databases.facts(SHOP).kept_since == 0
    assert leftovers(cluster) == ""


def cancelled_during(cluster: Cluster, query: str) -> Console:
    """A person who cancels while the server is at work on such a query."""
    asked = f"SELECT count(*) FROM pg_stat_activity WHERE usename ~ '__v' AND state = 'active' AND query ~ '{query}';"
    return Console(lambda line: None, lambda: runner.run(postgres_cluster.ask(cluster, asked, {})).output != "0")


@pytest.mark.parametrize(
    ("script", "query"),
    [
        ("CREATE TABLE made (x text);\nSELECT pg_sleep(30);\n", "pg_sleep"),
        ("CREATE TABLE made AS SELECT 1;\nCREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
         " $$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$;\nCREATE TRIGGER t BEFORE INSERT ON made"
         " FOR EACH ROW EXECUTE FUNCTION slow();\nCOPY made FROM stdin;\n" + "1\n" * 400_000 + "\\.\n", "COPY made"),
    ],
    ids=["a statement", "rows"],
)  # fmt: skip
def test_a_restore_that_is_cancelled_while_the_server_works_ends_at_once(databases, url, cluster, script, query):
    databases.receive(SHOP, UPLOAD, 0, script.encode())
    databases.accept(SHOP, UPLOAD, QUIET)
    began = time.monotonic()
    with pytest.raises(Cancelled):
        databases.restore(SHOP, UPLOAD, cancelled_during(cluster, query))
    assert time.monotonic() - began < 15
    assert count(url) == 1000
    assert leftovers(cluster) == ""


def test_a_restore_that_is_cancelled_after_the_last_row_changes_nothing(databases, url, cluster):
    dump = databases.dump(SHOP, QUIET)
    rows(url, "DELETE FROM goods WHERE id > 10")
    asked = "SELECT count(*) FROM pg_roles WHERE rolname ~ '__v';"
    seen: list[bool] = []

    def cancelled() -> bool:
        """Once the visitor who filled the new database is gone."""
        seen.append(runner.run(postgres_cluster.ask(cluster, asked, {})).output != "0")
        return True in seen and not seen[-1]

    with pytest.raises(Cancelled):
        databases.restore(SHOP, dump.id, Console(lambda line: None, cancelled))
    assert count(url) == 10
    assert leftovers(cluster) == ""


def test_a_revert_that_fails_leaves_the_database_there_is_open(databases, url, cluster):
    dump = databases.dump(SHOP, QUIET)
    rows(url, "DELETE FROM goods WHERE id > 10")
    databases.restore(SHOP, dump.id, QUIET)
    in_the_way = "CREATE DATABASE wo_shop__gone;"
    runner.run(postgres_cluster.ask(cluster, in_the_way, {}))
    with pytest.raises(CommandFailed):
        databases.revert(SHOP)
    assert count(url) == 1000
    assert databases.facts(SHOP).kept_since > 0
    databases.recover()
    databases.revert(SHOP)
    assert count(url) == 10


def test_rel_15_no_clone_is_begun_without_room_for_what_is_cloned(databases, url, cluster, tmp_path):
    databases.ensure(COPY)
    rows(url, "CREATE TABLE large AS SELECT repeat('x', 1000) AS x FROM generate_series(1, 20000)")
    free = ROOM + (databases.size(COPY) + databases.size(SHOP)) // 4
    with pytest.raises(DiskFull):
        postgres.databases(cluster, tmp_path, free=lambda: free).clone(COPY, SHOP, QUIET)
    assert databases.dumps(COPY) == ()
    assert leftovers(cluster) == ""
