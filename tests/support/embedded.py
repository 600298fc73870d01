"""The real embedded host as its own process, for as long as a test needs it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.waiting import until

from webops_host.daemon.client import HostClient
from webops_host.errors import HostError
from webops_host.layout import Layout

KEPT = ("PATH", "LANG", "SSL_CERT_FILE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "HOME")


def environment(**more: str) -> dict[str, str]:
    """A small environment for child processes: what installers need, and nothing of the test run."""
    passed = {
        name: value for name, value in os.environ.items() if name in KEPT or name.startswith(("UV_", "PIP_", "npm_"))
    }
    return {**passed, **more}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def port_base() -> int:
    """A place with room for a few sites, away from those of other runs."""
    return 20000 + (free_port() % 1000) * 20


def answers(client: HostClient) -> bool:
    try:
        return bool(client.describe())
    except HostError:
        return False


@contextlib.contextmanager
def embedded(root: Path) -> Iterator[HostClient]:
    """Start the daemon on a folder, wait until it answers, and stop it with everything it runs."""
    words = (sys.executable, "-m", "webops_host.embedded", "--root", str(root), "--port-base", str(port_base()))
    with (root / "daemon.log").open("ab") as log:
        daemon = subprocess.Popen(words, env=environment(), stdout=log, stderr=log, start_new_session=True)
    client = HostClient(Layout(root.resolve()).daemon_socket)
    try:
        until(lambda: daemon.poll() is not None or answers(client), "the host's daemon to answer")
        assert daemon.poll() is None, (root / "daemon.log").read_text()
        yield client
    finally:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(40)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
