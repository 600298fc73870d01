"""The page of a deployment's database: what it is now, its dumps, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apps.core import access, hosts
from apps.core.access import Actor, Capability
from apps.core.doors import Request
from apps.core.errors import Invalid, Missing
from apps.databases import downloads
from apps.databases.models import Database
from apps.deployments.actions import databases
from apps.deployments.forms import CloneForm, UploadForm
from apps.deployments.models import Deployment, Errand
from apps.deployments.views import found
from apps.deployments.views.found import Context
from webops_host.errors import BadValue, HostError, NotFound
from webops_host.names import DumpId

ERRANDS_SHOWN = 5


@require_safe
def show(request: Request, name: str) -> HttpResponse:
    return _page(request, found.deployment(request, name))


@require_POST
def rotate(request: Request, name: str) -> HttpResponse:
    return _asked(request, name, databases.rotate, "A new password is on its way.")


@require_POST
def dump(request: Request, name: str) -> HttpResponse:
    return _asked(request, name, databases.dump, "A dump is being made.")


@require_POST
def revert(request: Request, name: str) -> HttpResponse:
    return _asked(request, name, databases.revert, "The database from before is put back.")


@require_POST
def confirm(request: Request, name: str) -> HttpResponse:
    return _asked(request, name, databases.confirm, "The database from before is removed.")


@require_POST
def restore(request: Request, name: str) -> HttpResponse:
    return _about_dump(
        request,
        name,
        Capability.CONFIGURE,
        databases.restore,
        "The restore has begun; until it is done nothing changes.",
    )


@require_POST
def discard(request: Request, name: str) -> HttpResponse:
    return _about_dump(request, name, Capability.DELETE, databases.discard, "The dump is removed.")


@require_POST
def upload(request: Request, name: str) -> HttpResponse:
    deployment = found.deployment(request, name)
    access.require(request.actor, Capability.CONFIGURE, deployment.team)
    form = UploadForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            databases.upload(request.actor, deployment, form.cleaned_data["file"].chunks())
        except Invalid as error:
            form.add_error("file", [text for texts in error.fields.values() for text in texts])
        else:
            messages.success(request, "It was received, and becomes a dump once it was read whole.")
            return redirect("deployments:database", name=name)
    return _page(request, deployment, upload=form, status=400)


@require_POST
def clone(request: Request, name: str) -> HttpResponse:
    deployment = found.deployment(request, name)
    access.require(request.actor, Capability.CONFIGURE, deployment.team)
    form = CloneForm(request.POST, sources=_sources(request.actor, deployment))
    if form.is_valid():
        databases.clone(request.actor, deployment, form.cleaned_data["source"])
        messages.success(request, "The clone has begun; what there is serves until it is done.")
        return redirect("deployments:database", name=name)
    return _page(request, deployment, clone=form, status=400)


@require_safe
def download(request: Request, name: str, dump: str) -> HttpResponseBase:
    deployment, wanted = found.deployment(request, name), _dump_id(dump)
    access.require(request.actor, Capability.READ_SECRETS, deployment.team)
    host = hosts.of(deployment.host)
    try:
        known = downloads.find(host, deployment.slug, wanted)
    except NotFound:
        raise Missing("There is no such dump.") from None
    if request.method != "HEAD":
        databases.download(request.actor, deployment, wanted)
    return downloads.answer(request, host, deployment.slug, known)


def _asked(request: Request, name: str, ask: Callable[[Actor, Deployment], Errand], said: str) -> HttpResponse:
    ask(request.actor, found.deployment(request, name))
    messages.success(request, said)
    return redirect("deployments:database", name=name)


def _about_dump(
    request: Request, name: str, needed: Capability, ask: Callable[[Actor, Deployment, DumpId], Errand], said: str
) -> HttpResponse:
    deployment = found.deployment(request, name)
    access.require(request.actor, needed, deployment.team)
    try:
        dump = DumpId(request.POST.get("dump", ""))
    except BadValue as error:
        raise Invalid("There is no such dump.", hint=error.hint) from None
    ask(request.actor, deployment, dump)
    messages.success(request, said)
    return redirect("deployments:database", name=name)


def _dump_id(text: str) -> DumpId:
    try:
        return DumpId(text)
    except BadValue:
        raise Missing("There is no such dump.") from None


def _sources(actor: Actor, deployment: Deployment) -> list[Database]:
    """What could be cloned into it: databases of the same server that the actor may read."""
    rows = Database.objects.visible_to(actor).filter(host=deployment.host).exclude(name=deployment.name)
    teams = {team.pk for team in actor.teams() if actor.may(Capability.READ_SECRETS, team)}
    return list(rows.filter(team__in=teams).defer("url", "old_url").order_by("name"))


def _page(
    request: Request,
    deployment: Deployment,
    *,
    upload: UploadForm | None = None,
    clone: CloneForm | None = None,
    status: int = 200,
) -> HttpResponse:
    shown = found.head(request, deployment, "database") | _facts(deployment)
    errands = deployment.errands.filter(kind__in=databases.KINDS).defer("secret").select_related("asked_by")
    sources = _sources(request.actor, deployment)
    shown |= {
        "database": deployment.database,
        "errands": errands[:ERRANDS_SHOWN],
        "upload": upload or UploadForm(),
        "clone": (clone or CloneForm(sources=sources)) if sources else None,
    }
    return render(request, "deployments/database.html", shown, status=status)


def _facts(deployment: Deployment) -> Context:
    """What the host says now; a host that does not answer leaves a sentence."""
    if deployment.database is None:
        return {"facts": None, "dumps": ()}
    host = hosts.of(deployment.host)
    try:
        return {"facts": host.databases.facts(deployment.slug), "dumps": host.databases.dumps(deployment.slug)}
    except HostError as error:
        return {"facts": None, "dumps": (), "error": error}
