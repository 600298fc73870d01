"""Looking after certificates without being asked: renewals twice a day, domains until they lead here, and alerts when
either does not come right."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db.models import Q

from apps.core.clock import now
from apps.core.models import Host as HostRow
from apps.deployments import certificates, errands
from apps.deployments.models import Certificate, CertificateSource, Deployment, DomainName, ErrandKind, State, Wish
from apps.services import alerts
from apps.services.models import Alert, Severity
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
    failed = [renewal for renewal in done if renewal.error]
    names = [renewal.name for renewal in failed]
    _resolve_others(row, names)
    for renewal in failed:
        _tell(row, renewal)
    return f"{len(done) - len(failed)} renewed, {len(failed)} failed{': ' if failed else ''}{', '.join(names[:5])}"


def watch(row: HostRow, host: Host, stop: Callable[[], bool]) -> str:
    """Ask about the certificate of every deployment that is up, and raise or resolve what there is to say."""
    mine = Deployment.objects.filter(host=row, wish=Wish.UP, releases__state=State.LIVE)
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
    if own and left is not None and kept.not_before is not None and left > (now() - kept.not_before) / 2:
        alerts.resolve(RENEWAL, deployment.name)  # more than a third of its life: it is not due


def _resolve_others(row: HostRow, failed: list[str]) -> None:
    """What did not fail now is renewed, by us or by the server's own timer, or is gone."""
    told = Alert.objects.filter(Q(deployment=None) | Q(deployment__host=row), kind=RENEWAL, resolved_at=None)
    for subject in told.exclude(subject__in=failed).values_list("subject", flat=True):
        alerts.resolve(RENEWAL, subject)


def _tell(row: HostRow, renewal: Renewal) -> None:
    """A renewal that failed is told at once."""
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
    """Ask the DNS again about domains that do not lead here yet, and for the certificates of names that have none, less
    and less often. The worker does it in the deployment's lane."""
    up = Deployment.objects.filter(host=row, wish=Wish.UP)
    waiting = DomainName.objects.filter(deployment__in=up, created_at__gt=now() - FORGET_AFTER)
    found = {one.deployment for one in waiting.select_related("deployment__host") if _is_due(one)}
    known = Certificate.objects.filter(deployment__in=up)
    found |= {kept.deployment for kept in known.select_related("deployment__host") if _lacks_own(kept)}
    for deployment in found:
        errands.ask_ourselves(deployment, ErrandKind.CHECK)
    return f"{len(found)} asked for"


def _is_due(domain: DomainName) -> bool:
    items = domain.records.get("items", [])
    kept = Certificate.objects.filter(deployment=domain.deployment_id).first()
    lacks = kept is not None and (domain.name in kept.lacking or not any(e["host"] == domain.name for e in kept.hosts))
    if domain.is_proven and items and all(item["ok"] for item in items) and not lacks:
        return False
    return _has_waited(domain.created_at, domain.checked_at)


def _lacks_own(kept: Certificate) -> bool:
    """Whether it is time to ask for the name that a deployment has from the platform."""
    deployment = kept.deployment
    if not set(kept.lacking) - set(deployment.domains.values_list("name", flat=True)):
        return False
    if kept.next_try_at is not None and kept.next_try_at > now():
        return False
    last = deployment.errands.filter(kind=ErrandKind.CHECK).order_by("-pk").first()
    return _has_waited(deployment.created_at, last.created_at if last is not None else None)


def _has_waited(born: datetime, last: datetime | None) -> bool:
    """A tenth of the time that it has been here: every ten minutes at first, in the end every few days."""
    return last is None or last < now() - max(LOOK_EVERY, (now() - born) / 10)
