"""Real repositories on a server: nothing of one is left for the next, so that each begins with empty caches."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
from tests.server.installed import ENDED
from tests.server.lab import files
from tests.server.lab.visitor import visitor
from tests.support.git_server import GitServer

from bench.children import Failed
from bench.client import Client, Reply
from bench.server.ground import Ground

SHARED = "/srv/webops/.host/envs /srv/webops/.host/cache"
LIBRARIES = "/etc/ld.so.conf.d/pythons.conf"


class Patient:
    """The platform over its API, asked to answer when there is an answer: looking again and again takes from it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def call(self, method: str, path: str, **body: Any) -> Reply:
        return self._client.call(method, path.lstrip("/"), body or None)

    def release(self, name: str, number: int) -> Reply:
        return self._client.release(name, number)

    def ended(self, name: str, number: int, *, timeout: float) -> Reply:
        deadline = time.monotonic() + timeout
        while (found := self._client.release(name, number, wait=30))["state"] not in ENDED:
            if time.monotonic() > deadline:
                raise Failed(f"Release {number} of {name} did not end within {timeout:g} s: {found['steps']}")
        return found


class Server:
    """One installed server. `pythons` are folders of interpreters on this machine, which it gets as an administrator
    adds them: the lab's servers reach no place to download one from."""

    def __init__(self, pythons: list[Path]) -> None:
        self._pythons = pythons
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._ground = stack.enter_context(Ground())
            self.platform = Patient(self._ground.client)
            self._machine = self._ground.server
            self.git: GitServer = self._ground.git
            for folder in self._pythons:
                self._add(folder)
            stack.callback(self._empty)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @contextmanager
    def stage(self) -> Iterator[Self]:
        """The server without a deployment and with empty caches."""
        self._empty()
        yield self

    def visitor(self) -> httpx2.Client:
        return visitor(self._machine.address, timeout=60)

    def tables(self, name: str) -> int | None:
        """None without a database of its own."""
        database = f"wo_{name.replace('-', '_')}"
        query = "SELECT count(*) FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)'"
        words = ("runuser", "-u", "postgres", "--", "psql", "-XAtq", "-d", database, "-c", query)
        asked = self._machine.run(words, check=False)
        return int(asked.stdout) if asked.returncode == 0 else None

    def _empty(self) -> None:
        """By root what is large: the platform's own way is for a machine where others serve meanwhile."""
        self._machine.run("rm -rf /srv/webops/*/envs/* /srv/webops/*/cache/*", timeout=300)
        for row in self._ground.client.call("GET", "deployments")["items"]:
            self._ground.client.delete(row["name"], timeout=900)
        self._machine.run(f"for f in {SHARED}; do find $f -mindepth 1 -delete; done", timeout=300)

    def _add(self, folder: Path) -> None:
        target = f"/opt/python{folder.name}"
        if self._machine.run(("test", "-d", target), check=False).returncode == 0:
            return
        files.push(self._machine, folder, target)
        self._machine.run(f"echo {target}/lib >> {LIBRARIES} && ldconfig")
