"""Looking after certificates without being asked: renewals twice a day, domains until they lead here, and alerts when
either does not come right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.db.models import Q

from apps.core.clock import now
from apps.core.models import Host as HostRow
from apps.deployments import certificates, errands
from apps.deployments.models import Certificate, CertificateSource, Deployment, DomainName, ErrandKind, Wish
from apps.services import alerts
from apps.services.models import Severity
from webops_host.certificate_values import Renewal
from webops_host.ports import Host

RENEW_EVERY, WATCH_EVERY, LOOK_EVERY = timedelta(hours=12), timedelta(hours=1), timedelta(minutes=10)
SOON, VERY_SOON = timedelta(days=14), timedelta(days=4)
FORGET_AFTER = timedelta(days=30)
KIND, WIRE, RENEWAL = "certificate.ends", "certificate.other_on_the_wire", "certificate.renewal"


def renew(row: HostRow, host: Host, stop: Callable[[], bool]) -> str:
    """Renew what is due, write down how things stand, and say what does not come right."""
    done = host.certificates.renew_due()
    watch(row, host, stop)
    for renewal in done:
        _tell(row, renewal)
    failed = [renewal.name for renewal in done if renewal.error]
    return f"{len(done) - len(failed)} renewed, {len(failed)} failed{': ' if failed else ''}{', '.join(failed[:5])}"


def watch(row: HostRow, host: Host, stop: Callable[[], bool]) -> str:
    """Ask about the certificate of every deployment with domains, and raise or resolve what there is to say."""
    mine = Deployment.objects.filter(host=row, wish=Wish.UP, domains__proven_at__isnull=False).distinct()
    count = 0
    for deployment in mine.select_related("team"):
        if stop():
            break
        kept = certificates.refresh(deployment, host)
        if kept is not None:
            judge(kept)
            count += 1
    return f"{count} looked at"


def judge(kept: Certificate) -> None:
    """Alerts about one deployment's certificate."""
    deployment = kept.deployment
    left = kept.not_after - now() if kept.not_after is not None else None
    own = kept.source != CertificateSource.PLATFORM
    if own and left is not None and left < SOON:
        severity = Severity.CRITICAL if left < VERY_SOON else Severity.WARNING
        days = max(left.days, 0)
        text = f"The certificate of {deployment.name} ends in {days} day{'' if days == 1 else 's'}."
        if left < timedelta(0):
            text = f"The certificate of {deployment.name} has ended."
        hint = (
            "Upload a new one." if kept.source == CertificateSource.UPLOADED else kept.problem or "Look at its domains."
        )
        alerts.raise_(KIND, deployment.name, text, hint=hint, severity=severity, deployment=deployment)
    else:
        alerts.resolve(KIND, deployment.name)
    if kept.is_other_on_the_wire:
        text = f"Visitors of {deployment.name} get another certificate than the one on disk."
        alerts.raise_(WIRE, deployment.name, text, hint="The web server may need a reload.", deployment=deployment)
    else:
        alerts.resolve(WIRE, deployment.name)
    if not kept.failures and left is not None and left >= SOON:
        alerts.resolve(RENEWAL, deployment.name)


def _tell(row: HostRow, renewal: Renewal) -> None:
    """A renewal that failed is told at once; one that went well ends what was told before."""
    if not renewal.error:
        alerts.resolve(RENEWAL, renewal.name)
        return
    deployment = Deployment.objects.filter(host=row, name=renewal.name).first()
    whose = renewal.name if deployment is not None else "the panel"
    alerts.raise_(
        RENEWAL,
        renewal.name,
        f"The certificate of {whose} could not be renewed: {renewal.error}",
        hint="The one there is stays in use. It is tried again by itself.",
        deployment=deployment,
    )


def look(row: HostRow, host: Host, stop: Callable[[], bool]) -> str:
    """Ask the DNS again about domains that do not lead here yet, less and less often; and for a certificate once they
    do. The worker does it in the deployment's lane."""
    at = now()
    waiting = DomainName.objects.filter(
        Q(proven_at=None) | Q(deployment__certificate=None) | ~Q(deployment__certificate__source="uploaded"),
        deployment__host=row,
        created_at__gt=at - FORGET_AFTER,
        deployment__wish=Wish.UP,
    )
    found = {one.deployment for one in waiting.select_related("deployment__host") if _is_due(one)}
    for deployment in found:
        errands.ask_ourselves(deployment, ErrandKind.CHECK)
    return f"{len(found)} asked for"


def _is_due(domain: DomainName) -> bool:
    """After a tenth of the time that it has been here: every ten minutes at first, in the end every few days."""
    items = domain.records.get("items", [])
    kept = Certificate.objects.filter(deployment=domain.deployment_id).first()
    covered = kept is not None and any(e["host"] == domain.name and e["covered"] for e in kept.hosts)
    if domain.is_proven and items and all(item["ok"] for item in items) and (kept is None or covered):
        return False
    wait = max(LOOK_EVERY, (now() - domain.created_at) / 10)
    return domain.checked_at is None or domain.checked_at < now() - wait
