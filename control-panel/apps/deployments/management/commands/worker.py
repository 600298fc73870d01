"""`manage.py worker`: the local worker of the embedded default."""

from __future__ import annotations

import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.deployments.worker import Worker


class Command(BaseCommand):
    help = "Work on releases until stopped."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        worker = Worker(concurrency=settings.ENV.concurrency)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: worker.stop())
        self.stdout.write(f"worker {worker.owner} is ready")
        self.stdout.flush()
        worker.run()
