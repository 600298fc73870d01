"""What every page knows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.core import queue
from apps.core.clock import now
from apps.core.models import Membership

SILENT = timedelta(seconds=45)


def panel(request: HttpRequest) -> dict[str, Any]:
    """Lazy, so that a page that does not show something does not pay for it."""
    return {
        "production": settings.PRODUCTION,
        "memberships": SimpleLazyObject(lambda: _memberships(request)),
        "worker_silent": SimpleLazyObject(lambda: _worker_is_silent(request)),
        "queue_down": SimpleLazyObject(lambda: hasattr(request, "actor") and queue.is_down()),
    }


def _memberships(request: HttpRequest) -> list[Membership]:
    actor = getattr(request, "actor", None)
    return list(actor.memberships().select_related("team").order_by("team__name")) if actor else []


def _worker_is_silent(request: HttpRequest) -> bool:
    """Whether releases would wait, because no worker has been heard of lately."""
    if not hasattr(request, "actor"):
        return False
    seen = queue.worker_seen()
    return seen is None or now() - seen > SILENT
