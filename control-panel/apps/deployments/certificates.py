"""Certificates of deployments: what the host says of them, kept for pages and alerts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from apps.core import hosts
from apps.core.clock import now
from apps.deployments import errands
from apps.deployments.models import Certificate, Deployment, ErrandKind
from webops_host.certificate_values import CertificateSource, CertificateStatus, HostCertificate
from webops_host.errors import HostError
from webops_host.ports import Host


def known(deployment: Deployment) -> Certificate | None:
    """As the host says now, or, when it does not answer, as it said last. None: there is nothing to say."""
    row = Certificate.objects.filter(deployment=deployment).first()
    try:
        status = hosts.of(deployment.host).certificates.status(deployment.slug)
    except HostError:
        return row
    if not status.hosts:
        return row
    return _filled(row or Certificate(deployment=deployment), status)


def keep(deployment: Deployment, status: CertificateStatus) -> Certificate:
    """Write down what the host says."""
    row = Certificate.objects.filter(deployment=deployment).first() or Certificate(deployment=deployment)
    _filled(row, status).save()
    return row


def refresh(deployment: Deployment, host: Host) -> Certificate | None:
    """Ask and write down. None: this host has no certificates, or the deployment no site."""
    try:
        status = host.certificates.status(deployment.slug)
    except HostError:
        return None
    return keep(deployment, status) if status.hosts else None


def after_release(deployment: Deployment) -> None:
    """Have the certificates looked at for a site where nobody did yet; by an errand, since no release waits for an
    authority."""
    if deployment.url.startswith("https://") and not Certificate.objects.filter(deployment=deployment).exists():
        errands.ask_ourselves(deployment, ErrandKind.CHECK)


def _filled(row: Certificate, status: CertificateStatus) -> Certificate:
    own = [entry for entry in status.hosts if entry.source is not CertificateSource.PLATFORM]
    first = min(own or status.hosts, key=lambda entry: entry.facts.not_after, default=None)
    row.hosts = [_entry(entry) for entry in status.hosts]
    if first is not None:
        row.source, row.issuer, row.names = first.source, first.facts.issuer[:200], list(first.facts.names)
        row.not_before, row.not_after = _moment(first.facts.not_before), _moment(first.facts.not_after)
        row.fingerprint, row.on_the_wire = first.facts.fingerprint[:64], first.on_the_wire[:64]
    row.failures, row.problem = status.failures, status.last_error[:2000]
    row.failing_since = (row.failing_since or now()) if status.failures else None
    row.next_try_at = _moment(status.next_try) if status.next_try else None
    row.checked_at = now()
    return row


def _entry(entry: HostCertificate) -> dict[str, Any]:
    return {
        "host": entry.host,
        "source": str(entry.source),
        "issuer": entry.facts.issuer,
        "covered": entry.covered and not entry.facts.self_signed,
        "self_signed": entry.facts.self_signed,
        "not_after": _moment(entry.facts.not_after).isoformat(),
        "fingerprint": entry.facts.fingerprint,
        "other_on_the_wire": bool(entry.on_the_wire) and not entry.is_served,
    }


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, tz=UTC)


def refuse_bad_pair(chain: str, key: str) -> None:
    """Raise Invalid with the field unless this is a certificate that is good now, with its own key. The host checks it
    again; here it is checked where the person can mend it."""
    from apps.deployments import pairs  # its library: 2.5 MiB, only where somebody uploads

    pairs.refuse_bad(chain, key)
