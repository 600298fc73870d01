"""Rows of the API: tokens (a readable prefix and 256 random bits, of which only a hash is kept), counters of the
rate limits, and answers kept for a repeated request."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from apps.core.access import SCOPES
from apps.core.crypto import EncryptedTextField
from apps.core.models import Team, User


class ApiToken(models.Model):
    """A person's key to the API. `team` limits it to one team; without `expires_at` it lasts until it is revoked."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=10, choices=[(scope, scope) for scope in SCOPES])
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_address = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        db_table = "api_tokens"
        constraints = [models.CheckConstraint(condition=Q(scope__in=list(SCOPES)), name="token_scope_known")]
        ordering = ["-pk"]


class Counter(models.Model):
    """How often something happened in the present window, which ends at a Unix time."""

    key = models.CharField(max_length=80, primary_key=True)
    hits = models.PositiveIntegerField()
    ends_at = models.BigIntegerField(db_index=True)

    class Meta:
        db_table = "api_counters"


class KeptAnswer(models.Model):
    """The answer to a request with an Idempotency-Key, given again when the request comes again. Without a status
    the first one is still at work. A body may hold a fresh token, so it is encrypted."""

    key = models.CharField(max_length=64, primary_key=True)
    request = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = EncryptedTextField(default="")
    content_type = models.CharField(max_length=80, default="")
    kept_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "api_kept_answers"
