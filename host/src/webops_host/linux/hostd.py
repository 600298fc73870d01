"""hostd: the only part of WebOps that is root. It listens on one socket, does what is on the list, and leaves."""

from __future__ import annotations

import os

from webops_host.daemon import activated
from webops_host.linux import platform
from webops_host.linux.host import LinuxHost
from webops_host.linux.layout import ServerLayout


def main() -> int:
    """Serve on the socket that systemd hands over, until nobody has asked for a while."""
    os.umask(0o077)
    layout = ServerLayout()
    state = layout.state
    return activated.run(lambda: LinuxHost(layout, platform.read()), state / "fences.json", state / "answers.sqlite3")
