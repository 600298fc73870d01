"""Pages of the platform itself: the account, the team, its Git servers and its audit log."""

from __future__ import annotations

import sys

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core import access
from apps.core.access import Capability
from apps.core.actions import entrances
from apps.core.actions import git_servers as servers
from apps.core.doors import Permissions, Request, permissions, refuse
from apps.core.errors import Conflict, Invalid
from apps.core.forms import EntranceForm, GitServerForm
from apps.core.lines import UNREACHABLE
from apps.core.models import AuditRecord, GitServer, Team

RECORDS_PER_PAGE = 50


@require_safe
def home(request: Request) -> HttpResponse:
    return redirect("deployments:list")


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Whether the panel and its database answer; for load balancers and start scripts."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})


def broken(request: HttpRequest) -> HttpResponse:
    """The answer to an error of ours. A database that can not be reached is none: that passes, and is said plainly."""
    if isinstance(sys.exc_info()[1], UNREACHABLE):
        return HttpResponse(_page("503.html"), status=503, headers={"Retry-After": "5"})
    return HttpResponse(_page("500.html"), status=500)


def _page(name: str) -> str:
    """A page that needs nothing but its template; where even that fails, words."""
    try:
        return render_to_string(name)
    except Exception:  # such as static files that nobody collected: the first error is the one to be told
        return "Something broke in the panel. What is live goes on serving. The panel's log says what happened."


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    return redirect(static("favicon.svg"))


@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters()
def entrance(request: HttpRequest, secret: str) -> HttpResponse:
    """Where a one-time link leads. Looking at the page does not use it up; choosing a password does."""
    owner = entrances.owner_of(secret)
    fixed = {"username": owner.username} if owner else {}
    form = EntranceForm({**request.POST.dict(), **fixed} if request.method == "POST" else None, initial=fixed)
    if request.method == "POST" and form.is_valid():
        username, password = form.cleaned_data["username"], form.cleaned_data["password"]
        try:
            user = entrances.use(secret, username, password, address=request.META.get("REMOTE_ADDR") or None)
        except Invalid as error:
            refuse(form, error)
        else:
            get_adapter(request).login(request, user)
            return redirect("deployments:list")
    return render(request, "core/entrance.html", {"form": form, "owner": owner}, status=400 if form.errors else 200)


@require_safe
def account(request: Request) -> HttpResponse:
    return render(request, "core/account.html")


def _team(request: Request, slug: str) -> tuple[Team, Permissions]:
    team = access.one(request.actor.teams(), slug=slug)
    return team, permissions(request.actor, team)


@require_safe
def team(request: Request, slug: str) -> HttpResponse:
    found, may = _team(request, slug)
    members = found.memberships.select_related("user").order_by("user__username")
    return render(request, "core/team.html", {"team": found, "may": may, "members": members, "tab": "team"})


@require_http_methods(["GET", "HEAD", "POST"])
def git_servers(request: Request, slug: str) -> HttpResponse:
    found, may = _team(request, slug)
    form = GitServerForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        access.require(request.actor, Capability.ADMINISTER, found)
        if form.is_valid():
            try:
                row = servers.add(request.actor, found, **form.cleaned_data)
            except (Invalid, Conflict) as error:
                refuse(form, error)
            else:
                messages.success(request, f"Repositories on {row.name} can be deployed now.")
                return redirect("core:git-servers", slug=slug)
    shown = {
        "team": found,
        "may": may,
        "form": form,
        "servers": found.git_servers.order_by("name", "port"),
        "everyone": settings.ENV.git_hosts,
        "tab": "git",
    }
    return render(request, "core/git_servers.html", shown, status=400 if form.errors else 200)


@require_POST
def forget_git_server(request: Request, slug: str, pk: int) -> HttpResponse:
    found, _ = _team(request, slug)
    server = access.one(GitServer.objects.filter(team=found), pk=pk)
    servers.remove(request.actor, server)
    messages.success(request, f"{server.name} is no longer allowed.")
    return redirect("core:git-servers", slug=slug)


@require_safe
def audit_log(request: Request, slug: str) -> HttpResponse:
    """Everyone in the team may read what was done in it."""
    found, may = _team(request, slug)
    records = AuditRecord.objects.filter(team=found).order_by("-at", "-pk")
    page = Paginator(records, RECORDS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "core/audit.html", {"team": found, "may": may, "page": page, "tab": "audit"})
