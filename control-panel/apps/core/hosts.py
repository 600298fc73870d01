"""From a row to the machine: the port bundle of a host, which tests replace by handing in a fake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from apps.core.models import Host as HostRow
from apps.core.models import HostKind
from webops_host import ports
from webops_host.daemon.client import HostClient
from webops_host.layout import Layout

Connect = Callable[[HostRow], ports.Host]


SERVER_SOCKET = Path("/run/webops/hostd.sock")


def _client(row: HostRow) -> ports.Host:
    if row.kind != HostKind.LINUX:
        return HostClient(Path(row.socket) if row.socket else Layout(settings.ENV.install_path).daemon_socket)
    hostd = Path(row.socket) if row.socket else SERVER_SOCKET
    return HostClient(hostd, elsewhere={"databases": hostd.with_name("pgd.sock")})


class _Directory:
    """Which function turns a host's row into its ports."""

    connect: Connect = staticmethod(_client)


def of(row: HostRow) -> ports.Host:
    """The ports of a host. Cheap: a connection is made by each call, not here."""
    return _Directory.connect(row)


@contextmanager
def using(connect: Connect) -> Iterator[None]:
    """Hand in other hosts for a while, such as a fake one in a test or a dry run."""
    before = _Directory.connect
    _Directory.connect = staticmethod(connect)
    try:
        yield
    finally:
        _Directory.connect = staticmethod(before)
