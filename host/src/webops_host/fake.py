"""A whole machine in memory: for tests, and for dry runs that only want to see what would be asked.

    host = FakeHost(files={"index.html": "<h1>Hello</h1>"})
    host.breaks["processes.ready"] = NotReady("…", facts={"reason": "exited"})
    host.did     what was changed or waited for, in order: ["sources.fetch blog", "processes.start blog-1-web-1", …]

It keeps every promise of the ports that does not need a real program or a real network.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from webops_host import ports
from webops_host.errors import BadValue, Cancelled, FetchFailed, NotFound, NotReady
from webops_host.fake_certificates import ADDRESS, DOMAIN, FakeCertificates
from webops_host.fake_databases import FakeDatabases
from webops_host.fake_timers import FakeTimers
from webops_host.fences import FencedHost, Fences, Ports
from webops_host.names import CommitId, DeploymentName, Digest, GitRef, PythonVersion, RelativePath
from webops_host.one_off import Commands
from webops_host.operations import Operation, Values, deployment_of
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
    UnitState,
    UnitStatus,
)

Tree = Mapping[str, str | bytes]
WAITS = frozenset({"processes.ready", "sites.drain"})
BORN = 1_700_000_000.0  # the fake's clock does not run: every answer is the same in every test


@dataclass
class Release:
    """What is on the fake's disk for one release."""

    commit: CommitId | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    environment: Digest | None = None
    public: dict[str, bytes] = field(default_factory=dict)
    sealed: bool = False
    static_from: int | None = None


