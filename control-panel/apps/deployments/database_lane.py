"""What errands about a deployment's database do, under the lease of the deployment's lane: a release never migrates
while its database changes places with another."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from apps.core.access import Actor, Capability
from apps.core.clock import now
from apps.core.errors import Conflict, Missing, Refused
from apps.core.models import Host as HostRow
from apps.databases import actions as databases
from apps.databases import uploads
from apps.databases.models import Database, Engine
from apps.deployments import credentials
from apps.deployments.actions import releases
from apps.deployments.errands import Act, Going
from apps.deployments.models import Deployment, ErrandKind, State, Wish
from webops_host.database_values import PIECE, Dump, Restored
from webops_host.errors import BadValue, CommandFailed, HostError
from webops_host.names import DeploymentName, DumpId
from webops_host.ports import Host

KEPT_FOR = timedelta(days=7)
TIDY_EVERY = timedelta(hours=6)


def rotate(going: Going) -> str:
    """A new password: everything that starts from now on has it, and a release of what is live brings it to what runs.
    The old one is ended when that release is live."""
    deployment, database = going.deployment, _database(going)
    databases.rotate(going.host, database)
    credentials.carry(deployment, database.old_url, database.url)
    live = deployment.live
    if live is None or Deployment.objects.get(pk=deployment.pk).wish == Wish.STOPPED:
        retire(going.host, deployment)
        return "The password is new; nothing ran with the old one."
    waiting = deployment.releases.filter(state=State.QUEUED).first()
    if waiting is not None and waiting.number:
        return f"The password is new. Release {waiting.number}, which waits, brings it to what runs."
    try:
        assert going.errand.asked_by is not None
        made = releases.follow(Actor(going.errand.asked_by), deployment, trigger="rotation")
    except Refused as error:
        return f"The password is new, and the old one works until the next release. {error.message}"
    return f"The password is new. Release {made.number} brings it to what runs; the old one works until then."


def retire(host: Host, deployment: Deployment) -> bool:
    """End the old password, when nothing runs that was started with it. Again: nothing."""
    return deployment.database is not None and databases.retire(host, deployment.database)


def dump(going: Going) -> str:
    return _described("Dumped", going.host.databases.dump(_name(going), going.console()))


def take_over(going: Going) -> str:
    """An uploaded file becomes a dump. It may come again: what the host has already is only compared."""
    name, dump = _name(going), _dump(going)
    file = uploads.path(dump)
    if file.is_file():
        with file.open("rb") as opened:
            offset = 0
            while piece := opened.read(PIECE):
                going.host.databases.receive(name, dump, offset, piece)
                offset += len(piece)
    try:
        made = going.host.databases.accept(name, dump, going.console())
    except (BadValue, CommandFailed):
        uploads.forget(dump)
        raise
    uploads.forget(dump)
    return _described("Taken over", made)


def restore(going: Going) -> str:
    """Restored beside, then switched; what runs connects anew by itself."""
    databases.replace(_database(going))
    return _arrived(going.host.databases.restore(_name(going), _dump(going), going.console()))


def clone(going: Going) -> str:
    """Fill this deployment's database from another one's, which whoever asked must still be allowed to read."""
    source = Database.objects.select_related("team").filter(name=str(going.errand.arguments["source"])).first()
    user = going.errand.asked_by
    if source is None or user is None or not Actor(user).may(Capability.READ_SECRETS, source.team):
        raise Missing("The database to clone is not there any more, or may not be read.")
    if source.host_id != going.deployment.host_id:
        raise Conflict("The two databases are on different servers.", hint="Download a dump, and upload it there.")
    databases.ensure(going.host, going.deployment)
    databases.replace(_database(going))
    return _arrived(going.host.databases.clone(_name(going), DeploymentName(source.name), going.console()))


def revert(going: Going) -> str:
    databases.replace(_database(going))
    going.host.databases.revert(_name(going))
    return "The database is the one from before the restore again."


def confirm(going: Going) -> str:
    going.host.databases.confirm(_name(going))
    return "The database from before the restore is gone."


def discard(going: Going) -> str:
    dump = _dump(going)
    going.host.databases.discard(_name(going), dump)
    return f"The dump {dump} is gone."


def tidy(row: HostRow, host: Host, stop: Callable[[], bool]) -> str:
    """Remove databases that a restore put aside longer ago than they are kept."""
    gone = []
    for database in Database.objects.filter(host=row, engine=Engine.POSTGRES).defer("url", "old_url"):
        name = DeploymentName(database.name)
        with suppress(HostError):
            since = host.databases.facts(name).kept_since
            if since and now().timestamp() - since > KEPT_FOR.total_seconds() and not stop():
                host.databases.confirm(name)
                gone.append(name)
    return f"Removed what was kept of {', '.join(gone)}." if gone else "Nothing was kept for too long."


def _database(going: Going) -> Database:
    database = Database.objects.filter(deployment=going.deployment).first()
    if database is None:
        raise Conflict(f"{going.deployment} has no database.", hint="It gets one with its first release.")
    going.deployment.database = database
    return database


def _name(going: Going) -> DeploymentName:
    return going.deployment.slug


def _dump(going: Going) -> DumpId:
    return DumpId(str(going.errand.arguments["dump"]))


def _described(what: str, dump: Dump) -> str:
    return f"{what}: {dump.id}, {_counted(dump.rows, dump.tables)}."


def _arrived(done: Restored) -> str:
    left_out = f" Left out: {', '.join(done.skipped[:5])}." if done.skipped else ""
    return f"{_counted(done.rows, done.tables)} are in place; the database before is kept until you say so.{left_out}"


def _counted(rows: int, tables: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'} in {tables} table{'' if tables == 1 else 's'}"


KINDS: dict[ErrandKind, tuple[Capability, Act]] = {
    ErrandKind.ROTATE: (Capability.CONFIGURE, rotate),
    ErrandKind.DUMP: (Capability.DEPLOY, dump),
    ErrandKind.TAKE_OVER: (Capability.CONFIGURE, take_over),
    ErrandKind.RESTORE: (Capability.CONFIGURE, restore),
    ErrandKind.CLONE: (Capability.CONFIGURE, clone),
    ErrandKind.REVERT: (Capability.CONFIGURE, revert),
    ErrandKind.CONFIRM: (Capability.DELETE, confirm),
    ErrandKind.DISCARD: (Capability.DELETE, discard),
}
