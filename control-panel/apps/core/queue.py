"""The seam to whatever works in the background: rows are the truth, this only rings the doorbell.

On the embedded default the doorbell is a datagram to the local worker's socket; a worker that misses it finds the row
at its next look, a second later.
"""

from __future__ import annotations

import socket
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.db import transaction

from apps.core.clock import now
from webops_host.layout import Layout

HEARD = "webops:worker-heard"


def doorbell() -> Path:
    """Where the local worker listens."""
    return Layout(settings.ENV.install_path).run / "worker.sock"


def ring() -> None:
    """Wake the worker once this transaction has committed. Ringing twice is harmless; nobody listening is fine."""
    transaction.on_commit(ring_now)


def ring_now() -> None:
    """Wake the worker at once."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell:
        bell.setblocking(False)
        try:
            bell.sendto(b"!", str(doorbell()))
        except OSError:
            return  # no worker is listening now: it will find the row when it starts


def beat(owner: str) -> None:
    """A worker says that it lives; it does so every quarter of a minute."""
    cache.set(HEARD, (now(), owner), timeout=24 * 3600)


def worker_seen() -> datetime | None:
    """When a worker was last heard of, or None within the last day."""
    heard = cache.get(HEARD)
    return heard[0] if heard else None
