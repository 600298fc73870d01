"""What is asked of the worker and is no release: how it stands, and waiting for its end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from ninja import Query

from apps.api import lookup
from apps.api.auth import Request
from apps.api.releases import until
from apps.api.schema import Schema
from apps.core.errors import Refused
from apps.deployments.models import Errand, WorkState

Wait = Annotated[float, Query(ge=0, le=60, description="Seconds to wait for the worker's answer")]


class NotDone(Refused):
    """The host said no, and why."""

    status = 502
    code = "not_done"


class ShownErrand(Schema):
    """`outcome` says in a sentence what came of it, `hint` what to do next when it failed."""

    kind: str
    state: str
    outcome: str
    hint: str
    created_at: datetime
    finished_at: datetime | None


def shown(errand: Errand | None) -> ShownErrand | None:
    if errand is None:
        return None
    names = ("kind", "state", "outcome", "hint", "created_at", "finished_at")
    return ShownErrand(**{name: getattr(errand, name) for name in names})


def wait(request: Request, name: str, errand: Errand | None, seconds: float) -> None:
    """Wait for its end, permission included. Raises NotDone when it failed."""
    if errand is None or not seconds:
        return

    def read() -> Errand:
        lookup.deployment(request.actor, name)
        return Errand.objects.defer("secret").get(pk=errand.pk)

    found = until(read, lambda row: not row.is_open, seconds)
    if found.state == WorkState.FAILED:
        raise NotDone(found.outcome, hint=found.hint)
