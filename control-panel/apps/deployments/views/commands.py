"""Running one command, watching it, and what ran on a schedule."""

from __future__ import annotations

from functools import partial

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.core import access
from apps.core.access import Capability
from apps.core.doors import Request, refuse
from apps.core.errors import Conflict, Invalid, Missing
from apps.deployments import hiding, logs, stream
from apps.deployments.actions import commands as asked
from apps.deployments.models import CommandRun, Deployment
from apps.deployments.site_forms import CommandForm
from apps.deployments.views import found
from apps.deployments.views.output import signed_in, text
from apps.deployments.views.steps import tail_of

SHOWN = 30


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: Request, name: str) -> HttpResponse:
    """A form, and what was run before."""
    deployment = found.deployment(request, name)
    first = {"command": request.GET.get("command", "")[:4000].replace("\x00", "")}
    form = CommandForm(request.POST if request.method == "POST" else None, initial=first)
    if request.method == "POST":
        access.require(request.actor, Capability.READ_SECRETS, deployment.team)
        if form.is_valid() and (made := _run(request, deployment, form)) is not None:
            return redirect("deployments:command", name=name, number=made.number)
        deployment = found.deployment(request, name)
    masked = hiding.of(deployment)
    rows = [(row, masked(row.line)) for row in deployment.commands.select_related("asked_by")[:SHOWN]]
    shown = found.head(request, deployment, "commands") | {
        "form": form,
        "rows": rows,
        "schedules": deployment.schedules.order_by("next_at", "pk"),
        "runs": deployment.schedule_runs.all()[:SHOWN],
    }
    return render(request, "deployments/commands.html", shown, status=400 if form.errors else 200)


def _run(request: Request, deployment: Deployment, form: CommandForm) -> CommandRun | None:
    given = form.cleaned_data
    try:
        return asked.run(request.actor, deployment, given["command"], limit_seconds=given["limit_seconds"])
    except Invalid as error:
        refuse(form, error)
    except Conflict as error:
        form.add_error(None, f"{error.message} {error.hint}")
    return None


def _row(request: Request, name: str, number: int) -> CommandRun:
    """One command, for those who may read what it printed."""
    mine = Deployment.objects.visible_to(request.actor)
    rows = CommandRun.objects.filter(deployment__in=mine, deployment__name=name)
    if number >= 1 << 31:
        raise Missing("There is no such command.")
    row = access.one(rows.select_related("deployment__team", "deployment__host", "asked_by"), number=number)
    access.require(request.actor, Capability.READ_SECRETS, row.deployment.team)
    return row


@require_safe
def one(request: Request, name: str, number: int) -> HttpResponse:
    row = _row(request, name, number)
    deployment = found.deployment(request, name)
    shown = found.head(request, deployment, "commands") | {
        "run": row,
        "line": hiding.of(deployment)(row.line),
        "log": tail_of(logs.command_path(row.pk)),
    }
    return render(request, "deployments/command.html", shown)


@require_safe
def events(request: Request, name: str, number: int) -> HttpResponseBase:
    look = partial(stream.of_command, _row(request, name, number).pk, request.actor)
    return stream.answer(request, look, valid=partial(signed_in, request.session))


@require_safe
def log(request: Request, name: str, number: int) -> HttpResponse:
    """All that it printed, as plain text."""
    row = _row(request, name, number)
    lines = logs.read_file(logs.command_path(row.pk), limit=1_000_000)
    return text(f"{name}-command-{number}.log", "".join(f"{line.text}\n" for line in lines))


@require_POST
def cancel(request: Request, name: str, number: int) -> HttpResponse:
    asked.cancel(request.actor, _row(request, name, number))
    return redirect("deployments:command", name=name, number=number)


@require_POST
def run_schedule(request: Request, name: str, pk: int) -> HttpResponse:
    """Run a command of a schedule now, as a command of its own."""
    deployment = found.deployment(request, name)
    row = access.one(deployment.schedules.all(), pk=pk if pk < 1 << 63 else 0)
    made = asked.run(request.actor, deployment, row.command)
    messages.success(request, "It runs now, beside its schedule.")
    return redirect("deployments:command", name=name, number=made.number)
