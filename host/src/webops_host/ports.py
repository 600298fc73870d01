"""The protocols every host satisfies. One contract suite runs on all of them.

Calls block. Long ones take a `Console` for their lines and for cancelling. Everything raises `HostError` and nothing
else on purpose. Whatever is repeated with the same arguments leaves the same state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from webops_host.certificate_values import CertificateStatus, NameCheck, PrivateKey, Renewal
from webops_host.database_values import DatabaseFacts, Dump, Restored
from webops_host.names import CommitId, DeploymentName, DumpId, PythonVersion, RelativePath, RunId
from webops_host.numbers import Moment, Offset, Positive
from webops_host.timed_values import TimedCommand, TimedRun
from webops_host.values import (
    Console,
    Disk,
    DjangoFacts,
    DjangoWork,
    Entry,
    FetchSpec,
    HealthCheck,
    LogLine,
    NodePlan,
    ProjectLine,
    Published,
    PythonBuilt,
    PythonPlan,
    Ready,
    Revision,
    Runtime,
    Site,
    SiteAddress,
    Unit,
    UnitRef,
    UnitStatus,
)


class Accounts(Protocol):
    """The folders (and, on a server, the system user) of a deployment."""

    def ensure(self, name: DeploymentName) -> None:
        """Make the deployment's place. Nothing happens the second time."""

    def remove(self, name: DeploymentName) -> None:
        """Remove everything of the deployment: units, site, releases, shared files. Absent is fine."""

    def releases(self, name: DeploymentName) -> tuple[int, ...]:
        """Numbers of the releases on disk that are whole, lowest first."""

    def leftovers(self, name: DeploymentName) -> tuple[int, ...]:
        """Numbers of those that are not whole, lowest first: in the making, cut short, or removed by halves."""

    def discard(self, name: DeploymentName, release: Positive) -> int:
        """Remove one release's files and units, and environments no other release uses; returns the bytes freed.
        Refuses (BadValue) the release that the site serves. Absent is fine and frees 0."""

    def seal(self, name: DeploymentName, release: Positive) -> None:
        """Mark the release's files as whole. `releases` lists only sealed ones."""


