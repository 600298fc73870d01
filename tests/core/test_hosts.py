"""From a row to a machine: on a server two daemons behind one bundle of ports."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.core import hosts
from apps.core.models import Host
from webops_host.daemon.server import Server
from webops_host.errors import HostUnreachable, Stale
from webops_host.fake import FakeHost
from webops_host.fences import Fences
from webops_host.names import DeploymentName

BLOG = DeploymentName("blog")


@pytest.fixture
def daemons(tmp_path_factory):
    """hostd and pgd, each over a machine of its own, so that a call shows which it reached."""
    folder: Path = tmp_path_factory.mktemp("s")
    machines = {"hostd": FakeHost(), "pgd": FakeHost()}
    servers = [
        Server(machine, folder / f"{name}.sock", Fences(folder / name / "fences.json"))
        for name, machine in machines.items()
    ]
    for server in servers:
        server.start()
    yield folder, machines
    for server in servers:
        server.stop()


def test_databases_are_asked_of_the_other_daemon(daemons):
    folder, machines = daemons
    host = hosts.of(Host(name="local", kind="linux", socket=str(folder / "hostd.sock")))
    host.accounts.ensure(BLOG)
    host.databases.ensure(BLOG)
    assert [act.split()[0] for act in machines["hostd"].did] == ["accounts.ensure"]
    assert [act.split()[0] for act in machines["pgd"].did] == ["databases.ensure"]


def test_a_fence_holds_at_both(daemons):
    folder, _ = daemons
    host = hosts.of(Host(name="local", kind="linux", socket=str(folder / "hostd.sock")))
    newer, older = host.fenced(BLOG, 7), host.fenced(BLOG, 6)
    newer.accounts.ensure(BLOG)
    newer.databases.ensure(BLOG)
    with pytest.raises(Stale):
        older.accounts.ensure(BLOG)
    with pytest.raises(Stale):
        older.databases.ensure(BLOG)


def test_without_a_socket_in_the_row_a_server_has_its_usual_one():
    host = hosts.of(Host(name="local", kind="linux"))
    assert host._path == Path("/run/webops/hostd.sock")  # type: ignore[attr-defined]
    with pytest.raises(HostUnreachable):
        hosts.of(Host(name="local", kind="linux", socket="/nowhere/hostd.sock")).describe()
