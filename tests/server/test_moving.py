"""The first server is lost. On an empty one everything comes back from the panel's backup and the databases' dumps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.server.frozen import Frozen
from tests.server.installed import DECISIONS, Installed
from tests.server.lab.lab import Lab
from tests.server.test_postgres import APP, over
from tests.support.git_server import GitServer

pytestmark = pytest.mark.server

BACKUP = "/var/tmp/panel.tar.gz"
SITE_FILE = "/etc/webops/nginx/sites/hello.conf"


@dataclass
class Kept:
    """What was kept elsewhere of a server that is gone."""

    backup: bytes
    dump: bytes


@pytest.fixture(scope="module")
def kept(installed: Installed, git_host: GitServer) -> Kept:
    installed.allow(git_host)
    git_host.repository("team/hello", {"index.html": "hello"})
    git_host.repository("team/shop", APP)
    installed.create("hello", git_host.url("team/hello"))
    installed.create("shop", git_host.url("team/shop"), timeout=600, variables={"SECRET_WORD": "kept"})
    installed.page("shop", "/?add=7")
    server = installed.server
    server.run(("webops-admin", "rotate-keys", "--sessions"), timeout=300)  # the other server has other keys
    over(installed, installed.call("POST", "databases/shop/dumps"))
    number = installed.call("GET", "databases/shop")["dumps"][0]["id"]
    dump = installed.api.get(f"databases/shop/dumps/{number}").content
    server.run(f"echo 'of_another_nginx on;' >> {SITE_FILE}")
    server.run(("webops-admin", "backup", BACKUP), timeout=300)
    found = Kept(Path(f"{server.disk.root}{BACKUP}").read_bytes(), dump)
    server.stop()
    return found


@pytest.fixture(scope="module")
def other(kept: Kept, lab: Lab, frozen: Frozen, git_host: GitServer) -> Iterator[Installed]:
    """Another server on which nothing but the platform was installed."""
    made = frozen.boot(lab)
    yield made
    made.close()
    made.server.close()


def test_rel_16_a_backup_comes_back_on_an_empty_server(other: Installed, kept: Kept, git_host: GitServer) -> None:
    server = other.server
    server.finds(git_host.name, git_host.address)
    server.write(BACKUP, kept.backup, 0o600)
    said = server.run(("webops-admin", "restore", "--yes", BACKUP), timeout=600).stdout
    assert "Not on this server yet: hello, shop." in said
    decisions = server.read(DECISIONS)
    assert f'addresses = ["{server.address}"' in decisions, "where names have to lead now"
    assert git_host.name in decisions
    other.sign_in()
    for name in ("hello", "shop"):
        assert other.call("GET", f"deployments/{name}")["reason"].startswith("Its files are not on this server.")
        release = other.deploy(name, timeout=600)
        assert release["state"] == "live", (release, other.log(name, release["number"]))
    assert other.page("hello").text == "hello"
    assert other.page("shop").text.endswith(" 0")
    assert "kept" in str(other.call("GET", "deployments/shop/variables?values=true"))


def test_rel_16_a_dump_from_the_server_that_is_gone_brings_the_rows_back(other: Installed, kept: Kept) -> None:
    over(other, other.api.post("databases/shop/uploads", content=kept.dump).json())
    dump = other.call("GET", "databases/shop")["dumps"][0]
    over(other, other.call("POST", "databases/shop/restore", dump=dump["id"]))
    assert other.page("shop").text.endswith(" 7")
