"""How a deployment's site behaves beyond what a release says: as kept in its row, and as a value for the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.core.errors import Invalid
from apps.deployments.models import Deployment
from webops_host import codec
from webops_host.errors import BadValue
from webops_host.names import Domain
from webops_host.site_options import Cdn, Network, SiteOptions, WallEntry, WwwRule

MOST_SLEEP_MINUTES = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Kept:
    """What a person chose. `one_name` leads every other domain to the primary one; `fallback` None is what the
    release says; `sleep_minutes` 0 is never."""

    maintenance: bool = False
    one_name: bool = False
    www: WwwRule = WwwRule.AS_IS
    allow: tuple[Network, ...] = ()
    wall: tuple[WallEntry, ...] = ()
    body_limit_mib: int = 100
    cdn: Cdn = Cdn.NONE
    hsts: bool = True
    fallback: bool | None = None
    sleep_minutes: int = 0

    def __post_init__(self) -> None:
        if type(self.sleep_minutes) is not int or not 0 <= self.sleep_minutes <= MOST_SLEEP_MINUTES:
            raise BadValue(
                f"{self.sleep_minutes!r} is not a time to sleep after.",
                hint=f"Use minutes from 1 to {MOST_SLEEP_MINUTES}, or 0 for never.",
            )

    def options(self, canonical: Domain | None) -> SiteOptions:
        """For the host. Raises BadValue."""
        return SiteOptions(
            maintenance=self.maintenance,
            canonical=canonical if self.one_name else None,
            www=self.www,
            allow=self.allow,
            wall=self.wall,
            body_limit_mib=self.body_limit_mib,
            cdn=self.cdn,
            hsts=self.hsts,
        )


def kept(deployment: Deployment) -> Kept:
    return codec.load(Kept, deployment.site)


def check(data: dict[str, Any]) -> dict[str, Any]:
    """The same choices, checked, without those that are as usual. Raises Invalid with the field."""
    for name, value in data.items():
        try:
            codec.load(Kept, {name: value}).options(None)
        except BadValue as error:
            raise Invalid.of(name, error) from None
    usual = codec.dump(Kept())
    return {name: value for name, value in codec.dump(codec.load(Kept, data)).items() if value != usual[name]}


def domains(deployment: Deployment) -> tuple[Domain, ...]:
    """Those that are served: proven ones, the primary first."""
    rows = deployment.domains.filter(proven_at__isnull=False).order_by("-primary", "name")
    return tuple(Domain(name) for name in rows.values_list("name", flat=True))


def primary(deployment: Deployment) -> Domain | None:
    found = deployment.domains.filter(primary=True).values_list("name", flat=True).first()
    return Domain(found) if found else None
