"""Keeps late callers out: the highest fence seen for each deployment, and a host that checks it before every change."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from webops_host import files, ports
from webops_host.errors import Stale
from webops_host.names import DeploymentName
from webops_host.operations import OPERATIONS, Operation, Values, deployment_of, perform

LAST = frozenset({"accounts.remove", "databases.drop"})
"""With these nothing of a deployment is left on the host that was asked (pgd knows its databases alone)."""


class Fences:
    """The highest fence per deployment. With a file it survives a restart."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen: dict[str, int] = json.loads(path.read_text()) if path is not None and path.exists() else {}

    def pass_through(self, name: DeploymentName, fence: int) -> None:
        """Remember the fence, or raise Stale when a newer one was seen. The same fence passes any number of times."""
        with self._lock:
            seen = self._seen.get(name, fence)
            if fence < seen:
                raise Stale(
                    f"This work on {name} was taken over by somebody else (fence {fence}, now {seen}).",
                    hint="Nothing is lost: the newer holder goes on. Stop this one.",
                    facts={"fence": fence, "seen": seen},
                )
            if self._seen.get(name) != fence:
                self._seen[name] = fence
                self._save()

    def forget(self, name: DeploymentName) -> None:
        """The deployment is gone; one that takes its name begins to count anew."""
        with self._lock:
            if self._seen.pop(name, None) is not None:
                self._save()

    def _save(self) -> None:
        if self._path is not None:
            files.write_whole(self._path, json.dumps(self._seen).encode())


class Port:
    """Any port, made of one function that is asked for each operation with its bound arguments."""

    def __init__(self, port: str, perform: Callable[[Operation, Values], Any]) -> None:
        self._port, self._perform = port, perform

    def __getattr__(self, method: str) -> Callable[..., Any]:
        operation = OPERATIONS.get(f"{self._port}.{method}")
        if operation is None:
            raise AttributeError(f"{self._port} has no operation {method}")
        perform = self._perform
        return lambda *args, **kwargs: perform(operation, operation.bind(args, kwargs))


class Ports:
    """All ports of a host, made of one such function. Satisfies `ports.Host` but for `fenced`."""

    accounts: ports.Accounts
    sources: ports.Sources
    builds: ports.Builds
    commands: ports.Commands
    processes: ports.Processes
    timers: ports.Timers
    sites: ports.Sites
    certificates: ports.Certificates
    databases: ports.Databases
    meters: ports.Meters

    def __init__(self, perform: Callable[[Operation, Values], Any]) -> None:
        self._perform_any = perform
        self.accounts = cast(ports.Accounts, Port("accounts", perform))
        self.sources = cast(ports.Sources, Port("sources", perform))
        self.builds = cast(ports.Builds, Port("builds", perform))
        self.commands = cast(ports.Commands, Port("commands", perform))
        self.processes = cast(ports.Processes, Port("processes", perform))
        self.timers = cast(ports.Timers, Port("timers", perform))
        self.sites = cast(ports.Sites, Port("sites", perform))
        self.certificates = cast(ports.Certificates, Port("certificates", perform))
        self.databases = cast(ports.Databases, Port("databases", perform))
        self.meters = cast(ports.Meters, Port("meters", perform))

    def describe(self) -> Mapping[str, str]:
        return cast(Mapping[str, str], self._perform_any(OPERATIONS["host.describe"], {}))

    def explain(self, name: DeploymentName) -> Mapping[str, str]:
        return cast(Mapping[str, str], self._perform_any(OPERATIONS["host.explain"], {"name": name}))


class FencedHost(Ports):
    """A host as the holder of a fence sees it: a change to the deployment first passes its fence."""

    def __init__(self, host: ports.Host, name: DeploymentName, fence: int, fences: Fences) -> None:
        super().__init__(self._checked)
        self._host, self._name, self._fence, self._fences = host, name, fence, fences

    def fenced(self, name: DeploymentName, fence: int) -> ports.Host:
        return FencedHost(self._host, name, fence, self._fences)

    def _checked(self, operation: Operation, values: Values) -> Any:
        if operation.changes and deployment_of(values) == self._name:
            self._fences.pass_through(self._name, self._fence)
        result = perform(self._host, operation, values)
        if operation.name in LAST:
            self._fences.forget(values["name"])
        return result
