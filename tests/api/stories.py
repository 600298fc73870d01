"""What a worker would have left behind: releases that went live or failed."""

from __future__ import annotations

import json
from typing import Any

from tests.support.machine import QUIET

from apps.core.clock import now
from apps.databases.models import Database
from apps.deployments.models import (
    Deployment,
    Errand,
    ErrandKind,
    Release,
    ReleaseStep,
    State,
    StepState,
    Wish,
    WorkState,
)
from webops_host.ports import Host

DUMP = "20231114T221300Z-0000"
STATIC_PLAN: dict[str, Any] = {"kind": "static"}


def went_live(deployment: Deployment, *, number: int | None = None, **columns: Any) -> Release:
    """The newest open release (or a new one) is live now; the one before was live."""
    deployment.releases.filter(state=State.LIVE).update(state=State.RETIRED)
    release = deployment.releases.filter(state=State.QUEUED).first()
    if release is None:
        last = deployment.releases.exclude(number=None).first()
        number = number or ((last.number or 0) + 1 if last else 1)
        release = Release(deployment=deployment, number=number, files=number)
    values = {
        "state": State.LIVE,
        "commit": "c" * 40,
        "subject": "Change things",
        "files_kept": True,
        "plan_data": STATIC_PLAN,
        "variables": json.dumps({row.key: row.value for row in deployment.variables.all()}),
        "started_at": now(),
        "live_at": now(),
        "finished_at": now(),
        **columns,
    }
    for name, value in values.items():
        setattr(release, name, value)
    release.save()
    Deployment.objects.filter(pk=deployment.pk).update(wish=Wish.UP, url="http://127.0.0.1:8100", kind="static")
    _steps(release, StepState.DONE)
    return release


def has_database(deployment: Deployment, host: Host) -> Database:
    """It has a database with one dump, and something was asked about it."""
    url = host.databases.ensure(deployment.slug)
    row = Database.objects.create(
        team=deployment.team, host=deployment.host, name=deployment.name, engine="postgres", url=url
    )
    Deployment.objects.filter(pk=deployment.pk).update(database=row)
    host.databases.dump(deployment.slug, QUIET)
    if not Errand.objects.filter(pk=1).exists():
        Errand.objects.create(pk=1, deployment=deployment, kind=ErrandKind.DUMP, state=WorkState.DONE)
    return row


def failed(deployment: Deployment) -> Release:
    """The open release failed, with its cause explained."""
    release = deployment.releases.filter(state=State.QUEUED).get()
    release.state = State.FAILED
    release.failure = "module_missing"
    release.cause = "The module “flask” is not installed."
    release.evidence = ["ModuleNotFoundError: No module named 'flask'"]
    release.hint = "Add flask to requirements.txt."
    release.started_at = release.finished_at = now()
    release.save()
    _steps(release, StepState.FAILED)
    return release


def _steps(release: Release, last: StepState) -> None:
    for position, name in enumerate(("fetch", "inspect", "start")):
        ReleaseStep.objects.get_or_create(
            release=release,
            position=position,
            defaults={
                "name": name,
                "state": last if name == "start" else StepState.DONE,
                "started_at": now(),
                "finished_at": now(),
            },
        )
