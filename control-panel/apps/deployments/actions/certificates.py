"""Asking for a certificate, handing over one's own, and taking that back. The key goes to the host and nowhere else."""

from __future__ import annotations

from django.db import transaction

from apps.core import access, audit
from apps.core.access import Actor, Capability
from apps.core.errors import Conflict
from apps.deployments import certificates, errands
from apps.deployments.models import Deployment, Errand, ErrandKind


def issue(actor: Actor, deployment: Deployment) -> Errand:
    """Ask the authority now, whatever failed before."""
    return _ask(actor, deployment, ErrandKind.ISSUE, "certificate.issue")


def upload(actor: Actor, deployment: Deployment, *, chain: str, key: str) -> Errand:
    """Use this certificate before any other. Raises Invalid with the field."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    certificates.refuse_bad_pair(chain, key)
    with transaction.atomic():
        audit.record(actor, "certificate.upload", team=deployment.team, target=deployment.name)
        return errands.ask(actor, deployment, ErrandKind.UPLOAD, arguments={"chain": chain}, secret=key)


def withdraw(actor: Actor, deployment: Deployment) -> Errand:
    """Use the uploaded certificate no more; the authority's is used again, or the platform's own."""
    return _ask(actor, deployment, ErrandKind.WITHDRAW, "certificate.remove")


def _ask(actor: Actor, deployment: Deployment, kind: ErrandKind, action: str) -> Errand:
    access.require(actor, Capability.CONFIGURE, deployment.team)
    if deployment.live is None:
        raise Conflict(f"{deployment} has no site yet.", hint="Deploy it first.", code="nothing_live")
    with transaction.atomic():
        audit.record(actor, action, team=deployment.team, target=deployment.name)
        return errands.ask(actor, deployment, kind)
