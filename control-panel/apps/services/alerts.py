"""Raising and resolving alerts. The same thing seen again is the same alert, with a later time."""

from __future__ import annotations

from contextlib import suppress

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet

from apps.core.access import POLICY, Actor, Capability
from apps.core.clock import now
from apps.core.models import Role
from apps.deployments.models import Deployment
from apps.services.models import Alert, Severity


def raise_(
    kind: str,
    subject: str,
    text: str,
    *,
    hint: str = "",
    severity: Severity = Severity.WARNING,
    deployment: Deployment | None = None,
) -> bool:
    """Say that something is wrong. True when it is new; again: only its time, text and count change."""
    if _again(kind, subject, text, hint, severity):
        return False
    with suppress(IntegrityError), transaction.atomic():
        Alert.objects.create(
            kind=kind,
            subject=subject,
            text=text,
            hint=hint,
            severity=severity,
            deployment=deployment,
            first_at=now(),
            last_at=now(),
        )
        return True
    _again(kind, subject, text, hint, severity)
    return False


def _again(kind: str, subject: str, text: str, hint: str, severity: Severity) -> bool:
    rows = Alert.objects.filter(kind=kind, subject=subject, resolved_at=None)
    return bool(rows.update(text=text, hint=hint, severity=severity, last_at=now(), times=F("times") + 1))


def resolve(kind: str, subject: str) -> bool:
    """Say that it is over. True when it was open."""
    return bool(Alert.objects.filter(kind=kind, subject=subject, resolved_at=None).update(resolved_at=now()))


def open_for(actor: Actor) -> QuerySet[Alert]:
    """Those that this person should see: of the deployments of their teams, and of the platform for whoever looks after
    a team."""
    mine = Q(deployment__in=Deployment.objects.visible_to(actor))
    looks_after = [role for role in Role if Capability.ADMINISTER in POLICY[role]]
    if actor.memberships().filter(role__in=looks_after).exists():
        mine |= Q(deployment=None)
    return Alert.objects.filter(mine, resolved_at=None).select_related("deployment")
