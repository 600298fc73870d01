"""What a panel needs before its first page: tables, the first account with its team (on a server a one-time link to
make it with), the local host.

Each function does nothing the second time and says in sentences what it did.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from apps.core import audit
from apps.core.actions import entrances
from apps.core.checks import DEVELOPMENT_PASSWORD, accounts_with_development_password, is_loopback
from apps.core.errors import Conflict
from apps.core.models import Host, HostKind, Membership, Role, User


def prepare() -> Iterator[str]:
    """Make all of it. A production panel gets no account that anybody could know the password of."""
    yield from tables()
    if settings.PRODUCTION:
        yield from local_host(HostKind.LINUX, "this server")
        yield from first_link()
    else:
        yield from first_account()
        yield from local_host(HostKind.EMBEDDED, "this computer")


def refuse_development_password() -> None:
    """Raise Conflict when others can reach the panel while an account has the development password."""
    bind = settings.ENV.bind
    names = [] if is_loopback(bind) else accounts_with_development_password()
    if names:
        raise Conflict(
            f"At {bind} others can reach the panel, and the account “{names[0]}” has the development password.",
            hint=f"Set another one first: venv/bin/python manage.py changepassword {names[0]}",
        )


def tables() -> Iterator[str]:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)
        yield "The database is up to date."
    if settings.CACHES["default"]["LOCATION"] not in connection.introspection.table_names():
        call_command("createcachetable", verbosity=0)


def first_account() -> Iterator[str]:
    """The development account, unless there is any account already."""
    with transaction.atomic():
        if User.objects.exists():
            return
        user = User.objects.create_superuser("admin", password=DEVELOPMENT_PASSWORD)
        team = entrances.first_team()
        Membership.objects.create(team=team, user=user, role=Role.OWNER)
        audit.record(None, "account.created", team=team, target=user.username)
    yield f"The first account is “admin” with the password “{DEVELOPMENT_PASSWORD}”, owner of the team “{team}”."


def first_link() -> Iterator[str]:
    """A way in for the first owner, while there is no account and no such link that still works."""
    entrances.first_team()
    if not User.objects.exists() and not entrances.first_is_given_out():
        yield from entrances.told(entrances.make(None))


def local_host(kind: HostKind, what: str) -> Iterator[str]:
    _, made = Host.objects.get_or_create(name=settings.ENV.host, defaults={"kind": kind})
    if made:
        yield f"Deployments live on the host “{settings.ENV.host}”: {what}."
