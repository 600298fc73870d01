"""How a site behaves: maintenance page, password wall, allow list, limits. The worker has the web server follow."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from apps.core import access, audit, passwords
from apps.core.access import Actor, Capability
from apps.core.errors import Conflict, Invalid
from apps.deployments import errands, running, sites
from apps.deployments.models import Deployment, ErrandKind, Wish
from webops_host.errors import BadValue
from webops_host.names import ProcessKind
from webops_host.site_options import Visitor

SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 200
CHANGEABLE = frozenset(
    {"maintenance", "allow", "body_limit_mib", "cdn", "hsts", "fallback", "sleep_minutes", "www", "one_name"}
)
"""What `change` takes; the wall has functions of its own, because passwords come in there."""


def change(actor: Actor, deployment: Deployment, **wanted: Any) -> Deployment:
    """Choose how the site behaves; what is not given stays. Raises Invalid with the field, and then nothing changes."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    unknown = sorted(set(wanted) - CHANGEABLE)
    if unknown:
        raise Invalid(f"There is no option {unknown[0]}.", fields={unknown[0]: ["There is no such option."]})
    if wanted.get("sleep_minutes"):
        refuse_sleep(deployment)
    return _keep(actor, deployment, {**deployment.site, **wanted}, changed=sorted(wanted))


def let_in(actor: Actor, deployment: Deployment, visitor: str, password: str) -> Deployment:
    """Have a password wall that this visitor passes, with this password from now on. Only its hash is kept. Raises
    Invalid with the field."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    try:
        name = Visitor(visitor.strip())
    except BadValue as error:
        raise Invalid.of("visitor", error) from None
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD or not password.isprintable():
        raise Invalid(
            "That password can not be used.",
            fields={"password": [f"Use {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} signs."]},
        )
    others = [entry for entry in deployment.site.get("wall", []) if entry["visitor"] != name]
    wall = [*others, {"visitor": str(name), "password": passwords.hashed(password)}]
    return _keep(actor, deployment, {**deployment.site, "wall": wall}, let_in=str(name))


def shut_out(actor: Actor, deployment: Deployment, visitor: str) -> Deployment:
    """Take somebody off the list; without anybody left there is no wall. An unknown one is fine."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    wall = [entry for entry in deployment.site.get("wall", []) if entry["visitor"] != visitor]
    return _keep(actor, deployment, {**deployment.site, "wall": wall}, shut_out=visitor[:64])


def refuse_sleep(deployment: Deployment) -> None:
    """Raise Conflict for one that does something while nobody visits."""
    live = deployment.live
    plan = live.plan if live is not None else None
    if plan is None:
        return
    kinds = [process.kind for process in plan.processes if process.kind != ProcessKind(running.WEB) and process.count]
    if kinds or plan.cron:
        what = f"the process “{kinds[0]}”" if kinds else "commands on a schedule"
        raise Conflict(
            f"{deployment} has {what}, which would not be there for its work.",
            hint="Only a deployment that does nothing without visitors may sleep.",
            code="never_sleeps",
        )


def _keep(actor: Actor, deployment: Deployment, site: dict[str, Any], **detail: Any) -> Deployment:
    if deployment.wish == Wish.DELETED:
        raise Conflict(f"{deployment} is being deleted.", hint="Wait until it is gone.")
    checked = sites.check(site)
    slept = deployment.site.get("sleep_minutes", 0) != checked.get("sleep_minutes", 0)
    other_way = deployment.site.get("cdn") != checked.get("cdn")
    with transaction.atomic():
        Deployment.objects.filter(pk=deployment.pk).update(site=checked)
        deployment.site = checked
        audit.record(actor, "site.change", team=deployment.team, target=deployment.name, **detail)
        errands.ask(actor, deployment, ErrandKind.START if slept and deployment.wish == Wish.UP else ErrandKind.PUBLISH)
        if other_way and deployment.domains.exists():
            errands.ask(actor, deployment, ErrandKind.CHECK)  # whether they lead here is another question now
    return deployment
