"""What a person can ask about a deployment's database. Who may is decided here; the worker has it done."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from apps.core import access, audit
from apps.core.access import Actor, Capability
from apps.core.errors import Conflict, Invalid
from apps.databases import uploads
from apps.databases.models import Database
from apps.deployments import errands
from apps.deployments.models import Deployment, Errand, ErrandKind, Wish
from webops_host.names import DumpId

KINDS = (
    ErrandKind.ROTATE, ErrandKind.DUMP, ErrandKind.TAKE_OVER, ErrandKind.RESTORE, ErrandKind.CLONE, ErrandKind.REVERT,
    ErrandKind.CONFIRM, ErrandKind.DISCARD,
)  # fmt: skip
"""Errands that are about a database."""


class NoDatabase(Conflict):
    code = "no_database"


def rotate(actor: Actor, deployment: Deployment) -> Errand:
    """A new password, without anybody waiting: a release brings it to what runs, and the old one ends with that."""
    return _ask(actor, deployment, Capability.CONFIGURE, ErrandKind.ROTATE)


def dump(actor: Actor, deployment: Deployment) -> Errand:
    """Write everything in the database to a file of the platform."""
    return _ask(actor, deployment, Capability.DEPLOY, ErrandKind.DUMP)


def upload(actor: Actor, deployment: Deployment, chunks: Iterable[bytes]) -> Errand:
    """Take a dump that was made elsewhere: pg_dump's own form, or plain SQL. Raises Invalid."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    _have_one(deployment)
    taken = uploads.write(chunks)
    return _ask(actor, deployment, Capability.CONFIGURE, ErrandKind.TAKE_OVER, dump=str(taken))


def restore(actor: Actor, deployment: Deployment, dump: DumpId) -> Errand:
    """Put what is in a dump in the place of what is in the database, which is kept until `confirm` or `revert`."""
    return _ask(actor, deployment, Capability.CONFIGURE, ErrandKind.RESTORE, dump=str(dump))


def clone(actor: Actor, deployment: Deployment, source: Database) -> Errand:
    """The same with what another database holds now. Reading that one needs the right to read its secrets."""
    access.require(actor, Capability.READ_SECRETS, source.team)
    if source.name == deployment.name:
        raise Invalid("A database can not be cloned into itself.", fields={"source": ["Choose another one."]})
    if source.host_id != deployment.host_id:
        raise Conflict("The two databases are on different servers.", hint="Download a dump, and upload it there.")
    return _ask(actor, deployment, Capability.CONFIGURE, ErrandKind.CLONE, needs_one=False, source=source.name)


def revert(actor: Actor, deployment: Deployment) -> Errand:
    """Go back to the database from before the last restore."""
    return _ask(actor, deployment, Capability.CONFIGURE, ErrandKind.REVERT)


def confirm(actor: Actor, deployment: Deployment) -> Errand:
    """Remove the database from before the last restore for good."""
    return _ask(actor, deployment, Capability.DELETE, ErrandKind.CONFIRM)


def discard(actor: Actor, deployment: Deployment, dump: DumpId) -> Errand:
    """Remove a dump for good."""
    return _ask(actor, deployment, Capability.DELETE, ErrandKind.DISCARD, dump=str(dump))


def download(actor: Actor, deployment: Deployment, dump: DumpId) -> None:
    """Note that somebody takes everything in the database along; the door reads the file."""
    access.require(actor, Capability.READ_SECRETS, deployment.team)
    audit.record(actor, "database.download", team=deployment.team, target=deployment.name, dump=str(dump))


def _ask(
    actor: Actor,
    deployment: Deployment,
    capability: Capability,
    kind: ErrandKind,
    *,
    needs_one: bool = True,
    **arguments: str,
) -> Errand:
    access.require(actor, capability, deployment.team)
    if needs_one:
        _have_one(deployment)
    if deployment.wish == Wish.DELETED:
        raise Conflict(f"{deployment} is being deleted.", hint="Wait until it is gone.")
    with transaction.atomic():
        audit.record(actor, f"database.{kind}", team=deployment.team, target=deployment.name, **arguments)
        return errands.ask(actor, deployment, kind, arguments=arguments, beside=True)


def _have_one(deployment: Deployment) -> None:
    if deployment.database_id is None:
        raise NoDatabase(f"{deployment} has no database.", hint="It gets one with its first release.")