class FakeHost(Ports):
    """See the module. Scripts and records are plain attributes; change them at any time.

    `breaks` maps an operation to the error it raises, or to a function of its arguments that may raise one; it stays
    until it is taken out. `prints` maps an operation to the lines its console gets. `on` maps an operation to a
    function called before it acts, for a test that wants to do something in the middle.
    """

    def __init__(
        self,
        *,
        files: Tree | None = None,
        output: Tree | None = None,
        breaks: Mapping[str, Exception | Callable[[Values], None]] | None = None,
        django: DjangoFacts | None = None,
        pythons: Sequence[str] = ("3.11", "3.12"),
    ) -> None:
        super().__init__(self._perform)
        self.did: list[str] = []
        self.calls: list[tuple[str, Values]] = []
        self.breaks: MutableMapping[str, Exception | Callable[[Values], None]] = dict(breaks or {})
        self.prints: dict[str, list[str]] = {}
        self.on: dict[str, Callable[[Values], None]] = {}
        self.output: dict[str, bytes] = _bytes(output or {})
        self.django = django or DjangoFacts(django="5.2", static_url="/static/")
        self.works: list[DjangoWork] = []  # what a release phase was asked to do
        self.pythons = tuple(PythonVersion(version) for version in pythons)
        self.free = 50 << 30
        self.commits: dict[CommitId, tuple[Revision, dict[str, bytes]]] = {}
        self.branches: dict[str, CommitId] = {}
        self.fetched: dict[DeploymentName, set[CommitId]] = {}
        self.homes: dict[DeploymentName, dict[int, Release]] = {}
        self.built: set[Digest] = set()
        self.units: dict[UnitRef, Unit] = {}
        self.states: dict[UnitRef, UnitStatus] = {}
        self.lines: dict[DeploymentName, list[LogLine]] = {}
        self.sites_up: dict[DeploymentName, Site] = {}
        self.urls: dict[DeploymentName, str] = {}
        self.database_urls: dict[DeploymentName, str] = {}
        self.databases_here = FakeDatabases(self.database_urls)
        self.certificates_here = FakeCertificates(self.sites_up)
        self.timers_here = FakeTimers(self.homes)
        self.commands_here = Commands(self.builds.run, start=lambda act: act())
        self._lock = threading.RLock()
        self._fences = Fences()
        self._parts: dict[str, Any] = {
            "accounts": _Accounts(self), "sources": _Sources(self), "builds": _Builds(self),
            "processes": _Processes(self), "sites": _Sites(self), "databases": self.databases_here,
            "timers": self.timers_here, "certificates": self.certificates_here, "meters": _Meters(self),
            "host": _Itself(self),
        }  # fmt: skip
        self.push(files if files is not None else {"index.html": "<h1>Hello</h1>\n"})

    def push(self, files: Tree, *, branch: str = "main", subject: str = "Change things") -> CommitId:
        """A new commit on a branch of the one repository that every URL leads to here."""
        tree = _bytes(files)
        words = repr((sorted(tree.items()), branch, subject, len(self.commits))).encode()
        commit = CommitId(hashlib.sha1(words, usedforsecurity=False).hexdigest())
        self.commits[commit] = (Revision(commit, branch, subject, "Ada", BORN), tree)
        self.branches[branch] = commit
        return commit

    def print(self, ref: UnitRef, *texts: str) -> None:
        """Lines that a unit prints."""
        lines = self.lines.setdefault(ref.name, [])
        for text in texts:
            lines.append(LogLine(len(lines) + 1, BORN, str(ref), text))

    def crash(self, ref: UnitRef, *, status: int = 1, reason: str = "exited with status 1") -> None:
        """A running unit ends by itself and stays down."""
        self.states[ref] = UnitStatus(ref, UnitState.CRASHED, exit_status=status, reason=reason)

    @property
    def is_busy(self) -> bool:
        return self.commands_here.is_busy

    def close(self) -> None:
        self.commands_here.close()

    def fenced(self, name: DeploymentName, fence: int) -> ports.Host:
        return FencedHost(self, name, fence, self._fences)

    def release(self, name: DeploymentName, number: int) -> Release:
        return self.homes.setdefault(name, {}).setdefault(number, Release())

    def _perform(self, operation: Operation, values: Values) -> Any:
        name = operation.name
        self._record(operation, values)
        if name in self.on:
            self.on[name](values)
        self._print(operation, values)
        broken = self.breaks.get(name)
        if isinstance(broken, Exception):
            raise broken
        if broken is not None:
            broken(values)
        if operation.port == "commands":  # they wait for what is done beside them
            return getattr(self.commands_here, operation.method)(**values)
        with self._lock:
            return getattr(self._parts[operation.port], operation.method)(**values)

    def _record(self, operation: Operation, values: Values) -> None:
        self.calls.append((operation.name, values))
        if operation.changes or operation.name in WAITS:
            subject = values.get("ref") or (values["unit"].ref if "unit" in values else deployment_of(values))
            self.did.append(f"{operation.name} {subject}")

    def _print(self, operation: Operation, values: Values) -> None:
        if not operation.streams:
            return
        console: Console = values["console"]
        for line in self.prints.get(operation.name, ()):
            console.emit(line)
        if console.cancelled():
            raise Cancelled("Stopped because somebody asked for it.")


@dataclass(frozen=True)
class _Part:
    host: FakeHost


class _Accounts(_Part):
    def ensure(self, name: DeploymentName) -> None:
        self.host.homes.setdefault(name, {})

    def remove(self, name: DeploymentName) -> None:
        self.host.homes.pop(name, None)
        self.host.timers_here.forget(name)
        self.host.commands_here.forget(name)
        self.host.sites_up.pop(name, None)
        self.host.urls.pop(name, None)
        self.host.fetched.pop(name, None)
        _forget_units(self.host, lambda ref: ref.name == name)

    def releases(self, name: DeploymentName) -> tuple[int, ...]:
        return tuple(sorted(n for n, release in self.host.homes.get(name, {}).items() if release.sealed))

    def leftovers(self, name: DeploymentName) -> tuple[int, ...]:
        return tuple(sorted(n for n, release in self.host.homes.get(name, {}).items() if not release.sealed))

    def seal(self, name: DeploymentName, release: int) -> None:
        self.host.release(name, release).sealed = True

    def discard(self, name: DeploymentName, release: int) -> int:
        site = self.host.sites_up.get(name)
        if site is not None and site.release == release:
            raise BadValue(f"Release {release} is live.", hint="Deploy or roll back to another release first.")
        _forget_units(self.host, lambda ref: (ref.name, ref.release) == (name, release))
        self.host.timers_here.forget(name, release)
        gone = self.host.homes.get(name, {}).pop(release, Release())
        return sum(len(content) for content in (*gone.files.values(), *gone.public.values()))


