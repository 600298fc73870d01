"""Domains of a deployment: the DNS records to set, what was found of them, and which one the site calls itself."""

from __future__ import annotations

from datetime import datetime

from ninja import Router, Status
from pydantic import Field

from apps.api import errands as waiting
from apps.api import lookup
from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.api.schema import Schema
from apps.core import access, hosts
from apps.deployments import domains, errands, sites
from apps.deployments.actions import domains as asked
from apps.deployments.models import Deployment, DomainName, ErrandKind
from webops_host.errors import HostError

router = Router(tags=["domains"])


class Record(Schema):
    """A record to set. `ok` is empty until somebody looked; `says` is a sentence about what was found."""

    kind: str
    name: str
    wanted: list[str]
    found: list[str]
    ok: bool | None
    says: str


class ShownDomain(Schema):
    """`proven`: it counts, is served and is in the certificate. `shown` is how people write it. `points_here` is empty
    when it is not known."""

    name: str
    shown: str
    primary: bool
    proven: bool
    points_here: bool | None
    records: list[Record]
    checked_at: datetime | None


class Domains(Schema):
    """`default` is the platform's own name for the site, which always answers. `address4` and `address6` are where the
    server is; both are empty on a computer without a public address."""

    default: str
    items: list[ShownDomain]
    www: str
    one_name: bool
    address4: list[str]
    address6: list[str]
    errand: waiting.ShownErrand | None


class WantedDomain(Schema):
    name: str = Field(max_length=300)


class Redirects(Schema):
    """What is left out stays."""

    www: str | None = Field(default=None, description="as_is, to_bare or to_www")
    one_name: bool | None = Field(default=None, description="Lead every other domain to the primary one")


@router.get("/{name}/domains", response={200: Domains, **PROBLEMS}, operation_id="list_domains")
def index(request: Request, name: str) -> Domains:
    return _shown(lookup.deployment(request.actor, name))


@router.post("/{name}/domains", response={201: Domains, **PROBLEMS}, operation_id="add_domain")
def add(request: Request, name: str, wanted: WantedDomain, wait: waiting.Wait = 0) -> Status[Domains]:
    """Have a domain lead here. Its records are looked at at once."""
    deployment = lookup.deployment(request.actor, name)
    asked.add(request.actor, deployment, wanted.name)
    _wait(request, deployment, wait)
    return Status(201, _shown(deployment))


@router.patch("/{name}/domains", response={200: Domains, **PROBLEMS}, operation_id="change_redirects")
def redirects(request: Request, name: str, wanted: Redirects, wait: waiting.Wait = 0) -> Domains:
    deployment = lookup.deployment(request.actor, name)
    kept = sites.kept(deployment)
    www = kept.www if wanted.www is None else wanted.www
    one_name = kept.one_name if wanted.one_name is None else wanted.one_name
    asked.redirect(request.actor, deployment, www=www, one_name=one_name)
    _wait(request, deployment, wait)
    return _shown(deployment)


@router.post("/{name}/domains/check", response={202: Domains, **PROBLEMS}, operation_id="check_domains")
def check(request: Request, name: str, wait: waiting.Wait = 0) -> Status[Domains]:
    """Ask the DNS about all of them now."""
    deployment = lookup.deployment(request.actor, name)
    waiting.wait(request, name, asked.look(request.actor, deployment), wait)
    return Status(202, _shown(deployment))


@router.post("/{name}/domains/{domain}/primary", response={200: Domains, **PROBLEMS}, operation_id="choose_domain")
def primary(request: Request, name: str, domain: str, wait: waiting.Wait = 0) -> Domains:
    """Make it the name that the site calls itself."""
    deployment = lookup.deployment(request.actor, name)
    asked.make_primary(request.actor, deployment, _row(deployment, domain))
    _wait(request, deployment, wait)
    return _shown(deployment)


@router.delete("/{name}/domains/{domain}", response={200: Domains, **PROBLEMS}, operation_id="remove_domain")
def remove(request: Request, name: str, domain: str, wait: waiting.Wait = 0) -> Domains:
    deployment = lookup.deployment(request.actor, name)
    asked.remove(request.actor, deployment, _row(deployment, domain))
    _wait(request, deployment, wait)
    return _shown(deployment)


def _row(deployment: Deployment, text: str) -> DomainName:
    plain = text.replace("\x00", "")[:253].lower()
    name = plain if plain.isascii() else str(domains.encode(plain))
    return access.one(deployment.domains.select_related("deployment__team"), name=name)


def _wait(request: Request, deployment: Deployment, seconds: float) -> None:
    waiting.wait(request, deployment.name, errands.newest(deployment, ErrandKind.PUBLISH, ErrandKind.CHECK), seconds)


def _shown(deployment: Deployment) -> Domains:
    host = hosts.of(deployment.host)
    where, kept = domains.place(host), sites.kept(deployment)
    return Domains(
        default=default(deployment),
        items=[_one(row, where) for row in deployment.domains.all()],
        www=kept.www,
        one_name=kept.one_name,
        address4=list(where.address4),
        address6=list(where.address6),
        errand=waiting.shown(errands.newest(deployment, ErrandKind.PUBLISH, ErrandKind.CHECK)),
    )


def default(deployment: Deployment) -> str:
    """The URL under the platform's own name; before the first release it is not known."""
    try:
        found = hosts.of(deployment.host).sites.address(deployment.slug)
    except HostError:
        found = None
    return found.url if found is not None else deployment.url


def _one(row: DomainName, where: domains.Place) -> ShownDomain:
    return ShownDomain(
        name=row.name,
        shown=row.shown,
        primary=row.primary,
        proven=row.is_proven,
        points_here=domains.points_here(row, where),
        records=[Record(**item) for item in domains.known(row, where)],
        checked_at=row.checked_at,
    )
