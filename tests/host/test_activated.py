"""A daemon on a socket of systemd's: who may ask for what, and when it leaves."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.machine import until

from webops_host.daemon import activated
from webops_host.daemon.answers import KEPT as answers_kept
from webops_host.daemon.answers import Answers
from webops_host.daemon.client import HostClient
from webops_host.daemon.server import Server
from webops_host.errors import Forbidden, HostError
from webops_host.fake import FakeHost
from webops_host.fences import Fences
from webops_host.linux.people import People, Registry, user_of
from webops_host.linux.ports import Ports
from webops_host.linux.uids import FIRST_UID, UIDS
from webops_host.names import DeploymentName
from webops_host.operations import OPERATIONS

USERS = {"webops": 901, "webops-worker": 902}
BLOG = DeploymentName("blog")


def test_priv_01_the_panel_looks_the_worker_does_all_else_and_strangers_are_not_heard() -> None:
    decide = activated.policy(USERS.get)
    worker, panel, root = decide(902), decide(901), decide(0)
    assert worker is not None
    assert panel is not None
    assert root is not None
    assert {name for name, op in OPERATIONS.items() if worker(op)} == set(OPERATIONS)
    looks = {name for name, op in OPERATIONS.items() if not op.changes}
    assert {name for name, op in OPERATIONS.items() if panel(op)} == looks
    assert {name for name, op in OPERATIONS.items() if root(op)} == looks
    assert decide(33) is None
    assert decide(20010) is None


def test_users_that_are_not_there_give_nobody_anything() -> None:
    decide = activated.policy(lambda user: None)
    assert decide(901) is None
    assert decide(902) is None


@pytest.fixture
def served(tmp_path: Path):
    path = tmp_path / "hostd.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def only_looks(uid: int):
        return (lambda operation: not operation.changes) if uid == os.getuid() else None

    server = Server(FakeHost(), Path("/nonexistent"), Fences(), only_looks)
    server.serve(listener)
    yield server, HostClient(path), path
    server.stop()


def test_what_a_caller_may_not_ask_for_is_refused_and_counted(served) -> None:
    server, client, _ = served
    assert client.describe()["kind"] == "fake"
    with pytest.raises(Forbidden, match=r"accounts\.ensure"):
        client.accounts.ensure(BLOG)
    assert server.refused["policy"] == 1


def test_a_daemon_leaves_when_nobody_speaks_and_then_hears_nobody(served) -> None:
    server, client, path = served
    client.describe()
    assert not server.leave_if_idle(3600)
    until(lambda: server.leave_if_idle(0))
    with socket.socket(socket.AF_UNIX) as late:
        late.settimeout(0.3)
        late.connect(str(path))  # waits for the next daemon on the same socket
        with pytest.raises(TimeoutError):
            late.recv(1)


def test_without_a_socket_that_was_handed_over_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_PID", raising=False)
    with pytest.raises(HostError, match="No socket"):
        activated.handed_over()


def test_user_numbers_are_not_given_again_at_once() -> None:
    registry = Registry().with_user(BLOG)
    assert registry.users[BLOG] == FIRST_UID
    registry = registry.without(BLOG).with_user(DeploymentName("shop"))
    assert registry.users[DeploymentName("shop")] == FIRST_UID + 1


def test_after_the_last_number_it_begins_anew() -> None:
    registry = Registry({BLOG: FIRST_UID}, last=UIDS[1]).with_user(DeploymentName("shop"))
    assert registry.users[DeploymentName("shop")] == FIRST_UID + 1


def test_a_users_name_fits_and_differs() -> None:
    long, longer = DeploymentName("a" * 30), DeploymentName("a" * 31)
    assert user_of(BLOG) == "wo-blog"
    assert len({user_of(long), user_of(longer)}) == 2
    assert all(len(user_of(name)) <= 32 for name in (long, longer))


def test_priv_03_a_deployment_that_is_not_registered_has_no_user(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="no deployment blog"):
        People(tmp_path / "registry.json").user(BLOG)


def test_a_port_stays_with_its_owner_and_is_used_again_by_it(tmp_path: Path) -> None:
    told: list[int] = []
    ports = Ports(tmp_path / "ports.json", lambda: told.append(1))
    first = ports.reserve(20010, [])
    assert ports.reserve(20010, []) == first
    second = ports.reserve(20010, [first])
    other = ports.reserve(20011, [])
    assert len({first, second, other}) == 3
    assert len(told) == 3
    ports.forget(20010)
    ports.forget(20010)
    assert ports.reserve(20012, []) == first


def test_priv_04_an_answer_outlives_the_daemon_that_gave_it(tmp_path: Path) -> None:
    done: list[int] = []

    def work() -> bytes:
        done.append(1)
        return b"answer"

    for _ in range(2):
        with closing(Answers(tmp_path / "answers.sqlite3")) as answers:
            assert answers.once("id-000001", b"line", work) == b"answer"
    assert len(done) == 1
    with closing(Answers(tmp_path / "answers.sqlite3")) as answers:
        assert b"bad_value" in answers.once("id-000001", b"another line", work)


def test_old_answers_make_room(tmp_path: Path) -> None:
    with closing(Answers(tmp_path / "answers.sqlite3")) as answers:
        for number in range(answers_kept + 5):
            answers.once(f"id-{number:06d}", b"line", lambda: b"first")
    with closing(Answers(tmp_path / "answers.sqlite3")) as again:
        assert again.once("id-000000", b"line", lambda: b"second") == b"second"
        assert again.once("id-000010", b"line", lambda: b"second") == b"first"
