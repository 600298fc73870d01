"""Celery's part of a worker: it hears the host's queue and rings the bell of the engine beside it.

The engine works on without the queue; its looks at the rows are then all there is. A consumer that is alive but hears
nothing any more would stay like that, so a ping goes round through the queue, and when none came back for a while
although Redis took them, the process ends and systemd starts it anew.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import Any

from celery import Celery
from celery.exceptions import WorkerShutdown

from apps.core import notify, queue
from apps.core.bells import Bell
from apps.core.broker import BrokerDown
from apps.deployments.worker import Worker

log = logging.getLogger("webops.worker")


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between pings, and without one coming back until the process counts as deaf."""

    ping: float = 30.0
    deaf: float = 90.0


class Consumer:
    """Runs the engine in a thread and Celery in the main one, until a signal, or until one of them ends."""

    def __init__(self, app: Celery, engine: Worker, bell: Bell, *, host: str, pace: Pace | None = None) -> None:
        self._engine, self._bell, self._host, self._pace = engine, bell, host, pace or Pace()
        self._heard_at = time.monotonic()
        self._over = threading.Event()
        self._failed = False
        app.task(name=queue.RING)(self._on_ring)
        app.task(name=queue.PING)(self._on_ping)
        self._celery: Any = app.WorkController(
            hostname=f"worker@{host}",
            queues=[queue.name_of(host)],
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )

    def run(self) -> int:
        """Work until stopped; the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        threads = [threading.Thread(target=work, name=work.__name__) for work in (self._run_engine, self._watch)]
        for thread in threads:
            thread.start()
        self._celery.start()
        asked = self._over.is_set()
        self._end()
        for thread in threads:
            thread.join()
        return 1 if self._failed or not asked else 0

    def _on_ring(self, row: int) -> None:
        """Something waits; which row it is the engine asks the rows themselves."""
        self._bell.ring()

    def _on_ping(self, sent: str) -> None:
        self._heard_at = time.monotonic()

    def _stop(self, *_: object) -> None:
        """A signal: nothing new begins, and Celery's loop is left."""
        self._end()
        raise WorkerShutdown(0)

    def _end(self) -> None:
        self._over.set()
        self._engine.stop()

    def _run_engine(self) -> None:
        try:
            notify.ready()
            self._engine.run()
        finally:
            self._leave(failed=not self._over.is_set())

    def _watch(self) -> None:
        """Send pings round, and leave when none comes back any more."""
        while not self._over.wait(self._pace.ping):
            try:
                queue.send(queue.PING, "", host=self._host)
            except BrokerDown:
                self._heard_at = time.monotonic()  # nothing can come back: that is no fault of the consumer
                continue
            if time.monotonic() - self._heard_at > self._pace.deaf and self._engine.is_idle:
                log.error("nothing came through the queue for %.0f s: starting anew", self._pace.deaf)
                self._leave(failed=True)

    def _leave(self, *, failed: bool) -> None:
        """Have the main thread end, from another one."""
        self._failed = self._failed or failed
        if not self._over.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
