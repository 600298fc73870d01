"""From an address to a first release: paste it, see what was found, give the variables, deploy."""

from __future__ import annotations

from django import forms
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.core import access
from apps.core.access import POLICY, Capability
from apps.core.doors import Request, refuse
from apps.core.errors import Conflict, Forbidden, Invalid
from apps.core.models import Role, Team
from apps.deployments import dotenv, repositories
from apps.deployments.actions import deployments, releases, variables
from apps.deployments.forms import NewForm, WantedForm
from apps.deployments.models import Deployment, Release
from apps.deployments.plan import Plan
from apps.deployments.views import found, listing, steps
from webops_host import repository
from webops_host.errors import BadValue


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: Request) -> HttpResponse:
    """Step one: where the code is."""
    teams = _teams(request)
    may_create = listing.may_create(request)
    first = {"repository": request.GET.get("repository", "")[:500].replace("\x00", "")}
    form = NewForm(teams, request.POST if request.method == "POST" else None, initial=first)
    if request.method == "POST":
        if not teams:
            raise Forbidden(f"Making a deployment needs the role {may_create.needs}.", hint="Ask an owner or admin.")
        if form.is_valid() and (made := _create(request, form, teams)) is not None:
            return redirect("deployments:look", name=made.name)
    shown = {"form": form, "may_create": may_create, "sample": listing.SAMPLE}
    return render(request, "deployments/new.html", shown, status=400 if form.errors else 200)


def _teams(request: Request) -> list[Team]:
    rows = request.actor.memberships().select_related("team").order_by("team__name")
    return [row.team for row in rows if Capability.CONFIGURE in POLICY[Role(row.role)]]


def _create(request: Request, form: NewForm, teams: list[Team]) -> Deployment | None:
    given = form.cleaned_data
    team: Team = given["team"] or teams[0]
    try:
        meant = _meant(given["repository"], team)
        wanted = deployments.Wanted(
            repository=str(meant.url),
            name=given["name"],
            ref=given["ref"] or meant.ref or "",
            root=given["root"] or meant.path,
            username=given["username"],
            token=given["token"],
        )
        made = deployments.create(request.actor, team, wanted)
    except Conflict as error:
        form.add_error("name", f"{error.message} {error.hint}")
    except Invalid as error:
        refuse(form, error)
    else:
        releases.inspect(request.actor, made)
        return made
    return None


def _meant(text: str, team: Team) -> repository.Suggestion:
    """What a pasted address most likely means. Raises Invalid on the field."""
    try:
        return repository.suggest(text, repositories.allowed(team))
    except BadValue as error:
        raise Invalid.of("repository", error) from None


@require_http_methods(["GET", "HEAD", "POST"])
def look(request: Request, name: str) -> HttpResponse:
    """Step two: what was found, and what it needs; then its first release."""
    deployment = found.deployment(request, name)
    inspection = found.inspection(deployment)
    plan = inspection.plan if inspection else None
    given = frozenset(deployment.variables.values_list("key", flat=True))
    form = WantedForm(plan.wanted if plan else (), given, request.POST if request.method == "POST" else None)
    if request.method == "POST":
        access.require(request.actor, Capability.DEPLOY, deployment.team)
        if form.is_valid() and (made := _deploy(request, deployment, form)) is not None:
            return redirect("deployments:release", name=name, number=made.number)
    shown = found.head(request, deployment, "look") | {"form": form, "release": inspection} | _plan(plan)
    if inspection is not None:
        shown |= {"steps": steps.of(inspection), "log": steps.tail(inspection)}
    return render(request, "deployments/look.html", shown, status=400 if form.errors else 200)


def _plan(plan: Plan | None) -> found.Context:
    if plan is None:
        return {}
    return {"plan": plan, "processes": [(process, found.command(process.program)) for process in plan.processes]}


def _deploy(request: Request, deployment: Deployment, form: WantedForm) -> Release | None:
    values = _values(form)
    if form.errors:
        return None
    try:
        if values:
            open_ones = {key for key, item in form.wanted.items() if not item.secret}
            variables.set_many(request.actor, deployment, {k: v for k, v in values.items() if k not in open_ones})
            plain = {key: value for key, value in values.items() if key in open_ones}
            variables.set_many(request.actor, deployment, plain, secret=False)
        return releases.deploy(request.actor, deployment)
    except Invalid as error:
        for key, messages in error.fields.items():
            form.add_error(f"var-{key}" if f"var-{key}" in form.fields else "dotenv", forms.ValidationError(messages))
    return None


def _values(form: WantedForm) -> dict[str, str]:
    """What was pasted and what was typed, together. Mistakes and what is missing become errors of the form."""
    pasted = dotenv.parse(form.cleaned_data["dotenv"])
    for mistake in pasted.mistakes:
        form.add_error("dotenv", f"Line {mistake.line}: {mistake.message}")
    values = {**dict(pasted.pairs), **form.values()}
    for key, item in form.wanted.items():
        if form.is_needed(item) and not values.get(key):
            form.add_error(f"var-{key}", "The app needs this before it can run.")
    return values


@require_POST
def look_again(request: Request, name: str) -> HttpResponse:
    deployment = found.deployment(request, name)
    releases.inspect(request.actor, deployment)
    return redirect("deployments:look", name=name)
