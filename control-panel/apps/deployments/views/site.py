"""How a site behaves: one form, and the list of those who pass the password wall."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.core import access
from apps.core.access import Capability
from apps.core.doors import Request, refuse
from apps.core.errors import Conflict, Invalid
from apps.deployments import sites
from apps.deployments.actions import site as asked
from apps.deployments.models import Deployment
from apps.deployments.site_forms import SiteForm, WallForm
from apps.deployments.views import found


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: Request, name: str) -> HttpResponse:
    deployment = found.deployment(request, name)
    form = SiteForm(request.POST if request.method == "POST" else None, initial=SiteForm.of(sites.kept(deployment)))
    if request.method == "POST":
        access.require(request.actor, Capability.CONFIGURE, deployment.team)
        if form.is_valid() and _change(request, deployment, form):
            messages.success(request, "Saved.")
            return redirect("deployments:site", name=name)
        deployment = found.deployment(request, name)
    return _page(request, deployment, form=form, status=400 if form.errors else 200)


def _change(request: Request, deployment: Deployment, form: SiteForm) -> bool:
    try:
        asked.change(request.actor, deployment, **form.chosen())
    except Invalid as error:
        refuse(form, error)
    except Conflict as error:
        form.add_error("sleep_minutes" if error.code == "never_sleeps" else None, f"{error.message} {error.hint}")
    else:
        return True
    return False


def _page(
    request: Request,
    deployment: Deployment,
    *,
    form: SiteForm | None = None,
    wall: WallForm | None = None,
    status: int = 200,
) -> HttpResponse:
    kept = sites.kept(deployment)
    shown = found.head(request, deployment, "site") | {
        "form": form or SiteForm(initial=SiteForm.of(kept)),
        "wall_form": wall or WallForm(),
        "visitors": [str(entry.visitor) for entry in kept.wall],
    }
    return render(request, "deployments/site.html", shown, status=status)


@require_POST
@sensitive_post_parameters()
def let_in(request: Request, name: str) -> HttpResponse:
    """Have a password wall that somebody passes, or give them another password."""
    deployment = found.deployment(request, name)
    access.require(request.actor, Capability.CONFIGURE, deployment.team)
    form = WallForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        try:
            asked.let_in(request.actor, deployment, given["visitor"], given["password"])
        except Invalid as error:
            refuse(form, error)
        else:
            messages.success(request, f"Visitors need a password; {given['visitor']} has one.")
            return redirect("deployments:site", name=name)
    return _page(request, found.deployment(request, name), wall=form, status=400)


@require_POST
def shut_out(request: Request, name: str) -> HttpResponse:
    deployment = found.deployment(request, name)
    visitor = request.POST.get("visitor", "")[:100].replace("\x00", "")
    asked.shut_out(request.actor, deployment, visitor)
    messages.success(request, f"{visitor} is taken off the list.")
    return redirect("deployments:site", name=name)
