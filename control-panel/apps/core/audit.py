"""The audit log: who did what to what, in rows that are only added."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.db import connection, transaction

from apps.core.access import Actor
from apps.core.clock import now
from apps.core.lines import one_line
from apps.core.models import AuditRecord, Team

CHAIN = 0x776F6175  # the advisory lock that orders writers where the database does not


def record(actor: Actor | None, action: str, *, team: Team | None, target: str = "", **detail: Any) -> AuditRecord:
    """Add a record. `detail` must hold no secret: names and numbers only. An absent actor is the platform itself."""
    with transaction.atomic():
        _one_at_a_time()
        before = AuditRecord.objects.order_by("-pk").values_list("digest", flat=True).first() or ""
        row = AuditRecord(
            at=now(),
            actor=actor.user if actor else None,
            actor_name=one_line(actor.user.get_username()) if actor else "webops",
            token=actor.token if actor else "",
            address=actor.address if actor else None,
            team=team,
            action=action,
            target=one_line(target)[:120],
            detail={key: one_line(value) if isinstance(value, str) else value for key, value in detail.items()},
        )
        row.digest = digest(row, before)
        row.save(force_insert=True)
    return row


def _one_at_a_time() -> None:
    """Two records must not both follow the same one. SQLite has one writer anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [CHAIN])


def digest(row: AuditRecord, before: str) -> str:
    """The chain's next link: a hash over the record and the link before it."""
    parts = [before, row.at.isoformat(), row.actor_name, row.token, row.address, row.action, row.target, row.detail]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def verify() -> int | None:
    """The id of the first record that does not fit the chain, or None when all do."""
    before = ""
    for row in AuditRecord.objects.order_by("pk").iterator():
        if row.digest != digest(row, before):
            return row.pk
        before = row.digest
    return None
