"""Copies and limits, from the form on the page of the processes."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from apps.core import access
from apps.core.access import Capability
from apps.core.doors import Request, refuse
from apps.core.errors import Invalid
from apps.deployments.actions import scaling
from apps.deployments.site_forms import ScaleForm
from apps.deployments.views import found, showing


@require_POST
def scale(request: Request, name: str) -> HttpResponse:
    deployment = found.deployment(request, name)
    access.require(request.actor, Capability.CONFIGURE, deployment.team)
    form = ScaleForm(scaling.standing(deployment), request.POST)
    if form.is_valid():
        try:
            made = scaling.scale(
                request.actor, deployment, copies=form.copies(), workers=form.workers(), limits=form.limits()
            )
        except Invalid as error:
            refuse(form, _on_fields(error))
        else:
            if made is not None:
                return redirect("deployments:release", name=name, number=made.number)
            messages.info(request, "Nothing has changed.")
            return redirect("deployments:processes", name=name)
    return showing.processes_page(request, found.deployment(request, name), form, status=400)


def _on_fields(error: Invalid) -> Invalid:
    """A process's mistake belongs to the field of its copies."""
    limits = ("memory_mib", "cpu_percent", "tasks", "workers")
    fields = {key if key in limits else f"copies-{key}": texts for key, texts in error.fields.items()}
    return Invalid(error.message, hint=error.hint, fields=fields)
