"""PRIV-02 one layer further in: the same messages to what hostd and pgd are on a server, on folders of the test's own.

Programs are not started but looked at: each is one of a table, and no text that somebody else wrote is among its words.
Nothing is written outside of the folders that are the platform's.
"""

from __future__ import annotations

import json
import os
import random
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from tests.host.test_fuzz import FEW, SEED, Conversations, Journal, journal  # noqa: F401 - a fixture
from tests.support import hostile, watched

from webops_host import codec, ports
from webops_host.linux import platform
from webops_host.linux.host import LinuxHost
from webops_host.linux.layout import ServerLayout
from webops_host.linux.people import Registry
from webops_host.linux.pgd import DatabaseHost
from webops_host.linux.postgres_cluster import Cluster
from webops_host.linux.postgres_databases import PostgresDatabases
from webops_host.linux.postgres_passwords import Passwords
from webops_host.linux.uids import FIRST_UID
from webops_host.names import DeploymentName
from webops_host.operations import OPERATIONS
from webops_host.shelf import Shelf

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="hostd is root: what it does to owners is NOT looked at")
POSTGRES = Path("/usr/lib/postgresql/15/bin")
PROGRAMS = {
    "/usr/bin/systemctl", "/usr/bin/systemd-run", "/usr/bin/journalctl", "/usr/bin/sync", "/usr/sbin/groupadd",
    "/usr/sbin/useradd", "/usr/sbin/userdel", "/usr/sbin/groupdel", "/usr/sbin/nginx",
    *(str(POSTGRES / name) for name in ("psql", "pg_dump", "pg_restore")),
}  # fmt: skip
WORD = re.compile(r"[\t\x20-\x7e]*")
OF_PGD = [name for name, operation in OPERATIONS.items() if operation.port == "databases"]
OF_HOSTD = [name for name in OPERATIONS if name not in OF_PGD]


def hostd(root: Path) -> ports.Host:
    """With two deployments, of which one has releases."""
    layout = ServerLayout(*(root / part for part in ("srv", "etc", "records", "run", "units", "var")))
    names = [DeploymentName("blog"), DeploymentName("shop")]
    registry = Registry({name: FIRST_UID + number for number, name in enumerate(names)}, FIRST_UID + 1)
    for folder in (
        layout.releases(names[1]),
        layout.state,
        layout.nginx_sites,
        layout.units,
        layout.run,
        layout.variable,
    ):
        folder.mkdir(parents=True, exist_ok=True)
    (layout.state / "registry.json").write_text(json.dumps(codec.dump(registry)))
    for number in (1, 2):
        layout.source(names[0], number).mkdir(parents=True)
        layout.public(names[0], number).mkdir(parents=True)
        layout.marker(names[0], number).touch()
    return LinuxHost(layout, platform.parse({"platform": {"domain": "apps.test"}}))


def pgd(root: Path) -> ports.Host:
    cluster = Cluster(POSTGRES, root / "socket")
    return cast(
        ports.Host, DatabaseHost(PostgresDatabases(cluster, Passwords(root / "passwords"), Shelf(root / "dumps")))
    )


def fuzz(make: Callable[[Path], ports.Host], name: str, count: int, root: Path) -> None:
    dice = random.Random(f"{SEED} {name}")
    talk = Conversations(make(root))
    with watched.machine() as seen:
        for message in hostile.messages(OPERATIONS[name], dice, count):
            answer = talk.ask(message.line)
            talk.judge(message, answer)
            for words in seen.programs:
                assert words[0] in PROGRAMS
                assert all(WORD.fullmatch(word) and hostile.FOREIGN not in word for word in words), words
            seen.programs.clear()
    assert {path for path in seen.changed if not path.startswith(f"{root}/")} <= {os.devnull}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that is written lies in it, files of a moment too."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return tmp_path


@pytest.mark.parametrize("name", OF_HOSTD)
def test_priv_02_hostd_gives_no_program_a_foreign_word(name: str, root: Path, journal: Journal) -> None:  # noqa: F811
    fuzz(hostd, name, FEW // 2, root)


@pytest.mark.parametrize("name", OF_PGD)
def test_priv_02_pgd_gives_no_program_a_foreign_word(name: str, root: Path, journal: Journal) -> None:  # noqa: F811
    fuzz(pgd, name, FEW // 2, root)
