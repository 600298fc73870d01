"""Databases and meters of the embedded host."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from webops_host import postgres
from webops_host.embedded.databases import EmbeddedDatabases
from webops_host.embedded.meters import EmbeddedMeters
from webops_host.errors import BadValue, CommandFailed
from webops_host.layout import Layout
from webops_host.names import DeploymentName

NAME = DeploymentName("my-shop")
SERVER = postgres.Server.parse("postgres://admin:adm1n@db.example.com:5433/postgres?sslmode=require")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "sites")


def test_each_deployment_has_a_file_that_only_we_may_read(layout: Layout):
    databases = EmbeddedDatabases(layout)
    url = databases.ensure(NAME)
    file = layout.data(NAME) / "db.sqlite3"
    assert url == f"sqlite:///{file}"
    assert databases.ensure(NAME) == url
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert databases.size(NAME) > 0


def test_a_reader_does_not_wait_for_a_writer(layout: Layout):
    EmbeddedDatabases(layout).ensure(NAME)
    connection = sqlite3.connect(layout.data(NAME) / "db.sqlite3")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_what_is_in_it_survives_asking_again_and_goes_when_dropped(layout: Layout):
    databases = EmbeddedDatabases(layout)
    databases.ensure(NAME)
    connection = sqlite3.connect(layout.data(NAME) / "db.sqlite3")
    with connection:
        connection.execute("CREATE TABLE kept (x)")
    connection.close()
    databases.ensure(NAME)
    connection = sqlite3.connect(layout.data(NAME) / "db.sqlite3")
    assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    connection.close()
    databases.drop(NAME)
    databases.drop(NAME)
    assert databases.size(NAME) == 0
    assert list(layout.data(NAME).iterdir()) == []


def test_db_04_names_in_the_server_are_made_from_the_deployments_name_alone():
    assert postgres.identifier(NAME) == "wo_my_shop"
    statements = postgres.ensure(SERVER, NAME, "a1b2").stdin.decode()
    assert "\\set own wo_my_shop\n" in statements
    assert 'REVOKE ALL ON DATABASE :"own" FROM PUBLIC' in statements


def test_sec_01_no_database_password_is_among_the_words_or_printed():
    command = postgres.ensure(SERVER, NAME, "a1b2")
    shown = " ".join(command.argv) + str(command) + repr(command)
    assert "a1b2" not in shown
    assert "adm1n" not in shown + repr(SERVER)
    assert command.env["PGPASSWORD"] == "adm1n"
    assert {"a1b2", "adm1n"} <= command.hide


@pytest.mark.parametrize("password", ["x'; DROP ROLE y; --", "a b", "ä", ""])
def test_db_04_a_password_that_would_need_quoting_is_refused(password: str):
    with pytest.raises(BadValue):
        postgres.ensure(SERVER, NAME, password)


def test_a_deployment_is_given_its_own_url():
    assert SERVER.url_for(NAME, "pw") == "postgres://wo_my_shop:pw@db.example.com:5433/wo_my_shop?sslmode=require"
    local = postgres.Server.parse("postgres://admin@/postgres?host=/run/postgresql")
    assert local.url_for(NAME, "pw") == "postgres://wo_my_shop:pw@/wo_my_shop?host=%2Frun%2Fpostgresql&port=5432"


@pytest.mark.parametrize("url", ["mysql://a@b/c", "postgres://", "postgres://a@h:x/y", "postgres://u@/d?host=-h"])
def test_what_is_no_server_is_refused(url: str):
    with pytest.raises(BadValue):
        postgres.Server.parse(url)


@pytest.mark.skipif(not Path("/usr/bin/psql").exists(), reason="psql is not installed")
def test_a_server_that_does_not_answer_is_said_to_be_that(layout: Layout):
    databases = EmbeddedDatabases(layout, "postgres://admin:adm1n@127.0.0.1:1/postgres")
    with pytest.raises(CommandFailed) as caught:
        databases.ensure(NAME)
    assert "PostgreSQL" in caught.value.message
    assert "adm1n" not in f"{caught.value} {caught.value.hint} {caught.value.facts}"
    kept = layout.state / "databases" / NAME
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_room_is_measured_by_part_and_shared_files_once(layout: Layout):
    meters = EmbeddedMeters(layout)
    assert meters.space(NAME) == {"mirror": 0, "releases": 0, "environments": 0, "shared": 0}
    source, public = layout.source(NAME, 1), layout.public(NAME, 1)
    source.mkdir(parents=True)
    public.mkdir()
    (source / "index.html").write_bytes(b"x" * 1000)
    os.link(source / "index.html", public / "index.html")
    layout.media(NAME).mkdir(parents=True)
    (layout.media(NAME) / "photo").write_bytes(b"x" * 70)
    (layout.media(NAME) / "link").symlink_to("/")
    space = meters.space(NAME)
    assert (space["releases"], space["shared"]) == (1000, 71)
    assert 0 < meters.disk().free <= meters.disk().total
