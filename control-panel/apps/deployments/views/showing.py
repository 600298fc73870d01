"""A deployment, its releases, and one release with its steps and its log."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from apps.core import hosts
from apps.core.doors import Request
from apps.deployments.actions import scaling
from apps.deployments.models import Deployment, Release, State, Wish
from apps.deployments.site_forms import ScaleForm
from apps.deployments.views import found, steps
from webops_host.errors import HostError

BARS = 40
PER_PAGE = 30
HOST_FACTS = {
    "domain": "Sites below",
    "address4": "IPv4 address",
    "address6": "IPv6 address",
    "most_memory_mib": "Memory for one deployment, at most, in MiB",
    "most_cpu_percent": "Processor for one deployment, at most, in percent of a core",
    "most_tasks": "Processes and threads of one deployment, at most",
}
"""How a page calls what a host says of itself, where its own word would not do."""


@require_safe
def overview(request: Request, name: str) -> HttpResponse:
    """Is it up, what changed last, what can I do. A draft goes on where its making stopped."""
    deployment = found.deployment(request, name)
    if deployment.wish == Wish.DRAFT and deployment.newest is None:
        return redirect("deployments:look", name=name)
    newest = deployment.open_release or deployment.newest
    recent = list(_numbered(deployment)[:BARS])
    shown = found.head(request, deployment, "overview") | {"recent": recent[::-1], "latest": recent[:5]}
    if newest is not None:
        shown |= watched(newest)
    return render(request, "deployments/overview.html", shown | {"summary": found.plan_summary(shown["live"])})


def watched(release: Release) -> found.Context:
    """What the part of a page that watches a release needs."""
    shown = steps.of(release)
    return {
        "release": release,
        "steps": shown,
        "usual": steps.open_steps_usual(shown),
        "log": steps.tail(release),
        "unharmed": _unharmed(release),
    }


def _unharmed(release: Release) -> Release | None:
    """The older release that went on serving although this one failed."""
    if release.state not in (State.FAILED, State.CANCELLED) or release.number is None:
        return None
    return release.deployment.live


def _numbered(deployment: Deployment) -> QuerySet[Release]:
    return (
        deployment.releases.exclude(number=None)
        .select_related("triggered_by", "back_to")
        .defer("variables", "facts", "plan_data")
        .order_by("-number")
    )


@require_safe
def releases(request: Request, name: str) -> HttpResponse:
    deployment = found.deployment(request, name)
    page = Paginator(_numbered(deployment), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "deployments/releases.html", found.head(request, deployment, "releases") | {"page": page})


@require_safe
def release(request: Request, name: str, number: int) -> HttpResponse:
    wanted = found.release(request, name, number)
    wanted.deployment = found.deployment(request, name)  # with its releases
    shown = found.head(request, wanted.deployment, "releases") | watched(wanted)
    return render(request, "deployments/release.html", shown | {"summary": found.plan_summary(wanted)})


@require_safe
def processes(request: Request, name: str) -> HttpResponse:
    return processes_page(request, found.deployment(request, name))


def processes_page(
    request: Request, deployment: Deployment, form: ScaleForm | None = None, *, status: int = 200
) -> HttpResponse:
    """What runs, and a form that scales it."""
    shown = found.head(request, deployment, "processes")
    plan = shown["live"].plan if shown["live"] else None
    shown["commands"] = {str(one.kind): found.command(one.program) for one in plan.processes} if plan else {}
    if plan is not None and plan.processes:
        shown["scale"] = form or ScaleForm(scaling.standing(deployment))
    return render(request, "deployments/processes.html", shown, status=status)


@require_safe
def explain(request: Request, name: str) -> HttpResponse:
    """What runs on the machine for it, as text to read and copy."""
    deployment = found.deployment(request, name)
    shown = found.head(request, deployment, "explain")
    host = hosts.of(deployment.host)
    try:
        shown |= {"texts": dict(host.explain(deployment.slug)), "machine": _named(host.describe())}
        shown["space"] = dict(host.meters.space(deployment.slug))
    except HostError as error:
        shown["error"] = error
    return render(request, "deployments/explain.html", shown)


def _named(facts: Mapping[str, str]) -> dict[str, str]:
    return {HOST_FACTS.get(name, name.capitalize()): value for name, value in facts.items() if value}
