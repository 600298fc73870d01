"""What a person does to a deployment: deploy, cancel, roll back, start and stop, change its settings, delete it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.core import access
from apps.core.access import Capability
from apps.core.doors import Request, refuse
from apps.core.errors import Invalid
from apps.deployments import overrides
from apps.deployments.actions import deployments, power
from apps.deployments.actions import releases as asked
from apps.deployments.forms import SettingsForm
from apps.deployments.models import Deployment, Release, ReleaseKind
from apps.deployments.views import found

POWER = {"start": power.start, "stop": power.stop, "restart": power.restart}


@require_POST
def deploy(request: Request, name: str) -> HttpResponse:
    deployment = found.deployment(request, name)
    made = asked.deploy(request.actor, deployment, ref=request.POST.get("ref", ""))
    return redirect("deployments:release", name=name, number=made.number)


@require_POST
def cancel(request: Request, name: str) -> HttpResponse:
    """Stop what is under way, or the release that is named."""
    deployment = found.deployment(request, name)
    number = request.POST.get("number", "")
    wanted = found.release(request, name, int(number)) if number.isdecimal() and len(number) < 10 else None
    stopped = asked.cancel(request.actor, deployment, release=wanted)
    if stopped.kind == ReleaseKind.INSPECT:
        return redirect("deployments:look", name=name)
    return redirect("deployments:release", name=name, number=stopped.number)


@require_http_methods(["GET", "HEAD", "POST"])
def rollback(request: Request, name: str, number: int) -> HttpResponse:
    """Asks first: what comes back, and what does not."""
    target = found.release(request, name, number)
    deployment = target.deployment
    if request.method == "POST":
        made = asked.rollback(request.actor, deployment, number=number)
        return redirect("deployments:release", name=name, number=made.number)
    shown = found.head(request, deployment, "releases")
    live = shown["live"]
    if live is not None:
        shown |= {
            "changed": found.changed_variables(target, live),
            "migrations_differ": _migrations_differ(target, live),
        }
    return render(request, "deployments/rollback.html", shown | {"target": target})


def _migrations_differ(one: Release, other: Release) -> bool:
    plans = [release.plan for release in (one, other)]
    digests = [plan.django.migrations for plan in plans if plan is not None and plan.django is not None]
    return len(set(digests)) > 1


@require_POST
def switch(request: Request, name: str, verb: str) -> HttpResponse:
    """Start, stop or restart what is live. The page says how far the worker is."""
    POWER[verb](request.actor, found.deployment(request, name))
    return redirect("deployments:processes", name=name)


@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: Request, name: str) -> HttpResponse:
    deployment = found.deployment(request, name)
    form = SettingsForm(request.POST if request.method == "POST" else None, initial=SettingsForm.of(deployment))
    if request.method == "POST":
        access.require(request.actor, Capability.CONFIGURE, deployment.team)
        if form.is_valid() and _change(request, deployment, form):
            messages.success(request, "Saved. It applies with the next release.")
            return redirect("deployments:settings", name=name)
        deployment = found.deployment(request, name)
    shown = found.head(request, deployment, "settings") | {"form": form, "has_token": bool(deployment.token)}
    return render(request, "deployments/settings.html", shown, status=400 if form.errors else 200)


def _change(request: Request, deployment: Deployment, form: SettingsForm) -> bool:
    """False when something was refused; the form then says what."""
    given = form.cleaned_data
    changes = {key: given[key] for key in ("repository", "ref", "root", "username", "keep_releases")}
    if given["token"] or given["forget_token"]:
        changes["token"] = "" if given["forget_token"] else given["token"]
    try:
        changes["overrides_"] = overrides.check(form.overrides())
        deployments.change(request.actor, deployment, **changes)
    except Invalid as error:
        refuse(form, error)
        return False
    return True


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: Request, name: str) -> HttpResponse:
    """Only after its name was typed."""
    deployment = found.deployment(request, name)
    error: Invalid | None = None
    if request.method == "POST":
        try:
            deployments.remove(request.actor, deployment, confirm=request.POST.get("confirm", ""))
        except Invalid as refused:
            error = refused
        else:
            messages.success(request, f"{name} is being deleted.")
            return redirect("deployments:list")
    shown = found.head(request, deployment, "delete") | {
        "error": error,
        "kept": deployment.releases.filter(files_kept=True).count(),
    }
    return render(request, "deployments/delete.html", shown, status=400 if error else 200)
