"""What every page of a deployment begins with: the deployment the actor may see, and what its head shows."""

from __future__ import annotations

import json
from typing import Any

from apps.core import access, hosts
from apps.core.doors import Request, permissions
from apps.core.errors import Missing
from apps.deployments import errands, pending, status
from apps.deployments.models import Deployment, Release, ReleaseKind
from webops_host.codec import load
from webops_host.errors import BadValue
from webops_host.values import Gunicorn, ProjectLine

Context = dict[str, Any]  # what a template is given


def deployment(request: Request, name: str) -> Deployment:
    """Raises Missing for what is not there and for what is another team's. For a page that only shows, its releases
    come along; one that changes something asks for them when it needs them."""
    rows = Deployment.objects.visible_to(request.actor).select_related("team", "host", "database")
    return access.one(rows.with_releases() if request.method in ("GET", "HEAD") else rows, name=name)


def release(request: Request, name: str, number: int) -> Release:
    rows = Release.objects.filter(deployment__in=Deployment.objects.visible_to(request.actor), deployment__name=name)
    if number >= 1 << 31:
        raise Missing("There is no such release.")
    return access.one(rows.select_related("deployment__team", "deployment__host", "triggered_by"), number=number)


def inspection(of: Deployment) -> Release | None:
    """The newest look at its repository."""
    return of.releases.filter(kind=ReleaseKind.INSPECT).order_by("-pk").first()


def head(request: Request, of: Deployment, tab: str) -> Context:
    """What the head of each of its pages shows."""
    live = of.live
    return {
        "deployment": of,
        "team": of.team,
        "may": permissions(request.actor, of.team),
        "status": status.of(of, hosts.of(of.host)),
        "live": live,
        "open_release": of.open_release,
        "not_applied": not_applied(of, live),
        "errand": errands.standing(of),
        "home": home(of),
        "tab": tab,
    }


def home(of: Deployment) -> str:
    """Where its visitors go: the primary domain once it leads here, until then the platform's own name for it."""
    primary = of.domains.filter(primary=True).first()
    found = (
        [item["ok"] for item in primary.records.get("items", []) if item["kind"] in ("A", "AAAA")] if primary else []
    )
    return f"https://{primary.name}/" if primary is not None and found and all(found) else of.url


def not_applied(of: Deployment, live: Release | None) -> list[str]:
    """Names of the variables whose change waits for a release that nobody asked for yet; removed ones too."""
    if of.open_release is not None or not pending.not_applied(of, live):
        return []
    snapshot = pending.applied(live)
    rows = {row.key: row.value for row in of.variables.all()}
    changed = sorted(key for key, value in rows.items() if snapshot.get(key) != value)
    return changed or ["removed variables"]


def command(program: Gunicorn | ProjectLine) -> str:
    """What a process runs, in words."""
    if isinstance(program, ProjectLine):
        return program.line
    kind = " (ASGI)" if program.asgi else ""
    return f"gunicorn {program.application}{kind}, {program.workers} × {program.threads} threads"


def plan_summary(release_: Release | None) -> str:
    """One line about how a release is built, or nothing when it was never looked at or is not readable any more."""
    try:
        plan = release_.plan if release_ else None
    except BadValue:
        return ""
    return plan.summary if plan else ""


def changed_variables(one: Release, other: Release) -> list[str]:
    """Names of the variables that differ between the snapshots of two releases."""
    first, second = (load(dict[str, str], json.loads(r.variables or "{}")) for r in (one, other))
    own = {"WEBOPS_RELEASE", "WEBOPS_COMMIT"}
    return sorted(key for key in (first.keys() | second.keys()) - own if first.get(key) != second.get(key))
