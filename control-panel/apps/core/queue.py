"""The seam to whatever works in the background: rows are the truth, this only rings the doorbell.

On the embedded default the doorbell is a datagram to the local worker's socket; a worker that misses it finds the row
at its next look, a second later.
"""

from __future__ import annotations

import socket
from pathlib import Path

from django.conf import settings
from django.db import transaction

from webops_host.layout import Layout


def doorbell() -> Path:
    """Where the local worker listens."""
    return Layout(settings.ENV.install_path).run / "worker.sock"


def ring() -> None:
    """Wake the worker once this transaction has committed. Ringing twice is harmless; nobody listening is fine."""
    transaction.on_commit(_send)


def _send() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.setblocking(False)
        try:
            bell.sendto(b"!", str(doorbell()))
        except OSError:
            return  # no worker is listening now: it will find the row when it starts
