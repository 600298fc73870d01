"""What somebody should know although nobody asked."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from apps.deployments.models import Deployment


class Severity(models.TextChoices):
    WARNING = "warning", "Warning"
    CRITICAL = "critical", "Critical"


class Alert(models.Model):
    """Something that is wrong, from when it was seen first until it was seen to be over. While it lasts there is one
    row for each kind and subject, however often it is seen. Without a deployment it is about the platform itself."""

    kind = models.CharField(max_length=60)
    severity = models.CharField(max_length=10, choices=Severity.choices, default=Severity.WARNING)
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, null=True, related_name="alerts")
    subject = models.CharField(max_length=120)
    text = models.TextField()
    hint = models.TextField(blank=True)
    times = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "alerts"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject"], condition=Q(resolved_at=None), name="one_open_alert_per_kind_and_subject"
            ),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="alert_severity_known"),
        ]
        indexes = [models.Index(fields=["resolved_at", "-last_at"], name="alerts_open_first")]
        ordering = ["-last_at", "-pk"]

    @property
    def is_open(self) -> bool:
        return self.resolved_at is None
