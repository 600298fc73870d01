"""`manage.py worker`: the worker of this host. With Redis it hears the queue, otherwise a socket of this computer."""

from __future__ import annotations

import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.core import queue
from apps.core.bells import FlagBell, SocketBell
from apps.deployments.worker import LOOK_SECONDS_WITH_QUEUE, Worker


class Command(BaseCommand):
    help = "Work on releases until stopped."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ENV.redis_url:
            sys.exit(self._with_celery())
        bell = SocketBell(queue.doorbell())
        worker = Worker(concurrency=settings.ENV.concurrency, bell=bell)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        self._say(worker)
        worker.run()

    def _with_celery(self) -> int:
        from apps.deployments.consumer import Consumer  # Celery: a second and 30 MiB, only where there is a queue
        from config.celery import app

        bell = FlagBell()
        worker = Worker(concurrency=settings.ENV.concurrency, bell=bell, look_seconds=LOOK_SECONDS_WITH_QUEUE)
        consumer = Consumer(app, worker, bell, host=settings.ENV.host)
        self._say(worker)
        return consumer.run()

    def _say(self, worker: Worker) -> None:
        self.stdout.write(f"worker {worker.owner} is ready")
        self.stdout.flush()
