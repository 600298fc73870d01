"""The policy: what each role may do. Every door asks here, and nowhere else.

Objects reach a door only through `visible` querysets of an actor; a thing of another team is `Missing`, not forbidden.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from apps.core.errors import Forbidden, Missing
from apps.core.models import Membership, Role, Team, User


class Capability(enum.StrEnum):
    VIEW = "view"  # see deployments, releases, logs; names of variables but no values
    DEPLOY = "deploy"  # deploy, roll back, cancel, start, stop, restart
    READ_SECRETS = "read secrets"  # see values of variables and database passwords
    CONFIGURE = "configure"  # create deployments, change variables and settings
    DELETE = "delete"  # delete deployments and databases
    ADMINISTER = "administer"  # members, Git servers, the team's audit log


_DEVELOPER = {Capability.VIEW, Capability.DEPLOY, Capability.READ_SECRETS, Capability.CONFIGURE}
POLICY: dict[Role, frozenset[Capability]] = {
    Role.VIEWER: frozenset({Capability.VIEW}),
    Role.DEVELOPER: frozenset(_DEVELOPER),
    Role.ADMIN: frozenset(Capability),
    Role.OWNER: frozenset(Capability),
}
SCOPES: dict[str, frozenset[Capability]] = {
    "read": frozenset({Capability.VIEW}),
    "deploy": frozenset({Capability.VIEW, Capability.DEPLOY}),
    "write": frozenset(_DEVELOPER),
    "admin": frozenset(Capability),
}
"""What a token of a scope may do at most, within its owner's role."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a person, perhaps through a token with a scope, perhaps limited to one team."""

    user: User
    address: str | None = None
    token: str = ""
    scope: str = "admin"
    only_team: int | None = None

    def memberships(self) -> QuerySet[Membership]:
        """Read at each call, so that a role taken away is gone at once."""
        rows = Membership.objects.filter(user=self.user, user__is_active=True)
        return rows if self.only_team is None else rows.filter(team_id=self.only_team)

    def teams(self) -> QuerySet[Team]:
        return Team.objects.filter(pk__in=self.memberships().values("team"))

    def role_in(self, team: Team) -> Role | None:
        row = self.memberships().filter(team=team).only("role").first()
        return Role(row.role) if row else None

    def may(self, capability: Capability, team: Team) -> bool:
        role = self.role_in(team)
        return role is not None and capability in POLICY[role] and capability in SCOPES[self.scope]


def require(actor: Actor, capability: Capability, team: Team) -> None:
    """Return if the actor may. Raises Missing for strangers and Forbidden for members whose role is too small."""
    role = actor.role_in(team)
    if role is None:
        raise Missing("There is no such thing here, or you may not see it.")
    if capability not in POLICY[role]:
        able = ", ".join(r.label.lower() for r in Role if capability in POLICY[r])
        raise Forbidden(
            f"Your role in {team} is {role.label.lower()}; this needs {able}.",
            hint="Ask an owner or admin of the team.",
        )
    if capability not in SCOPES[actor.scope]:
        raise Forbidden(
            f"This token has the scope “{actor.scope}”, which does not allow it.",
            hint="Make a token with a wider scope.",
        )


M = TypeVar("M", bound=Model)


def one(queryset: QuerySet[M], **lookup: Any) -> M:
    """The object of an already scoped queryset. Raises Missing."""
    found = queryset.filter(**lookup).first()
    if found is None:
        raise Missing("There is no such thing here, or you may not see it.", hint="Check the name.")
    return found