class Sources(Protocol):
    """Repositories: fetched into a mirror that project code never writes, read without checking anything out."""

    def fetch(
        self, name: DeploymentName, spec: FetchSpec, console: Console, release: Positive | None = None
    ) -> Revision:
        """Bring the newest commit of the ref into the mirror. Fetching again moves only what is new. With a release,
        what laying out its files needs may be made ready meanwhile: from then on there may be something to discard.
        Raises FetchFailed, AddressRefused, DiskFull."""

    def listing(self, name: DeploymentName, commit: CommitId) -> tuple[Entry, ...]:
        """Every path of a fetched commit (at most 50,000; BadValue above)."""

    def read(self, name: DeploymentName, commit: CommitId, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Contents of the regular files among `paths` (each at most 1 MiB, together 32 MiB); others are left out."""

    def checkout(self, name: DeploymentName, release: Positive, commit: CommitId) -> None:
        """Lay the commit's tree out as the release's source. Links that lead outside the tree, and submodules, are
        left out. A half-made tree is made anew."""


class Builds(Protocol):
    """Work on a release that runs project code; always as the deployment's own user, streaming lines."""

    def pythons(self) -> tuple[PythonVersion, ...]:
        """The interpreters that are here, oldest first. Others may be fetched by `python` when the network allows."""

    def python(self, name: DeploymentName, release: Positive, plan: PythonPlan, console: Console) -> PythonBuilt:
        """Have the environment. The same digest again does nothing. Raises CommandFailed, PythonMissing, DiskFull."""

    def node(self, runtime: Runtime, plan: NodePlan, console: Console) -> None:
        """Run the front-end build in the release's source. Raises CommandFailed, ProgramMissing."""

    def run(self, runtime: Runtime, line: ProjectLine, timeout: float, console: Console) -> None:
        """Run a command line of the project's owner in the release's source. Raises CommandFailed, CommandTimedOut."""

    def django(self, runtime: Runtime, work: DjangoWork, console: Console) -> DjangoFacts:
        """Check, migrate and collect static files in one process. Raises CommandFailed, CommandTimedOut."""

    def carry_static(self, name: DeploymentName, release: Positive, source: Positive) -> None:
        """Have the collected static files of the release `source` in this release too, without copying their contents.
        Raises NotFound when `source` has no files. Again: nothing."""

    def publish(self, name: DeploymentName, release: Positive, folder: RelativePath) -> Published:
        """Copy a folder of the release's source to its public tree, without links, dot files (except .well-known)
        and .git. Raises NotFound when the folder or its index.html is missing. Again: made anew."""


class Commands(Protocol):
    """One-off commands of a deployment. They go on whether or not somebody follows them, for as long as the host's
    process lasts."""

    def begin(self, runtime: Runtime, line: ProjectLine, timeout: float, run: RunId) -> None:
        """Have it run as by `builds.run`, and return at once. The same id again: nothing, so it never runs twice.
        Raises BadValue when too many go on."""

    def follow(self, name: DeploymentName, run: RunId, after: Offset, console: Console) -> None:
        """What it prints, but for the first `after` lines, until it is over; for ten minutes after that it can be asked
        again. Raises what it ended with (CommandFailed, CommandTimedOut, Cancelled), and NotFound for one that this
        host does not know, or not any more. Cancelling this only leaves: the command goes on."""

    def end(self, name: DeploymentName, run: RunId) -> None:
        """Have it over, with all that it started. One that is over or unknown is fine."""


class Processes(Protocol):
    """Keeps programs running, one unit per process kind, release and copy."""

    def install(self, unit: Unit) -> None:
        """Make the unit known. Installing the same unit twice changes nothing; an installed unit survives restarts."""

    def start(self, ref: UnitRef) -> None:
        """Have it running. A running unit is left alone. Raises NotFound when it is not installed."""

    def stop(self, ref: UnitRef) -> None:
        """Have it stopped, politely and then by force after 30 s. A stopped or absent unit is fine."""

    def remove(self, ref: UnitRef) -> None:
        """Stop it and forget it. Absent is fine."""

    def status(self, name: DeploymentName) -> tuple[UnitStatus, ...]:
        """Every installed unit of the deployment, from the machine and not from memory."""

    def ready(self, ref: UnitRef, check: HealthCheck, console: Console) -> Ready:
        """Wait until the unit answers the check. Raises NotReady with the reason and what it last answered."""

    def logs(self, name: DeploymentName, *, after: int = 0, limit: int = 500) -> tuple[LogLine, ...]:
        """Lines its units printed after a position, oldest first; `after=0` gives the last `limit`."""


class Timers(Protocol):
    """Commands that run at their times whether or not somebody is there to ask for it, where the host has a clock of
    its own. One that has none runs nothing: whoever arranged them keeps the time and has each run by `builds.run`."""

    def arrange(self, runtime: Runtime, commands: tuple[TimedCommand, ...]) -> bool:
        """Have exactly these of the deployment run from now on, in this release; what an earlier one started goes on to
        its end. A turn that was missed is made up for once; while a command runs it is not started again. The same
        again: nothing. False: this host keeps no time. At most a hundred. Raises BadValue, and NotFound when the
        release's source is not there."""

    def stop(self, name: DeploymentName) -> None:
        """Begin none of them until the next `arrange`. None is fine."""

    def runs(self, name: DeploymentName, since: Moment) -> tuple[TimedRun, ...]:
        """What began at that Unix time or later by the host's own clock, oldest first: the last hundred, those of
        commands that are no longer arranged too. A run is told with the same id each time."""


class Sites(Protocol):
    """What the web server answers with."""

    def publish(self, site: Site) -> SiteAddress:
        """Serve this from now on, in one atomic switch: no request is lost, and none that begins after the return
        reaches the release before. The same site again changes nothing."""

    def unpublish(self, name: DeploymentName) -> None:
        """Stop serving. Absent is fine; the address stays reserved for the deployment."""

    def address(self, name: DeploymentName) -> SiteAddress | None:
        """Where it answers and what it serves now, or None."""

    def reserve(self, name: DeploymentName) -> str:
        """The URL the site has or will have. Stable once given."""

    def drain(self, ref: UnitRef, timeout: float) -> bool:
        """Wait until no request of the site is in flight to this unit. False when the time ran out."""


class Certificates(Protocol):
    """What a deployment's names prove themselves with. A host without TLS raises NotSupported."""

    def check(self, name: DeploymentName) -> tuple[NameCheck, ...]:
        """Whether each of its names leads to this server, asked of the DNS and of the address itself now."""

    def issue(self, name: DeploymentName, console: Console) -> CertificateStatus:
        """Have a certificate from the authority for those of its names that lead here. Again, while that is good for
        all of them: nothing. Raises CertificateRefused with the reason, also when a name is missing in what is there
        and does not lead here, or a new one would lose a name; NotFound without a site, Cancelled."""

    def renew_due(self) -> tuple[Renewal, ...]:
        """Renew each of the authority's certificates that has less than a third of its life left, unless it failed a
        short while ago. One that fails stays in use. Again: nothing is due any more."""

    def upload(self, name: DeploymentName, chain_pem: str, key: PrivateKey) -> CertificateStatus:
        """Use a person's own certificate for the names it covers, before any other. Raises BadValue when key,
        chain or names do not fit, or it is over. Again: the same."""

    def remove(self, name: DeploymentName) -> None:
        """Use the uploaded certificate no more. None is fine."""

    def status(self, name: DeploymentName) -> CertificateStatus:
        """What each name shows, from the files and from the running web server."""


class Databases(Protocol):
    """A database for each deployment that wants one. What a kind of database can not do raises NotSupported."""

    def ensure(self, name: DeploymentName) -> str:
        """Have a database; returns its URL, with a password where there is one. The same URL each time."""

    def rotate(self, name: DeploymentName) -> str:
        """Have a new password beside the old one; returns the URL with it, which `ensure` gives from now on. The URL
        before goes on working until `retire`. Again before that: the same new URL."""

    def retire(self, name: DeploymentName) -> None:
        """End the password before the last `rotate`, and what is still connected with it. Again: nothing."""

    def drop(self, name: DeploymentName) -> None:
        """Remove it with its data, its dumps and its roles. Absent is fine."""

    def size(self, name: DeploymentName) -> int:
        """Bytes it takes, 0 when absent."""

    def facts(self, name: DeploymentName) -> DatabaseFacts:
        """What there is to say of it now. Raises NotFound when it is absent."""

    def dump(self, name: DeploymentName, console: Console) -> Dump:
        """Write all of it to a file of the platform and read that file whole. One that is not good is removed, and
        those before stay. Again: one more. Raises NotFound, CommandFailed, DiskFull, Cancelled."""

    def dumps(self, name: DeploymentName) -> tuple[Dump, ...]:
        """Every good dump, newest first."""

    def read(self, name: DeploymentName, dump: DumpId, offset: Offset) -> bytes:
        """A piece of the file from there on (at most 1 MiB); nothing at its end. Raises NotFound."""

    def receive(self, name: DeploymentName, dump: DumpId, offset: Offset, piece: bytes) -> int:
        """Take a piece of a file that a person uploads; returns how many bytes are there now. The same piece again:
        nothing. Raises BadValue for a gap, DiskFull."""

    def accept(self, name: DeploymentName, dump: DumpId, console: Console) -> Dump:
        """Read an uploaded file whole; a good one becomes a dump, any other is removed. Again: the same dump.
        Raises NotFound, BadValue, CommandFailed, Cancelled."""

    def discard(self, name: DeploymentName, dump: DumpId) -> None:
        """Remove a dump, or what was received of one. Absent is fine."""

    def restore(self, name: DeploymentName, dump: DumpId, console: Console) -> Restored:
        """Fill a new database from the dump, as the deployment's own role; when that went well, put it in the place of
        the one there is, in one switch that ends its connections. The one before is kept, closed, until `confirm` or
        `revert`; if one is kept already, that one stays. Raises NotFound, BadValue, CommandFailed, DiskFull,
        Cancelled: then nothing has changed."""

    def clone(self, name: DeploymentName, source: DeploymentName, console: Console) -> Restored:
        """The same as `restore`, from what the database of `source` holds now. `name` gets a database if it has none.
        Both must be the platform's own; who may do this is decided above."""

    def revert(self, name: DeploymentName) -> None:
        """Put the kept database back; what was restored is removed. None kept: nothing."""

    def confirm(self, name: DeploymentName) -> None:
        """Remove the kept database. None kept: nothing."""


class Meters(Protocol):
    def disk(self) -> Disk: ...

    def space(self, name: DeploymentName) -> Mapping[str, int]:
        """Bytes by part: mirror, releases, environments, shared."""


class Host(Protocol):
    """A machine. `fenced` gives the same machine for a holder of a lease: calls for this deployment with an older
    fence than one already seen are refused with `Stale`."""

    accounts: Accounts
    sources: Sources
    builds: Builds
    commands: Commands
    processes: Processes
    timers: Timers
    sites: Sites
    certificates: Certificates
    databases: Databases
    meters: Meters

    def fenced(self, name: DeploymentName, fence: int) -> Host: ...

    def describe(self) -> Mapping[str, str]:
        """Plain facts for people: kind, isolation, paths, versions."""

    def explain(self, name: DeploymentName) -> Mapping[str, str]:
        """What runs for this deployment, as text to read: units, site, paths. Without any secret."""


__all__ = [
    "Accounts",
    "Builds",
    "Certificates",
    "Commands",
    "Databases",
    "Host",
    "Meters",
    "Processes",
    "Sites",
    "Sources",
    "Timers",
]
