"""The seam to whatever works in the background: rows are the truth, this only rings the doorbell.

On the embedded default the doorbell is a datagram to the local worker's socket. With Redis it is a Celery message in
the queue of the host that the row lives on, so that each server's worker hears its own. A worker that misses it finds
the row at its next look, a few seconds later.
"""

from __future__ import annotations

import base64
import json
import logging
import uuid
from datetime import datetime
from functools import partial
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.db import transaction

from apps.core import broker
from apps.core.bells import SocketBell
from apps.core.clock import now
from webops_host.layout import Layout

log = logging.getLogger("webops.queue")
HEARD = "webops:worker-heard"
RING = "deployments.ring"
PING = "worker.ping"


def doorbell() -> Path:
    """Where the local worker of the embedded default listens."""
    return Layout(settings.ENV.install_path).run / "worker.sock"


def name_of(host: str) -> str:
    """The queue of a host's worker."""
    return f"webops.{host}"


def ring(host: str = "", row: int = 0) -> None:
    """Wake the host's worker once this transaction has committed. Twice is harmless; nobody listening is fine."""
    transaction.on_commit(partial(ring_now, host, row))


def ring_now(host: str = "", row: int = 0) -> None:
    """Wake the worker at once. What can not be delivered is only late: the row is there."""
    if not settings.ENV.redis_url:
        return SocketBell(doorbell()).ring()  # nobody there: the worker will find the row when it starts
    try:
        send(RING, row, host=host)
    except broker.BrokerDown as error:
        log.warning("the doorbell can not be rung, the worker will look by itself: %s", error)


def send(task: str, argument: int | str, *, host: str = "") -> None:
    """Put a task with one argument into the queue of a host (this one, when none is named). Raises BrokerDown."""
    queue = name_of(host or settings.ENV.host)
    broker.parse(settings.ENV.redis_url).push(queue, message(task, [argument], queue))


def message(task: str, arguments: list[int | str], queue: str) -> bytes:
    """A call of a task as Celery's second message protocol puts it into Redis."""
    number = str(uuid.uuid4())
    whole = {
        "body": base64.b64encode(json.dumps([arguments, {}, {}]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": task, "id": number, "root_id": number, "ignore_result": True},
        "properties": {
            "correlation_id": number,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return json.dumps(whole).encode()


def is_down() -> bool:
    """Whether the queue can not be reached now. Without Redis there is none that could be down."""
    if not settings.ENV.redis_url:
        return False
    try:
        broker.parse(settings.ENV.redis_url).ping()
    except broker.BrokerDown:
        return True
    return False


def beat(owner: str) -> None:
    """A worker says that it lives; it does so every quarter of a minute."""
    cache.set(_heard(settings.ENV.host), (now(), owner), timeout=24 * 3600)


def worker_seen(host: str = "") -> datetime | None:
    """When a host's worker was last heard of, or None within the last day."""
    heard = cache.get(_heard(host or settings.ENV.host))
    return heard[0] if heard else None


def _heard(host: str) -> str:
    return f"{HEARD}:{host}"
