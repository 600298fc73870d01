"""`manage.py up`: the panel, its worker and the embedded host, until Ctrl-C.

The keeper of the three needs no Django, so it takes this process's place as a small program of its own.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Start the panel, its worker and the embedded host; Ctrl-C stops them."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help="instead of 8800; 0 takes any free one")

    def handle(self, *args: Any, port: int | None, **options: Any) -> None:
        chosen = [] if port is None else ["--port", str(port)]
        os.chdir(settings.BASE_DIR)
        os.execv(sys.executable, [sys.executable, "-m", "apps.core.up", *chosen])  # noqa: S606 - our own words
