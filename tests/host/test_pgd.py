"""pgd and hostd as programs: what they are made of, and how they come and go."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.machine import BLOG, until

from webops_host import runner
from webops_host.daemon import activated
from webops_host.daemon.client import HostClient
from webops_host.errors import HostError, NotFound, NotSupported, Stale
from webops_host.fake import FakeHost
from webops_host.linux import hostd, pgd, platform, postgres_prepare
from webops_host.linux.postgres_cluster import Cluster


@pytest.fixture
def handed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A socket as systemd hands it over, and signals as they were afterwards."""
    path = tmp_path / "d.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    monkeypatch.setattr(activated, "FIRST_FD", listener.detach())
    monkeypatch.setattr(activated, "LOOK", 0.005)
    monkeypatch.setattr(activated, "policy", lambda: lambda uid: lambda operation: operation.name != "accounts.seal")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    before = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    yield path
    for number, handler in before:
        signal.signal(number, handler)


def meanwhile(path: Path, then: int | None = None) -> tuple[threading.Thread, list[object]]:
    """Ask the daemon that is about to start; afterwards send this process a signal."""
    said: list[object] = []

    def ask() -> None:
        said.append(HostClient(path).describe()["kind"])
        for _ in range(21):
            with pytest.raises(HostError):
                HostClient(path).accounts.seal(BLOG, 1)
        if then is not None:
            os.kill(os.getpid(), then)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, said


def test_a_daemon_leaves_by_itself_when_nobody_asks(handed: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(activated, "PATIENCE", 1.0)
    thread, said = meanwhile(handed)
    assert activated.run(FakeHost, tmp_path / "fences.json", tmp_path / "answers.sqlite3", {}) == 0
    thread.join(5)
    assert said == ["fake"]


class Busy(FakeHost):
    """Something goes on that nobody asks about, for three looks."""

    looks = 0

    @property
    def is_busy(self) -> bool:
        self.looks += 1
        return self.looks <= 3


def test_a_daemon_stays_while_something_goes_on_that_nobody_asks_about(handed: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(activated, "PATIENCE", 0.0)
    monkeypatch.setattr(activated, "LOOK", 0.01)
    host = Busy()
    assert activated.run(lambda: host, tmp_path / "fences.json") == 0
    assert host.looks == 4


def test_priv_09_a_daemon_that_is_told_to_stop_stops_and_has_told_of_refusals(handed: Path, tmp_path: Path) -> None:
    thread, said = meanwhile(handed, signal.SIGTERM)
    assert activated.run(FakeHost, tmp_path / "fences.json", environ={"RUNTIME_DIRECTORY": str(tmp_path)}) == 0
    thread.join(5)
    assert said == ["fake"]
    told = json.loads((tmp_path / activated.ALARM).read_text())
    assert (told["uid"], "accounts.seal" in told["reason"]) == (os.getuid(), True)


def test_a_daemon_without_what_it_needs_says_so(handed: Path, tmp_path: Path, capsys) -> None:
    def make() -> FakeHost:
        raise NotFound("PostgreSQL was not prepared.", hint="Run set-up again.")

    assert activated.run(make, tmp_path / "fences.json") == 1
    assert "Run set-up again." in capsys.readouterr().err


def test_only_users_that_are_there_are_known() -> None:
    assert activated._uid_of("root") == 0
    assert activated._uid_of("nobody-of-this-name") is None


def test_hostd_without_settings_says_what_to_do(handed: Path, monkeypatch, capsys) -> None:
    before = os.umask(0o022)
    monkeypatch.setattr(platform, "FILE", Path("/nonexistent/host.toml"))
    monkeypatch.setattr(platform.read, "__defaults__", (Path("/nonexistent/host.toml"),))
    try:
        assert hostd.main() == 1
        assert os.umask(0o022) == 0o077
    finally:
        os.umask(before)
    assert "host.toml" in capsys.readouterr().err


# --- pgd -------------------------------------------------------------------------------------------------------


def test_pgd_knows_databases_alone() -> None:
    host = pgd.DatabaseHost(FakeHost().databases)
    assert host.describe() == {"kind": "databases"}
    host.fenced(BLOG, 3).databases.ensure(BLOG)
    assert host.explain(BLOG) == {"database": "4096 bytes"}
    with pytest.raises(Stale):
        host.fenced(BLOG, 2).databases.ensure(BLOG)
    with pytest.raises(NotSupported):
        host.accounts.ensure(BLOG)
    assert not host.is_busy
    host.close()


def test_pgd_is_made_of_the_cluster_that_was_prepared_and_settles_what_a_crash_left(tmp_path, monkeypatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(runner, "run", lambda command, *_, **__: asked.append(command) or runner.Result(0, ""))
    with pytest.raises(NotFound):
        pgd.make(tmp_path, tmp_path / "dumps")
    (tmp_path / postgres_prepare.RECORD).write_bytes(postgres_prepare.record(Cluster(tmp_path)))
    assert pgd.make(tmp_path, tmp_path / "dumps").describe() == {"kind": "databases"}
    assert len(asked) == 1


def test_pgd_answers_on_the_socket_that_it_is_handed(handed: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(pgd, "make", FakeHost)
    monkeypatch.setattr(postgres_prepare, "STATE", handed.parent)
    thread, said = meanwhile(handed, signal.SIGTERM)
    assert pgd.main([]) == 0
    thread.join(5)
    assert until(lambda: said) == ["fake"]


def test_pgd_prepares_and_says_so(monkeypatch, capsys) -> None:
    class Found:
        version, name = 15, "main"

    monkeypatch.setattr(postgres_prepare, "prepare", Found)
    assert pgd.main(["--prepare"]) == 0
    assert "PostgreSQL 15/main is prepared." in capsys.readouterr().out


def test_pgd_that_can_not_prepare_says_why(monkeypatch, capsys) -> None:
    def prepare() -> None:
        raise NotFound("There is no PostgreSQL.", hint="Install it.")

    monkeypatch.setattr(postgres_prepare, "prepare", prepare)
    assert pgd.main(["--prepare"]) == 1
    assert "There is no PostgreSQL. Install it." in capsys.readouterr().err
