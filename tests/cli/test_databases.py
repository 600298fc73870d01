"""Databases from the command line, with the test as the worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.api import stories
from tests.support.inline import Inline

from apps.deployments.models import Deployment
from apps.deployments.worker import Worker
from webops_host.errors import CommandFailed
from webops_host.names import DeploymentName

BLOG = DeploymentName("blog")


@pytest.fixture
def webops(webops, blog: Deployment, host):
    """Whenever somebody waits for what was asked, the worker does it."""
    stories.has_database(blog, host)

    def work(request) -> None:
        if "/errands/" in request.url.path:
            Worker(connect=lambda row: host, executor=Inline()).work_once()

    webops.panel.before = work
    return webops


def test_one_database_is_shown_with_its_dumps(webops):
    shown = webops("databases", "show", "blog")
    assert shown.exit_code == 0
    assert "postgres" in webops("databases").output
    for text in ("blog: postgres 15.0", "1 of 20 connections", stories.DUMP):
        assert text in shown.output
    assert json.loads(webops("databases", "dumps", "blog", "--json").stdout)[0]["rows"] == 3


def test_a_dump_is_made_and_brought_here(webops, host, tmp_path: Path):
    made = webops("databases", "dump", "blog")
    assert (made.exit_code, "3 rows in 1 table" in made.output) == (0, True)
    file = tmp_path / "here.dump"
    assert webops("databases", "download", "blog", stories.DUMP, "--output", str(file)).exit_code == 0
    assert file.read_bytes() == b"PGDMP3"
    again = webops("databases", "download", "blog", stories.DUMP, "--output", str(file))
    assert (again.exit_code, "is there already" in again.output) == (1, True)
    missing = webops("databases", "download", "blog", "20990101T000000Z-0000", "-o", str(tmp_path / "none"))
    assert missing.exit_code == 4
    assert not (tmp_path / "none").exists()


def test_a_file_is_taken_there_and_restored_and_taken_back(webops, host, tmp_path: Path):
    file = tmp_path / "mine.dump"
    file.write_bytes(b"PGDMP7")
    done = json.loads(webops("databases", "upload", "blog", str(file), "--json").stdout)
    assert (done["kind"], done["state"]) == ("take over", "done")
    dump = next(dump for dump in host.databases.dumps(BLOG) if dump.rows == 7)
    assert webops("databases", "restore", "blog", dump.id).exit_code == 0
    assert host.databases_here.all[BLOG].rows == 7
    assert "is kept" in webops("databases", "show", "blog").output
    assert webops("databases", "revert", "blog").exit_code == 0
    assert host.databases_here.all[BLOG].rows == 3


def test_what_the_host_refuses_is_a_failure_with_its_reason(webops, host):
    host.breaks["databases.dump"] = CommandFailed("The dump is damaged.", hint="Make a new dump.")
    failed = webops("databases", "dump", "blog")
    assert failed.exit_code == 1
    assert "The dump is damaged." in failed.output
    assert "Next: Make a new dump." in failed.output


def test_a_clone_and_a_new_password(webops, blog: Deployment, host):
    Deployment.objects.create(team=blog.team, host=blog.host, name="staging")
    assert "3 rows" in webops("databases", "clone", "staging", "blog").output
    assert "nothing ran with the old one" in webops("databases", "rotate", "blog").output


def test_only_who_may_remove_removes(webops, terminal, owner, host):
    assert webops("databases", "discard", "blog", stories.DUMP).exit_code == 3
    assert webops("databases", "confirm", "blog").exit_code == 3
    boss = terminal.as_(owner)
    boss.panel.before = webops.panel.before
    assert boss("databases", "discard", "blog", stories.DUMP).exit_code == 0
    assert host.databases.dumps(BLOG) == ()
