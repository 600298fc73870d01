"""Domains of a deployment: which there are, the records to set, and what the DNS says of them."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.core import access, hosts
from apps.core.access import Capability
from apps.core.doors import Request, refuse
from apps.core.errors import Conflict, Invalid, Missing
from apps.deployments import certificates, domains, sites
from apps.deployments.actions import certificates as certs
from apps.deployments.actions import domains as asked
from apps.deployments.models import Deployment, DomainName
from apps.deployments.site_forms import CertificateForm, DomainForm, RedirectForm
from apps.deployments.views import found
from webops_host.errors import HostError

"""What was found in the DNS is that old at most when a page shows it for the first time."""


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: Request, name: str) -> HttpResponse:
    """The domains with their records; a form adds one."""
    deployment = found.deployment(request, name)
    form = DomainForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        access.require(request.actor, Capability.CONFIGURE, deployment.team)
        if form.is_valid() and _add(request, deployment, form):
            return redirect("deployments:domains", name=name)
        deployment = found.deployment(request, name)
    return page(request, deployment, form=form, status=400 if form.errors else 200)


def page(
    request: Request,
    deployment: Deployment,
    *,
    form: DomainForm | None = None,
    upload: CertificateForm | None = None,
    status: int = 200,
) -> HttpResponse:
    where, kept = domains.place(hosts.of(deployment.host)), sites.kept(deployment)
    rows = list(deployment.domains.all())
    shown = found.head(request, deployment, "domains") | {
        "place": where,
        "default": _default(deployment),
        "rows": [(row, domains.known(row, where), domains.points_here(row, where)) for row in rows],
        "several": len(rows) > 1,
        "form": form or DomainForm(),
        "redirects": RedirectForm(initial={"www": kept.www, "one_name": kept.one_name}),
        "upload": upload or CertificateForm(),
        "certificate": certificates.known(deployment),
    }
    return render(request, "deployments/domains.html", shown, status=status)


def _add(request: Request, deployment: Deployment, form: DomainForm) -> bool:
    try:
        row = asked.add(request.actor, deployment, form.cleaned_data["name"])
    except Invalid as error:
        refuse(form, error)
    except Conflict as error:
        form.add_error("name", f"{error.message} {error.hint}")
    else:
        waits = "" if row.is_proven else " Prove that it is yours by the TXT record below."
        messages.success(request, f"{row.shown} is added.{waits}")
        return True
    return False


def _default(deployment: Deployment) -> str:
    """The address under the platform's own name."""
    try:
        address = hosts.of(deployment.host).sites.address(deployment.slug)
    except HostError:
        address = None
    return address.url if address is not None else deployment.url


def _row(request: Request, name: str, pk: int) -> DomainName:
    mine = Deployment.objects.visible_to(request.actor)
    rows = DomainName.objects.filter(deployment__in=mine, deployment__name=name)
    if pk >= 1 << 63:
        raise Missing("There is no such domain.")
    return access.one(rows.select_related("deployment__team", "deployment__host"), pk=pk)


@require_POST
def remove(request: Request, name: str, pk: int) -> HttpResponse:
    row = _row(request, name, pk)
    asked.remove(request.actor, row.deployment, row)
    messages.success(request, f"{row.shown} leads here no more.")
    return redirect("deployments:domains", name=name)


@require_POST
def primary(request: Request, name: str, pk: int) -> HttpResponse:
    row = _row(request, name, pk)
    asked.make_primary(request.actor, row.deployment, row)
    messages.success(request, f"{row.shown} is the primary domain.")
    return redirect("deployments:domains", name=name)


@require_POST
def look(request: Request, name: str) -> HttpResponse:
    """Ask the DNS now."""
    asked.look(request.actor, found.deployment(request, name))
    return redirect("deployments:domains", name=name)


@require_POST
def redirects(request: Request, name: str) -> HttpResponse:
    deployment = found.deployment(request, name)
    form = RedirectForm(request.POST)
    www = form.cleaned_data.get("www", "") if form.is_valid() else request.POST.get("www", "")[:20]
    asked.redirect(request.actor, deployment, www=www, one_name="one_name" in request.POST)
    messages.success(request, "Saved.")
    return redirect("deployments:domains", name=name)


@require_POST
def issue(request: Request, name: str) -> HttpResponse:
    """Ask for a certificate now."""
    certs.issue(request.actor, found.deployment(request, name))
    return redirect("deployments:domains", name=name)


@require_POST
@sensitive_post_parameters()
def upload(request: Request, name: str) -> HttpResponse:
    """Take over a certificate of one's own. The key is never shown again, not even after a mistake."""
    deployment = found.deployment(request, name)
    access.require(request.actor, Capability.CONFIGURE, deployment.team)
    form = CertificateForm(request.POST)
    if form.is_valid():
        try:
            certs.upload(request.actor, deployment, chain=form.cleaned_data["chain"], key=form.cleaned_data["key"])
        except Invalid as error:
            refuse(form, error)
        else:
            return redirect("deployments:domains", name=name)
    kept = CertificateForm({"chain": form.data.get("chain", ""), "key": ""})
    kept.full_clean()
    kept.errors.clear()
    kept.errors.update(form.errors)
    return page(request, found.deployment(request, name), upload=kept, status=400)


@require_POST
def withdraw(request: Request, name: str) -> HttpResponse:
    certs.withdraw(request.actor, found.deployment(request, name))
    return redirect("deployments:domains", name=name)
