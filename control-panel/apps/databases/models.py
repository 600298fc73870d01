"""Databases that deployments use."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models
from django.db.models import Q

from apps.core.access import Actor
from apps.core.crypto import EncryptedTextField
from apps.core.models import Host, Team


class Engine(models.TextChoices):
    SQLITE = "sqlite", "SQLite"
    POSTGRES = "postgres", "PostgreSQL"


class DatabaseQuerySet(models.QuerySet["Database"]):
    def visible_to(self, actor: Actor) -> Self:
        return self.filter(team__in=actor.teams())


class Database(models.Model):
    """One database on one host. `url` holds its credentials and is encrypted. `old_url` is the one before, as long as
    it still works because something may run with it. `generation` counts how often all that is in it was replaced."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="databases")
    host = models.ForeignKey(Host, on_delete=models.PROTECT, related_name="databases")
    name = models.CharField(max_length=31)
    engine = models.CharField(max_length=10, choices=Engine.choices)
    url = EncryptedTextField()
    old_url = EncryptedTextField(blank=True, default="")
    generation = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[DatabaseQuerySet] = DatabaseQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        db_table = "databases"
        constraints = [
            models.UniqueConstraint(fields=["host", "name"], name="one_database_per_name_and_host"),
            models.CheckConstraint(condition=Q(engine__in=Engine.values), name="database_engine_known"),
        ]

    def __str__(self) -> str:
        return self.name
