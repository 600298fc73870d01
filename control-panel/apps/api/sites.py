"""How a site behaves: maintenance page, password wall, allow list, limits. Passwords come in and never go out."""

from __future__ import annotations

from ninja import Router
from pydantic import Field

from apps.api import errands as waiting
from apps.api import lookup
from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.api.schema import Schema
from apps.deployments import errands, sites
from apps.deployments.actions import site
from apps.deployments.models import Deployment, ErrandKind

router = Router(tags=["site"])


class ShownSite(Schema):
    """`wall` names who passes the password wall; without anybody there is none. `fallback` is empty when it is as the
    release says. `sleep_minutes` 0 is never."""

    maintenance: bool
    wall: list[str]
    allow: list[str]
    body_limit_mib: int
    fallback: bool | None
    cdn: str
    hsts: bool
    sleep_minutes: int
    www: str
    one_name: bool
    errand: waiting.ShownErrand | None


class SiteChanges(Schema):
    """What is left out stays. `as_released` takes back a choice about `fallback`."""

    maintenance: bool | None = None
    allow: list[str] | None = Field(default=None, max_length=200)
    body_limit_mib: int | None = None
    fallback: bool | None = None
    as_released: bool = False
    cdn: str | None = None
    hsts: bool | None = None
    sleep_minutes: int | None = None


class WallPassword(Schema):
    password: str = Field(max_length=1000)


@router.get("/{name}/site", response={200: ShownSite, **PROBLEMS}, operation_id="show_site")
def show(request: Request, name: str) -> ShownSite:
    return _shown(lookup.deployment(request.actor, name))


@router.patch("/{name}/site", response={200: ShownSite, **PROBLEMS}, operation_id="change_site")
def change(request: Request, name: str, wanted: SiteChanges, wait: waiting.Wait = 0) -> ShownSite:
    deployment = lookup.deployment(request.actor, name)
    given = {key: value for key, value in wanted.dict(exclude_unset=True).items() if value is not None}
    if given.pop("as_released", False):
        given["fallback"] = None
    site.change(request.actor, deployment, **given)
    return _after(request, deployment, wait)


@router.put("/{name}/site/wall/{visitor}", response={200: ShownSite, **PROBLEMS}, operation_id="let_in")
def let_in(request: Request, name: str, visitor: str, wanted: WallPassword, wait: waiting.Wait = 0) -> ShownSite:
    """Have a password wall that this visitor passes with this password. Only its hash is kept."""
    deployment = lookup.deployment(request.actor, name)
    site.let_in(request.actor, deployment, visitor, wanted.password)
    return _after(request, deployment, wait)


@router.delete("/{name}/site/wall/{visitor}", response={200: ShownSite, **PROBLEMS}, operation_id="shut_out")
def shut_out(request: Request, name: str, visitor: str, wait: waiting.Wait = 0) -> ShownSite:
    """Without anybody left there is no wall. An unknown one is fine."""
    deployment = lookup.deployment(request.actor, name)
    site.shut_out(request.actor, deployment, visitor)
    return _after(request, deployment, wait)


def _after(request: Request, deployment: Deployment, seconds: float) -> ShownSite:
    waiting.wait(request, deployment.name, errands.newest(deployment, ErrandKind.PUBLISH, ErrandKind.START), seconds)
    return _shown(deployment)


def _shown(deployment: Deployment) -> ShownSite:
    kept = sites.kept(deployment)
    return ShownSite(
        maintenance=kept.maintenance,
        wall=[str(entry.visitor) for entry in kept.wall],
        allow=[str(network) for network in kept.allow],
        body_limit_mib=kept.body_limit_mib,
        fallback=kept.fallback,
        cdn=kept.cdn,
        hsts=kept.hsts,
        sleep_minutes=kept.sleep_minutes,
        www=kept.www,
        one_name=kept.one_name,
        errand=waiting.shown(errands.newest(deployment, ErrandKind.PUBLISH)),
    )
