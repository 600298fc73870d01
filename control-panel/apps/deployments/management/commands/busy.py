"""`manage.py busy`: whether anything runs that a restart of the worker would cut short. An upgrade asks first."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand

from apps.deployments.models import CommandRun, Errand, Release, State, WorkState


class Command(BaseCommand):
    help = "Say what runs now. The status is 1 while anything does, and 0 when nothing does."

    def handle(self, *args: Any, **options: Any) -> None:
        running = [*_running()]
        for line in running:
            self.stdout.write(line)
        if running:
            self.stdout.flush()
            sys.exit(1)
        self.stdout.write("Nothing runs.")


def _running() -> Iterator[str]:
    for release in Release.objects.filter(state=State.RUNNING).select_related("deployment"):
        yield f"release: {release}"
    for errand in Errand.objects.filter(state=WorkState.RUNNING).select_related("deployment"):
        yield f"errand: {errand.kind} of {errand.deployment}"
    for command in CommandRun.objects.filter(state=WorkState.RUNNING).select_related("deployment"):
        yield f"command: {command.number} of {command.deployment}"
