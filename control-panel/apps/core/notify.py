"""Telling systemd that a program is ready (sd_notify(3)). Without systemd nothing happens."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def ready() -> None:
    """Say that it serves now. Again: nothing new."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, suppress(OSError):
        systemd.setblocking(False)
        systemd.sendto(b"READY=1", "\0" + path[1:] if path.startswith("@") else path)