class _Sources(_Part):
    def fetch(self, name: DeploymentName, spec: FetchSpec, console: Console, release: int | None = None) -> Revision:
        if release is not None:
            self.host.release(name, release)
        commit = self._find(spec.ref)
        self.host.fetched.setdefault(name, set()).add(commit)
        return self.host.commits[commit][0]

    def _find(self, ref: GitRef | None) -> CommitId:
        if ref is not None and ref.is_commit and CommitId(ref) in self.host.commits:
            return CommitId(ref)
        commit = self.host.branches.get(str(ref)) if ref is not None else next(iter(self.host.branches.values()))
        if commit is None:
            raise FetchFailed(f"There is no branch or tag “{ref}”.", facts={"reason": "ref_not_found"})
        return commit

    def _tree(self, name: DeploymentName, commit: CommitId) -> dict[str, bytes]:
        if commit not in self.host.fetched.get(name, set()):
            raise NotFound(f"Commit {commit[:8]} is not here.", hint="Fetch it first.")
        return self.host.commits[commit][1]

    def listing(self, name: DeploymentName, commit: CommitId) -> tuple[Entry, ...]:
        return tuple(Entry(path, "file", len(content)) for path, content in sorted(self._tree(name, commit).items()))

    def read(self, name: DeploymentName, commit: CommitId, paths: Iterable[str]) -> Mapping[str, bytes]:
        tree = self._tree(name, commit)
        return {path: tree[path] for path in paths if path in tree}

    def checkout(self, name: DeploymentName, release: int, commit: CommitId) -> None:
        made = self.host.release(name, release)
        made.commit, made.files = commit, dict(self._tree(name, commit))


class _Builds(_Part):
    def pythons(self) -> tuple[PythonVersion, ...]:
        return self.host.pythons

    def python(self, name: DeploymentName, release: int, plan: PythonPlan, console: Console) -> PythonBuilt:
        reused = plan.digest in self.host.built
        self.host.built.add(plan.digest)
        self.host.release(name, release).environment = plan.digest
        return PythonBuilt(plan.digest, reused, sealed=plan.project is None)

    def node(self, runtime: Runtime, plan: NodePlan, console: Console) -> None:
        self.host.release(runtime.name, runtime.release).files.update(self.host.output)

    def run(self, runtime: Runtime, line: ProjectLine, timeout: float, console: Console) -> None:
        self.host.release(runtime.name, runtime.release).files.update(self.host.output)

    def django(self, runtime: Runtime, work: DjangoWork, console: Console) -> DjangoFacts:
        self.host.works.append(work)
        return self.host.django

    def carry_static(self, name: DeploymentName, release: int, source: int) -> None:
        if source not in self.host.homes.get(name, {}):
            raise NotFound(f"Release {source} is not here.", hint="Collect the static files again.")
        self.host.release(name, release).static_from = source

    def publish(self, name: DeploymentName, release: int, folder: RelativePath) -> Published:
        made = self.host.release(name, release)
        prefix = f"{folder}/" if folder else ""
        public = {path.removeprefix(prefix): c for path, c in made.files.items() if path.startswith(prefix)}
        if "index.html" not in public:
            raise NotFound(f"There is no index.html in “{folder or '.'}”.", hint="Name the folder that holds the site.")
        made.public = public
        digest = Digest(hashlib.sha256(repr(sorted(public.items())).encode()).hexdigest())
        return Published(len(public), sum(map(len, public.values())), digest)


