"""Copies of each process, and what a deployment may use."""

from __future__ import annotations

from ninja import Router
from pydantic import Field

from apps.api import lookup
from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.api.schema import Schema
from apps.deployments.actions import scaling

router = Router(tags=["processes"])


class ShownProcess(Schema):
    """`workers` are those inside one copy, where gunicorn runs it."""

    kind: str
    copies: int
    workers: int | None


class ShownScale(Schema):
    """As what is live has it. `most` is what the platform gives at most; `release` is the number of the release that a
    change was queued with."""

    processes: list[ShownProcess]
    limits: dict[str, int]
    most: dict[str, int]
    release: int | None = None


class WantedScale(Schema):
    """What is left out stays."""

    copies: dict[str, int] = Field(default_factory=dict)
    workers: int | None = None
    limits: dict[str, int] = Field(default_factory=dict, description="memory_mib, cpu_percent, tasks")


@router.get("/{name}/scale", response={200: ShownScale, **PROBLEMS}, operation_id="show_scale")
def show(request: Request, name: str) -> ShownScale:
    return _shown(scaling.standing(lookup.whole(request.actor, name)), None)


@router.patch("/{name}/scale", response={200: ShownScale, **PROBLEMS}, operation_id="scale")
def scale(request: Request, name: str, wanted: WantedScale) -> ShownScale:
    """Change it with a release of the commit that is live."""
    deployment = lookup.deployment(request.actor, name)
    made = scaling.scale(request.actor, deployment, copies=wanted.copies, workers=wanted.workers, limits=wanted.limits)
    return _shown(scaling.standing(deployment), made.number if made is not None else None)


def _shown(standing: scaling.Standing, release: int | None) -> ShownScale:
    return ShownScale(
        processes=[ShownProcess(kind=one.kind, copies=one.copies, workers=one.workers) for one in standing.processes],
        limits=dict(standing.limits),
        most=dict(standing.most),
        release=release,
    )
