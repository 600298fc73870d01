"""Sites of a server whose visitors are waited for: real sockets, as systemd holds them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.host.test_linux_sites import BLOG, Server, app
from tests.support.machine import write

from webops_host import programs
from webops_host.linux import connections, units
from webops_host.names import ProcessKind
from webops_host.values import UnitRef


@pytest.fixture
def server(tmp_path) -> Server:
    return Server(tmp_path)


@pytest.fixture
def held(tmp_path, server) -> Iterator[socket.socket]:
    """A socket as systemd holds it for a unit."""
    here = Path("/tmp") / f"wd-{os.getpid()}"
    server.layout = replace(server.layout, sockets=here)
    server.sites = server.again()
    path = server.layout.socket(UnitRef(BLOG, 1, ProcessKind("web")))
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as stack:
        stack.callback(here.rmdir)
        stack.callback(path.parent.rmdir)
        stack.callback(path.unlink)
        listener.bind(str(path))
        listener.listen(8)
        yield listener


def test_a_unit_is_drained_when_nobody_is_connected(server, held):
    sites, ref = server.sites, UnitRef(BLOG, 1, ProcessKind("web"))
    path = server.layout.socket(ref)
    assert sites.drain(ref, 1.0) is True
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.connect(str(path))
        assert connections.count(path) == 1
        assert sites.drain(ref, 0.06) is False
        taken, _ = held.accept()
        with taken:
            assert sites.drain(ref, 0.06) is False
            threading.Timer(0.02, lambda: (waiting.close(), taken.close())).start()
            assert sites.drain(ref, 5.0) is True


def test_a_site_is_published_when_no_connection_is_kept_to_the_release_before(server, held):
    ref = UnitRef(BLOG, 1, ProcessKind("web"))
    write(server.layout.units, {f"{units.name_of(ref)}.service": f'ExecStart="{programs.KEEPS}"\n'})
    server.sites.publish(app())
    with socket.socket(socket.AF_UNIX) as kept, socket.socket(socket.AF_UNIX) as slow:
        kept.connect(str(server.layout.socket(ref)))
        threading.Timer(0.1, kept.close).start()
        server.sites.publish(app(2))
        assert kept.fileno() == -1
        server.sites.publish(app())
        slow.connect(str(server.layout.socket(ref)))
        server.sites.publish(app(3))  # what takes longer does not hold it up
        assert server.links()[0] == "3-web-1.sock"
