"""Repositories and builds on a server: the `Sources` and `Builds` ports, inside hostd, done by jobs.

Here it is only decided as whom each runs and what it sees. A repository is fetched by a user of its own, so that no
project code ever writes a mirror; environments that deployments share are made by another, before any of its code runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from webops_host import python, trees
from webops_host.command import Command
from webops_host.environment import READY
from webops_host.errors import BadValue, NoWheel
from webops_host.linux.accounts import FETCH_USER, LinuxAccounts
from webops_host.linux.jobs import Jobs, Place
from webops_host.linux.layout import ServerLayout
from webops_host.linux.people import People
from webops_host.names import CommitId, DeploymentName, PythonVersion, RelativePath
from webops_host.operations import OPERATIONS
from webops_host.values import (
    Console,
    DjangoFacts,
    DjangoWork,
    Entry,
    FetchSpec,
    Limits,
    NodePlan,
    ProjectLine,
    Published,
    PythonBuilt,
    PythonPlan,
    Revision,
    Runtime,
)

BUILD_USER = "webops-build"
SMALL = Limits(memory_mib=512, cpu_percent=200, tasks=64)
LARGE = Limits(memory_mib=2048, cpu_percent=200, tasks=512)
INSTALL_SECONDS, NODE_SECONDS = 3600.0, 3600.0
MIRROR = "mirror"


def files_of(layout: ServerLayout, people: People, name: DeploymentName, release: int) -> Place:
    """Where a release's files are laid out, carried over from another and published; no code of the project's runs.
    What comes first stays for what comes next."""
    _refuse_absent(layout, name, release)
    return Place(
        people.user(name),
        name,
        readable=(layout.mirror(name), layout.releases(name)),
        writable=(layout.release(name, release),),
        limits=LARGE,
        seconds=600.0,
        stay=f"files of {release}",
    )


def _refuse_absent(layout: ServerLayout, name: DeploymentName, release: int) -> None:
    if not os.path.isdir(layout.release(name, release)):
        raise BadValue(f"Release {release} of {name} has no files here.", hint="Deploy again.")


@dataclass(frozen=True, slots=True)
class _Reading:
    """Runs git where it can read one mirror and nothing else. Two of the same place are the same."""

    jobs: Jobs
    place: Place

    def __call__(self, command: Command) -> bytes:
        return self.jobs.printed(command, self.place)


class LinuxSources:
    """Satisfies `ports.Sources`."""

    def __init__(self, layout: ServerLayout, people: People, accounts: LinuxAccounts, jobs: Jobs) -> None:
        self._layout, self._people, self._accounts, self._jobs = layout, people, accounts, jobs

    def fetch(self, name: DeploymentName, spec: FetchSpec, console: Console, release: int | None = None) -> Revision:
        self._people.uid(name)
        if release is not None:
            self._accounts.make_release(name, release)
            self._jobs.prepare(files_of(self._layout, self._people, name, release))
        limits = replace(LARGE, memory_mib=1024)
        mirror = (self._layout.mirror(name),)
        place = Place(
            FETCH_USER, name, writable=mirror, network=True, limits=limits, seconds=spec.timeout + 30, stay=MIRROR
        )
        found: Revision = self._run("sources.fetch", place, console, name=name, spec=spec)
        return found

    def listing(self, name: DeploymentName, commit: CommitId) -> tuple[Entry, ...]:
        return trees.listing(self._layout.mirror(name), commit, self._reading(name))

    def read(self, name: DeploymentName, commit: CommitId, paths: Iterable[str]) -> Mapping[str, bytes]:
        return trees.read(self._layout.mirror(name), commit, paths, self._reading(name))

    def checkout(self, name: DeploymentName, release: int, commit: CommitId) -> None:
        self._accounts.make_release(name, release)
        place = files_of(self._layout, self._people, name, release)
        self._run("sources.checkout", place, name=name, release=release, commit=commit)

    def _reading(self, name: DeploymentName) -> _Reading:
        self._people.uid(name)
        mirror = (self._layout.mirror(name),)
        place = Place(FETCH_USER, name, readable=mirror, limits=SMALL, seconds=60.0, stay=MIRROR)
        return _Reading(self._jobs, place)

    def _run(self, operation: str, place: Place, console: Console | None = None, **values: Any) -> Any:
        return self._jobs.run(OPERATIONS[operation], values, place, console)


class LinuxBuilds:
    """Satisfies `ports.Builds`."""

    def __init__(self, layout: ServerLayout, people: People, accounts: LinuxAccounts, jobs: Jobs) -> None:
        self._layout, self._people, self._accounts, self._jobs = layout, people, accounts, jobs

    def pythons(self) -> tuple[PythonVersion, ...]:
        places = python.usual_places({}, Path("/nonexistent"), self._layout.host / "pythons")
        return tuple(python.interpreters(places))

    def python(self, name: DeploymentName, release: int, plan: PythonPlan, console: Console) -> PythonBuilt:
        """A sealed environment first; one of the deployment's own when a package has to be built."""
        sealed = self._layout.sealed_env(plan.digest)
        own = self._layout.own_env(name, plan.digest)
        call = {"name": name, "release": release, "plan": plan}
        if (sealed / READY).exists():
            self._accounts.note_environment(name, release, plan.digest)
            console.emit(f"Python {plan.python} environment reused: nothing in it has changed.")
            return PythonBuilt(plan.digest, reused=True, sealed=True)
        if not (own / READY).exists():
            # the whole folder as one mount: files are hard-linked from the cache into the environment
            build = Place(
                BUILD_USER,
                name,
                writable=(self._layout.host,),
                network=True,
                shares=True,
                limits=LARGE,
                seconds=INSTALL_SECONDS,
            )
            try:
                self._run("builds.python", build, console, **call)
            except NoWheel:
                console.emit("They are built here, by the deployment's own user.")
        place = self._at(name, release, network=True, limits=LARGE, seconds=INSTALL_SECONDS)
        is_sealed = (sealed / READY).exists()
        built: PythonBuilt = self._run("builds.python", place, None if is_sealed else console, **call)
        return PythonBuilt(plan.digest, reused=built.reused and not is_sealed, sealed=is_sealed)

    def node(self, runtime: Runtime, plan: NodePlan, console: Console) -> None:
        memory = max(runtime.limits.memory_mib, LARGE.memory_mib)
        place = self._for(runtime, replace(LARGE, memory_mib=memory), NODE_SECONDS)
        self._run("builds.node", place, console, runtime=runtime, plan=plan)

    def run(self, runtime: Runtime, line: ProjectLine, timeout: float, console: Console) -> None:
        place = self._for(runtime, runtime.limits, timeout)
        self._run("builds.run", place, console, runtime=runtime, line=line, timeout=timeout)

    def django(self, runtime: Runtime, work: DjangoWork, console: Console) -> DjangoFacts:
        memory = max(runtime.limits.memory_mib, SMALL.memory_mib)
        place = self._for(runtime, replace(runtime.limits, memory_mib=memory), work.timeout)
        facts: DjangoFacts = self._run("builds.django", place, console, runtime=runtime, work=work)
        return facts

    def carry_static(self, name: DeploymentName, release: int, source: int) -> None:
        place = files_of(self._layout, self._people, name, release)
        self._run("builds.carry_static", place, name=name, release=release, source=source)

    def publish(self, name: DeploymentName, release: int, folder: RelativePath) -> Published:
        place = files_of(self._layout, self._people, name, release)
        published: Published = self._run("builds.publish", place, name=name, release=release, folder=folder)
        return published

    # --- parts -------------------------------------------------------------------------------------------------

    def _for(self, runtime: Runtime, limits: Limits, seconds: float) -> Place:
        return self._at(runtime.name, runtime.release, network=True, limits=limits, seconds=seconds)

    def _at(
        self, name: DeploymentName, release: int, *, limits: Limits, seconds: float, network: bool = False
    ) -> Place:
        """As the deployment, on one of its releases: the others can be read, so that files are carried over."""
        layout, home = self._layout, self._layout.home(name)
        _refuse_absent(layout, name, release)
        return Place(
            self._people.user(name),
            name,
            readable=(layout.releases(name), layout.host / "envs", layout.host / "pythons"),
            writable=(
                layout.release(name, release),
                layout.shared(name),
                *(home / p for p in ("envs", "cache", "node")),
            ),
            network=network,
            machine=True,
            limits=limits,
            seconds=seconds,
        )

    def _run(self, operation: str, place: Place, console: Console | None = None, **values: Any) -> Any:
        return self._jobs.run(OPERATIONS[operation], values, place, console)
