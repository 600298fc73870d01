"""The list of deployments, each with its true status, asked of the hosts side by side."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.core.paginator import Page, Paginator
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.core import hosts
from apps.core.access import POLICY, Capability
from apps.core.doors import Allowed, Request, needs
from apps.core.models import Role
from apps.deployments import pending, status
from apps.deployments.models import Deployment, Release
from apps.deployments.status import Condition, Status
from apps.deployments.views.found import plan_summary

PER_PAGE = 50
BARS = 12
ASKED_AT_ONCE = 8
MOVING = (Condition.DEPLOYING, Condition.DELETING)  # soon something else
SAMPLE = "https://github.com/mdn/beginner-html-site-styled"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    deployment: Deployment
    status: Status
    last: Release | None
    summary: str
    not_applied: bool
    recent: list[Release]


@require_safe
def show(request: Request) -> HttpResponse:
    wanted = request.GET.get("q", "").strip().replace("\x00", "")
    mine = Deployment.objects.visible_to(request.actor)
    found = mine.filter(name__icontains=wanted) if wanted else mine
    ordered = found.select_related("team", "host").defer("token").with_releases().order_by("name")
    page: Page[Deployment] = Paginator(ordered, PER_PAGE).get_page(request.GET.get("page"))
    rows = _rows(list(page.object_list))
    shown = {
        "rows": rows,
        "moving": any(row.status.condition in MOVING for row in rows),
        "page": page,
        "wanted": wanted,
        "may_create": may_create(request),
        "sample": SAMPLE,
    }
    return render(request, "deployments/list.html", shown)


def may_create(request: Request) -> Allowed:
    """Whether there is a team for which this person may make deployments."""
    roles = request.actor.memberships().values_list("role", flat=True)
    return Allowed(any(Capability.CONFIGURE in POLICY[Role(role)] for role in roles), needs(Capability.CONFIGURE))


def _rows(deployments: list[Deployment]) -> list[Row]:
    recent = _recent(deployments)
    with ThreadPoolExecutor(ASKED_AT_ONCE) as asking:
        machines = [hosts.of(deployment.host) for deployment in deployments]
        answers = list(asking.map(status.of, deployments, machines))
    return [
        _row(deployment, answer, recent[deployment.pk]) for deployment, answer in zip(deployments, answers, strict=True)
    ]


def _row(deployment: Deployment, answer: Status, recent: list[Release]) -> Row:
    live = deployment.live
    return Row(
        deployment=deployment,
        status=answer,
        last=deployment.newest,
        summary=plan_summary(live),
        not_applied=deployment.open_release is None and pending.not_applied(deployment, live),
        recent=recent,
    )


def _recent(deployments: list[Deployment]) -> dict[int, list[Release]]:
    """The last few numbered releases of each, oldest first, in one query."""
    place = Window(RowNumber(), partition_by=F("deployment"), order_by=F("number").desc())
    rows = Release.objects.filter(deployment__in=deployments).exclude(number=None)
    wanted = rows.only("deployment_id", "number", "state", "created_at", "live_at", "finished_at")
    grouped: dict[int, list[Release]] = defaultdict(list)
    for row in wanted.annotate(place=place).filter(place__lte=BARS).order_by("number"):
        grouped[row.deployment_id].append(row)
    return grouped