class _Processes(_Part):
    pids = itertools.count(4001)

    def install(self, unit: Unit) -> None:
        self.host.units[unit.ref] = unit
        self.host.states.setdefault(unit.ref, UnitStatus(unit.ref, UnitState.STOPPED))

    def start(self, ref: UnitRef) -> None:
        status = self._status(ref)
        if status.state is not UnitState.RUNNING:
            running = UnitStatus(ref, UnitState.RUNNING, next(self.pids), BORN, memory_bytes=50 << 20)
            self.host.states[ref] = running

    def stop(self, ref: UnitRef) -> None:
        if ref in self.host.states:
            self.host.states[ref] = UnitStatus(ref, UnitState.STOPPED)

    def remove(self, ref: UnitRef) -> None:
        _forget_units(self.host, lambda other: other == ref)

    def status(self, name: DeploymentName) -> tuple[UnitStatus, ...]:
        mine = (status for ref, status in self.host.states.items() if ref.name == name)
        return tuple(sorted(mine, key=lambda status: (status.ref.release, status.ref.kind, status.ref.index)))

    def ready(self, ref: UnitRef, check: HealthCheck, console: Console) -> Ready:
        status = self._status(ref)
        if status.state is UnitState.RUNNING:
            return Ready(200, 0.01, "socket")
        exit_status = status.exit_status or 0
        raise NotReady(f"{ref} is not running.", facts={"reason": "exited", "exit": exit_status, "oom": False})

    def logs(self, name: DeploymentName, *, after: int = 0, limit: int = 500) -> tuple[LogLine, ...]:
        mine = [line for line in self.host.lines.get(name, []) if line.position > after]
        return tuple(mine[:limit] if after else mine[-limit:])

    def _status(self, ref: UnitRef) -> UnitStatus:
        if ref not in self.host.states:
            raise NotFound(f"There is no unit {ref}.", hint="Install it first.")
        return self.host.states[ref]


class _Sites(_Part):
    def publish(self, site: Site) -> SiteAddress:
        if site.unit is not None and site.unit not in self.host.units:
            raise NotFound(f"There is no unit {site.unit}.", hint="Install and start it first.")
        self.host.sites_up[site.name] = replace(site)
        return SiteAddress(self.reserve(site.name), site.release)

    def unpublish(self, name: DeploymentName) -> None:
        self.host.sites_up.pop(name, None)

    def address(self, name: DeploymentName) -> SiteAddress | None:
        site = self.host.sites_up.get(name)
        return None if site is None else SiteAddress(self.reserve(name), site.release)

    def reserve(self, name: DeploymentName) -> str:
        return self.host.urls.setdefault(name, f"http://127.0.0.1:{8100 + len(self.host.urls)}")

    def drain(self, ref: UnitRef, timeout: float) -> bool:
        return True


class _Meters(_Part):
    def disk(self) -> Disk:
        return Disk(total=100 << 30, free=self.host.free)

    def space(self, name: DeploymentName) -> Mapping[str, int]:
        releases = self.host.homes.get(name, {}).values()
        size = sum(len(content) for release in releases for content in release.files.values())
        return {"mirror": size, "releases": size, "environments": 0, "shared": 0}


class _Itself(_Part):
    def describe(self) -> Mapping[str, str]:
        place = {"domain": DOMAIN, "panel": f"panel.{DOMAIN}", "address4": ADDRESS, "address6": "2001:db8::10"}
        return {"kind": "fake", "isolation": "none: nothing runs", **place}

    def explain(self, name: DeploymentName) -> Mapping[str, str]:
        site = self.host.sites_up.get(name)
        units = "\n".join(f"{status.ref}: {status.state}" for status in _Processes(self.host).status(name))
        return {"units": units, "site": repr(site), "path": f"/nowhere/{name}"}


def _forget_units(host: FakeHost, gone: Callable[[UnitRef], bool]) -> None:
    for ref in [ref for ref in host.states if gone(ref)]:
        host.states.pop(ref)
        host.units.pop(ref, None)


def _bytes(tree: Tree) -> dict[str, bytes]:
    return {path: c.encode() if isinstance(c, str) else c for path, c in tree.items()}
