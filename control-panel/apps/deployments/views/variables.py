"""Variables of a deployment: names for everybody in the team, values for those who may read secrets and ask."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.core import access, audit
from apps.core.access import Capability
from apps.core.doors import Request, refuse
from apps.core.errors import Invalid
from apps.deployments import dotenv
from apps.deployments.actions import variables
from apps.deployments.forms import DotenvForm, VariableForm
from apps.deployments.models import Deployment, Variable
from apps.deployments.views import found
from webops_host.errors import BadValue
from webops_host.names import PersonKey


@dataclass(frozen=True, slots=True)
class Row:
    """A variable as it is shown. `value` is None while it is hidden."""

    variable: Variable
    value: str | None
    waits: bool


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: Request, name: str) -> HttpResponse:
    """The table, and a form for one variable that adds it or gives it another value."""
    deployment = found.deployment(request, name)
    form = VariableForm(
        request.POST if request.method == "POST" else None,
        initial={"key": request.GET.get("key", "")[:200].replace("\x00", "")},
    )
    if request.method == "POST":
        access.require(request.actor, Capability.CONFIGURE, deployment.team)
        if form.is_valid() and _set(request, deployment, form):
            return redirect("deployments:variables", name=name)
    return _page(request, deployment, form=form, status=400 if form.errors else 200)


def _set(request: Request, deployment: Deployment, form: VariableForm) -> bool:
    given = form.cleaned_data
    value = given["value"].replace("\r\n", "\n")  # browsers send line ends of a text area in their own way
    try:
        changed = variables.set_many(request.actor, deployment, {given["key"]: value}, secret=given["secret"])
    except Invalid as error:
        place = "value" if _may_be_key(given["key"]) else "key"
        form.add_error(place, [message for found_ in error.fields.values() for message in found_])
        return False
    messages.success(request, f"{given['key']} is saved." if changed else f"{given['key']} has that value already.")
    return True


def _may_be_key(text: str) -> bool:
    try:
        PersonKey(text)
    except BadValue:
        return False
    return True


def _page(
    request: Request,
    deployment: Deployment,
    *,
    form: VariableForm,
    reveal: frozenset[str] = frozenset(),
    status: int = 200,
) -> HttpResponse:
    shown = found.head(request, deployment, "variables")
    readable = bool(shown["may"].read_secrets)
    rows = [
        Row(
            row,
            row.value if readable and (row.key in reveal or not row.secret) else None,
            row.key in shown["not_applied"],
        )
        for row in deployment.variables.select_related("updated_by")
    ]
    shown |= {"rows": rows, "form": form, "dotenv": DotenvForm(), "revealed": reveal}
    return render(request, "deployments/variables.html", shown, status=status)


@require_POST
def reveal(request: Request, name: str) -> HttpResponse:
    """Show the value of one variable, or of all; that somebody looked is noted."""
    deployment = found.deployment(request, name)
    access.require(request.actor, Capability.READ_SECRETS, deployment.team)
    wanted = deployment.variables.values_list("key", flat=True)
    if key := request.POST.get("key", "").replace("\x00", ""):
        wanted = wanted.filter(key=key)
    keys = frozenset(wanted)
    audit.record(request.actor, "variables.read", team=deployment.team, target=deployment.name, keys=sorted(keys))
    return _page(request, deployment, form=VariableForm(), reveal=keys)


@require_POST
def unset(request: Request, name: str) -> HttpResponse:
    deployment = found.deployment(request, name)
    key = request.POST.get("key", "").replace("\x00", "")
    gone = variables.unset(request.actor, deployment, [key])
    if gone:
        messages.success(request, f"{key} is removed.")
    return redirect("deployments:variables", name=name)


@require_POST
def paste(request: Request, name: str) -> HttpResponse:
    """A pasted `.env` file: first what it would change, then, with `save`, the change."""
    deployment = found.deployment(request, name)
    access.require(request.actor, Capability.CONFIGURE, deployment.team)
    form = DotenvForm(request.POST)
    shown: found.Context = {"form": form}
    if form.is_valid():
        parsed = dotenv.parse(form.cleaned_data["dotenv"])
        for mistake in parsed.mistakes:
            form.add_error("dotenv", f"Line {mistake.line}: {mistake.message}")
        if not parsed.mistakes:
            if "save" in request.POST and _save(request, deployment, form, dict(parsed.pairs)):
                return redirect("deployments:variables", name=name)
            shown["changes"] = _changes(deployment, dict(parsed.pairs), replace=form.cleaned_data["replace"])
    shown |= found.head(request, deployment, "variables")
    return render(request, "deployments/paste.html", shown, status=400 if form.errors else 200)


def _save(request: Request, deployment: Deployment, form: DotenvForm, pairs: dict[str, str]) -> bool:
    try:
        changed = variables.set_many(request.actor, deployment, pairs, replace=form.cleaned_data["replace"])
    except Invalid as error:
        refuse(form, error)
        return False
    messages.success(request, f"{len(changed)} variables changed." if len(changed) != 1 else "1 variable changed.")
    return True


def _changes(deployment: Deployment, pairs: dict[str, str], *, replace: bool) -> list[tuple[str, str]]:
    """What saving would do to each variable: added, changed, the same, removed."""
    before = {row.key: row for row in deployment.variables.all()}
    found_ = [
        (key, "added" if key not in before else "the same" if before[key].value == value else "changed")
        for key, value in pairs.items()
    ]
    gone = [key for key, row in before.items() if replace and key not in pairs and not row.generated]
    order = ("added", "changed", "removed", "the same")
    return sorted(
        [*found_, *((key, "removed") for key in gone)], key=lambda change: (order.index(change[1]), change[0])
    )
