"""How an operation comes to its objects: by name, and only to those that the actor may see."""

from __future__ import annotations

from apps.core import access
from apps.core.access import Actor, Capability
from apps.core.errors import Forbidden, Invalid, Missing
from apps.core.models import GitServer, Role, Team
from apps.deployments.models import Deployment, Release
from webops_host.errors import BadValue
from webops_host.names import DeploymentName


def deployment(actor: Actor, name: str) -> Deployment:
    """Raises Missing, also for what no deployment can be called."""
    rows = Deployment.objects.visible_to(actor).select_related("team", "host", "database")
    return access.one(rows, name=_name(name))


def whole(actor: Actor, name: str) -> Deployment:
    """The same with the releases that its status is made of."""
    rows = Deployment.objects.visible_to(actor).select_related("team", "host", "database").with_releases()
    return access.one(rows, name=_name(name))


def release(actor: Actor, name: str, number: int) -> Release:
    rows = deployment(actor, name).releases.select_related("deployment__team", "triggered_by", "back_to")
    if not 0 < number < 1 << 31:
        raise _missing("release")
    return access.one(rows, number=number)


def git_server(actor: Actor, server_id: int) -> GitServer:
    if not 0 < server_id < 1 << 63:
        raise _missing("Git server")
    return access.one(GitServer.objects.filter(team__in=actor.teams()).select_related("team"), pk=server_id)


def team(actor: Actor, slug: str | None, capability: Capability) -> Team:
    """The team that is named, or else the only one where the actor may do this. Raises Missing, Forbidden, Invalid."""
    if slug is not None:
        return access.one(actor.teams(), slug=slug[:40].replace("\x00", ""))
    roles = [role for role, capabilities in access.POLICY.items() if capability in capabilities]
    rows = list(actor.memberships().filter(role__in=roles).select_related("team").order_by("team__slug")[:20])
    if len(rows) == 1:
        return rows[0].team
    if not rows:
        raise Forbidden(
            "In none of your teams you have a role that allows this.",
            hint=f"It needs {', '.join(Role(role).label.lower() for role in roles)}. Ask an owner of the team.",
        )
    names = ", ".join(row.team.slug for row in rows)
    raise Invalid("You are in several teams: say which one.", fields={"team": [f"Use one of: {names}."]})


def _name(text: str) -> DeploymentName:
    try:
        return DeploymentName(text)
    except BadValue:
        raise _missing("deployment") from None


def _missing(what: str) -> Missing:
    return Missing(f"There is no such {what} here, or you may not see it.", hint="Check the name.")
