"""Accounts, teams, hosts and the audit log."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models import Q


class Role(models.TextChoices):
    """What a member may do; the table is in `access`."""

    OWNER = "owner", "Owner"
    ADMIN = "admin", "Admin"
    DEVELOPER = "developer", "Developer"
    VIEWER = "viewer", "Viewer"


class User(AbstractUser):
    objects: ClassVar[UserManager[User]] = UserManager()  # type: ignore[assignment]  # the stubs say Self

    class Meta:
        db_table = "core_users"


class Team(models.Model):
    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "core_teams"

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "core_memberships"
        constraints = [
            models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_team"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        ]


class SignInLink(models.Model):
    """A way in that works once: for the first owner of a panel (without a user), or for one who lost their password.

    Only the hash of what is in the link is kept.
    """

    digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "core_sign_in_links"


class HostKind(models.TextChoices):
    EMBEDDED = "embedded", "Embedded"
    LINUX = "linux", "Server"


class Host(models.Model):
    """A machine that deployments live on. `socket` is where its daemon listens."""

    name = models.SlugField(max_length=40, unique=True)
    kind = models.CharField(max_length=10, choices=HostKind.choices)
    socket = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "hosts"
        constraints = [models.CheckConstraint(condition=Q(kind__in=HostKind.values), name="host_kind_known")]

    def __str__(self) -> str:
        return self.name


class GitServer(models.Model):
    """A Git server that one team allowed by name and port, beside those of the platform's setting.

    `private` lets it have an address that is not public; nothing else at that address comes with it.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="git_servers")
    name = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=443)
    private = models.BooleanField(default=False)
    ca_pem = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "core_git_servers"
        constraints = [
            models.UniqueConstraint(fields=["team", "name", "port"], name="one_git_server_per_name_and_port"),
            models.CheckConstraint(condition=Q(port__gte=1, port__lte=65535), name="git_server_port_in_range"),
        ]


class Unchangeable(Exception):
    """Somebody tried to change or remove a record of the audit log: a defect, not a refusal."""


class AuditQuerySet(models.QuerySet["AuditRecord"]):
    """Reads and adds. A team or an account that goes is unlinked by Django itself, which does not come this way."""

    def update(self, **kwargs: Any) -> int:
        raise Unchangeable("The audit log is only added to.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise Unchangeable("The audit log is only added to.")

    def bulk_update(self, *args: Any, **kwargs: Any) -> int:
        raise Unchangeable("The audit log is only added to.")


class AuditRecord(models.Model):
    """One thing somebody did or was refused. Rows are only ever added; each carries a hash over the one before."""

    at = models.DateTimeField(db_index=True)
    actor = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    actor_name = models.CharField(max_length=150)
    token = models.CharField(max_length=40, blank=True)
    address = models.GenericIPAddressField(null=True)
    team = models.ForeignKey(Team, on_delete=models.SET_NULL, null=True, related_name="audit_records")
    action = models.CharField(max_length=60)
    target = models.CharField(max_length=120, blank=True)
    detail = models.JSONField(default=dict)
    digest = models.CharField(max_length=64)

    objects: ClassVar[AuditQuerySet] = AuditQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        db_table = "core_security_audit_log"
        indexes = [models.Index(fields=["team", "-at"], name="audit_by_team")]

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise Unchangeable("The audit log is only added to.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise Unchangeable("The audit log is only added to.")
