"""Making and dropping databases. Deployments get theirs by being deployed."""

from __future__ import annotations

from typing import Protocol

from django.db.models import F

from apps.core.models import Host as HostRow
from apps.core.models import Team
from apps.databases.models import Database, Engine
from webops_host.names import DeploymentName
from webops_host.ports import Host


class Owner(Protocol):
    """What a database belongs to; a deployment, seen from below."""

    team: Team
    host: HostRow
    database: Database | None

    @property
    def slug(self) -> DeploymentName: ...

    def save(self, *, update_fields: list[str]) -> None: ...


def ensure(host: Host, owner: Owner) -> str:
    """Have a database of the owner's name and return its URL. Again: the same one."""
    url = host.databases.ensure(owner.slug)
    engine = Engine.SQLITE if url.startswith("sqlite:") else Engine.POSTGRES
    row, _ = Database.objects.get_or_create(
        host=owner.host, name=str(owner.slug), defaults={"team": owner.team, "engine": engine, "url": url}
    )
    if row.url != url:
        row.url, row.engine = url, engine
        row.save(update_fields=["url", "engine"])
    if owner.database != row:
        owner.database = row
        owner.save(update_fields=["database"])
    return url


def replace(database: Database) -> None:
    """Note that all that is in it is about to be replaced: what was done to its tables before says nothing any more."""
    Database.objects.filter(pk=database.pk).update(generation=F("generation") + 1)


def rotate(host: Host, database: Database) -> bool:
    """Have a new password, and the URL with it in the row; the one before goes on working until `retire`. Again before
    that: nothing, which is False."""
    url = host.databases.rotate(DeploymentName(database.name))
    if url == database.url:
        return False
    database.old_url, database.url = database.url, url
    database.save(update_fields=["old_url", "url"])
    return True


def retire(host: Host, database: Database) -> bool:
    """End the password before: call it when nothing runs with it any more. False: there was none."""
    if not database.old_url:
        return False
    host.databases.retire(DeploymentName(database.name))
    database.old_url = ""
    database.save(update_fields=["old_url"])
    return True


def drop(host: Host, owner: Owner) -> None:
    """Remove the owner's database with its data. Again: nothing."""
    host.databases.drop(owner.slug)
    Database.objects.filter(host=owner.host, name=str(owner.slug)).delete()
