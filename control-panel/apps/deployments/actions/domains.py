"""Domains of a deployment: add, remove, choose the primary one, look at the DNS. The worker has the site follow."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from apps.core import access, audit, hosts
from apps.core.access import Actor, Capability
from apps.core.clock import now
from apps.core.errors import Conflict, Invalid
from apps.deployments import domains, errands, sites
from apps.deployments.actions import releases
from apps.deployments.models import Deployment, DomainName, Errand, ErrandKind, Wish
from apps.deployments.plan import Kind
from webops_host.names import Domain
from webops_host.site_options import WwwRule


def add(actor: Actor, deployment: Deployment, name: str) -> DomainName:
    """Have a domain lead here. It counts at once where nobody else could want it, otherwise once its owner has set the
    TXT record that proves it. Raises Invalid with the field, Taken, Conflict."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    _refuse_deleted(deployment)
    encoded = domains.encode(name)
    domains.refuse_platform_names(encoded, domains.place(hosts.of(deployment.host)))
    domains.refuse_taken(encoded, deployment)
    _refuse_more(deployment, encoded)
    at = now() if domains.proves_itself(encoded, deployment) else None
    try:
        with transaction.atomic():
            first = not deployment.domains.filter(primary=True).exists()
            row = DomainName.objects.create(
                deployment=deployment,
                name=encoded,
                primary=first and at is not None,
                proof=domains.new_proof(),
                proven_at=at,
                records={"shown": domains.shown(encoded)},
            )
            audit.record(actor, "domain.add", team=deployment.team, target=deployment.name, domain=str(encoded))
            if at is not None:
                _follow(actor, deployment)
            errands.ask(actor, deployment, ErrandKind.CHECK)
    except IntegrityError:
        raise domains.Taken(f"{encoded} is taken.", hint="Somebody else was quicker.") from None
    return row


def remove(actor: Actor, deployment: Deployment, domain: DomainName) -> None:
    """Have it lead here no more. Visitors who still come by it get no answer."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    with transaction.atomic():
        audit.record(actor, "domain.remove", team=deployment.team, target=deployment.name, domain=domain.name)
        counted, was_primary = domain.is_proven, domain.primary
        domain.delete()
        if was_primary:
            _next_primary(deployment)
        if counted:
            _follow(actor, deployment)


def make_primary(actor: Actor, deployment: Deployment, domain: DomainName) -> DomainName:
    """Make it the name that the site calls itself. Again: nothing. Raises NotProven."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    if not domain.is_proven:
        raise domains.NotProven(
            f"{domain.name} is not proven to be yours yet.", hint="Set the TXT record first, then look again."
        )
    with transaction.atomic():
        deployment.domains.filter(primary=True).exclude(pk=domain.pk).update(primary=False)
        deployment.domains.filter(pk=domain.pk).update(primary=True)
        domain.primary = True
        audit.record(actor, "domain.primary", team=deployment.team, target=deployment.name, domain=domain.name)
        errands.ask(actor, deployment, ErrandKind.PUBLISH)
    return domain


def redirect(actor: Actor, deployment: Deployment, *, www: str, one_name: bool) -> Deployment:
    """Choose which of `www` and bare leads to the other, and whether all others lead to the primary one."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    if www not in tuple(WwwRule):
        raise Invalid("That is no rule for www.", fields={"www": [f"Use one of: {', '.join(WwwRule)}."]})
    chosen = sites.check({**deployment.site, "www": www, "one_name": one_name})
    with transaction.atomic():
        Deployment.objects.filter(pk=deployment.pk).update(site=chosen)
        deployment.site = chosen
        audit.record(actor, "domain.redirect", team=deployment.team, target=deployment.name, www=www, one_name=one_name)
        errands.ask(actor, deployment, ErrandKind.PUBLISH)
    return deployment


def look(actor: Actor, deployment: Deployment) -> Errand:
    """Ask the DNS about all of its domains now. Everybody who may see them may ask."""
    access.require(actor, Capability.VIEW, deployment.team)
    return errands.ask(actor, deployment, ErrandKind.CHECK)


def _follow(actor: Actor, deployment: Deployment) -> None:
    """Have the web server answer to the names of now. An app has to know them too, so it gets a release of the commit
    that is live, with the names of now; a static site needs none."""
    errands.ask(actor, deployment, ErrandKind.PUBLISH)
    live = deployment.live
    if live is None or deployment.wish != Wish.UP:
        return
    if live.plan is not None and live.plan.kind is not Kind.STATIC and actor.may(Capability.DEPLOY, deployment.team):
        releases.follow(actor, deployment, trigger="domains")


def _next_primary(deployment: Deployment) -> None:
    rows = deployment.domains.filter(proven_at__isnull=False).order_by("proven_at", "pk")
    if (first := rows.first()) is not None:
        rows.filter(pk=first.pk).update(primary=True)


def _refuse_more(deployment: Deployment, name: Domain) -> None:
    if deployment.domains.filter(name=name).exists():
        raise domains.Taken(f"{name} leads here already.", hint="Its records are on the page of its domains.")
    if deployment.domains.count() >= domains.MOST:
        raise Conflict(f"A deployment has at most {domains.MOST} domains.", hint="Remove one first.")


def _refuse_deleted(deployment: Deployment) -> None:
    if deployment.wish == Wish.DELETED:
        raise Conflict(f"{deployment} is being deleted.", hint="Wait until it is gone.")
