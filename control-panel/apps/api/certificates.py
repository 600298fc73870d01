"""The certificate of a deployment's names. A private key comes in and never goes out."""

from __future__ import annotations

from datetime import datetime

from ninja import Router, Status
from pydantic import Field

from apps.api import errands as waiting
from apps.api import lookup
from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.api.schema import Schema
from apps.deployments import certificates, errands
from apps.deployments.actions import certificates as asked
from apps.deployments.models import Deployment, ErrandKind

router = Router(tags=["domains"])
KINDS = (ErrandKind.ISSUE, ErrandKind.UPLOAD, ErrandKind.WITHDRAW, ErrandKind.CHECK)


class NameCertificate(Schema):
    """What visitors of one name get. `covered`: browsers trust it for this name. `source` is uploaded, acme or
    platform. `other_on_the_wire`: the web server still shows another one than that on disk."""

    host: str
    source: str
    issuer: str
    covered: bool
    self_signed: bool
    not_after: datetime
    fingerprint: str
    other_on_the_wire: bool


class ShownCertificate(Schema):
    """`failures` in a row, when asking for one went wrong; before `next_try_at` it is not asked for by itself."""

    items: list[NameCertificate]
    failures: int
    problem: str
    next_try_at: datetime | None
    errand: waiting.ShownErrand | None


class Pair(Schema):
    """Both in PEM form; the certificate of the site first, then those above it."""

    chain: str = Field(max_length=64 * 1024)
    key: str = Field(max_length=64 * 1024)


@router.get("/{name}/certificate", response={200: ShownCertificate, **PROBLEMS}, operation_id="show_certificate")
def show(request: Request, name: str) -> ShownCertificate:
    return _shown(lookup.deployment(request.actor, name))


@router.post("/{name}/certificate", response={202: ShownCertificate, **PROBLEMS}, operation_id="issue_certificate")
def issue(request: Request, name: str, wait: waiting.Wait = 0) -> Status[ShownCertificate]:
    """Ask the authority for one now."""
    deployment = lookup.deployment(request.actor, name)
    waiting.wait(request, name, asked.issue(request.actor, deployment), wait)
    return Status(202, _shown(deployment))


@router.put("/{name}/certificate", response={202: ShownCertificate, **PROBLEMS}, operation_id="upload_certificate")
def upload(request: Request, name: str, pair: Pair, wait: waiting.Wait = 0) -> Status[ShownCertificate]:
    """Use one of your own before any other."""
    deployment = lookup.deployment(request.actor, name)
    waiting.wait(request, name, asked.upload(request.actor, deployment, chain=pair.chain, key=pair.key), wait)
    return Status(202, _shown(deployment))


@router.delete("/{name}/certificate", response={202: ShownCertificate, **PROBLEMS}, operation_id="remove_certificate")
def remove(request: Request, name: str, wait: waiting.Wait = 0) -> Status[ShownCertificate]:
    """Use the uploaded one no more."""
    deployment = lookup.deployment(request.actor, name)
    waiting.wait(request, name, asked.withdraw(request.actor, deployment), wait)
    return Status(202, _shown(deployment))


def _shown(deployment: Deployment) -> ShownCertificate:
    row = certificates.known(deployment)
    return ShownCertificate(
        items=[NameCertificate(**entry) for entry in row.hosts] if row is not None else [],
        failures=row.failures if row is not None else 0,
        problem=row.problem if row is not None else "",
        next_try_at=row.next_try_at if row is not None else None,
        errand=waiting.shown(errands.newest(deployment, *KINDS)),
    )
