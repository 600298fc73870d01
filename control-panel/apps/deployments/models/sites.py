"""What of a site is not part of a release: its domains and its certificate."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q

from apps.core.clock import now
from apps.deployments.models.deployments import Deployment


class DomainName(models.Model):
    """A domain that leads to a deployment.

    It counts once it is proven: then no other deployment has it, it is served, and it is in the certificate. Until
    then it is a claim, which several teams may make; whoever proves it first has it. `proof` is the text of the TXT
    record that proves it. `records` is what was found in the DNS at `checked_at`.
    """

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="domains")
    name = models.CharField(max_length=253)
    primary = models.BooleanField(default=False)
    proof = models.CharField(max_length=64, blank=True)
    proven_at = models.DateTimeField(null=True)
    records = models.JSONField(default=dict)
    checked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "domains"
        constraints = [
            models.UniqueConstraint(
                fields=["deployment"], condition=Q(primary=True), name="one_primary_domain_per_deployment"
            ),
            models.UniqueConstraint(fields=["deployment", "name"], name="one_domain_per_deployment_and_name"),
            models.UniqueConstraint(fields=["name"], condition=Q(proven_at__isnull=False), name="one_proven_domain"),
            models.CheckConstraint(condition=Q(primary=False) | Q(proven_at__isnull=False), name="primary_is_proven"),
        ]
        ordering = ["-primary", "name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_proven(self) -> bool:
        return self.proven_at is not None

    @property
    def shown(self) -> str:
        """As people write it, where that differs from what the DNS is asked for."""
        return str(self.records.get("shown") or self.name)


class CertificateSource(models.TextChoices):
    UPLOADED = "uploaded", "Uploaded"
    ACME = "acme", "From an authority"
    PLATFORM = "platform", "The platform’s own"


class Certificate(models.Model):
    """What visitors of a deployment's names get, as the host said last, and how its renewals went.

    `hosts` has an entry for each name; the columns beside it are those of the certificate that ends first among the
    names that have one of their own.
    """

    deployment = models.OneToOneField(Deployment, on_delete=models.CASCADE, related_name="certificate")
    hosts = models.JSONField(default=list)
    source = models.CharField(max_length=10, choices=CertificateSource.choices, blank=True)
    names = models.JSONField(default=list)
    issuer = models.CharField(max_length=200, blank=True)
    not_before = models.DateTimeField(null=True)
    not_after = models.DateTimeField(null=True)
    fingerprint = models.CharField(max_length=64, blank=True)
    on_the_wire = models.CharField(max_length=64, blank=True)
    checked_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    problem = models.TextField(blank=True)
    next_try_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "core_ssl_certificate"
        constraints = [
            models.CheckConstraint(
                condition=Q(source__in=["", *CertificateSource.values]), name="certificate_source_known"
            )
        ]

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What each name shows, for people: with the end as a moment and in days."""
        found = []
        for entry in self.hosts:
            until = datetime.fromisoformat(entry["not_after"])
            word = CertificateSource(entry["source"]).label
            found.append({**entry, "until": until, "left": (until - now()).days, "word": word})
        return found

    @property
    def lacking(self) -> list[str]:
        """The names for which there is none that browsers trust."""
        return [entry["host"] for entry in self.hosts if not entry["covered"]]

    @property
    def is_other_on_the_wire(self) -> bool:
        """Whether visitors get another certificate than the one on disk."""
        return any(entry["other_on_the_wire"] for entry in self.hosts)
