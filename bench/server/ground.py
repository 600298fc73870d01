"""One installed server for a whole run, a Git host beside it, and the platform's API."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
from tests.server.frozen import install_once
from tests.server.installed import DOMAIN, OWNER, PANEL, PASSWORD, Installed
from tests.server.lab.lab import Lab, find
from tests.support.git_server import GitServer, Repository

from bench import probe, samples
from bench.children import Failed, cpu_seconds
from bench.client import Client

BY_HAND = "WEBOPS_BENCH_SERVER"
"""Names a server of the lab that is installed already, to be used and left as it is."""
GIT_PORT = 8443
PACKAGES = "wrk"


@dataclass
class Sample:
    """From the request for a release to the first answer of it, and the side's own account of where it went. `cpu` goes
    up to the end of what follows; the platform's is that of the whole server."""

    seconds: float
    parts: dict[str, float]
    cpu: float = 0.0


class Ground:
    """Use it in a `with`; a server of its own is taken down at the end."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.installed, gateway = self._found(stack)
            self.server = self.installed.server
            self.client = Client.of_server(self.server.address, PANEL)
            self.client.sign_in(OWNER, PASSWORD)
            folder = Path(tempfile.mkdtemp(prefix="wob-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self._repositories = folder
            self.git = stack.enter_context(GitServer(folder, "git.test", gateway, GIT_PORT, trustme.CA()))
            for row in self.client.call("GET", "git-servers")["items"]:
                self.client.call("DELETE", f"git-servers/{row['id']}")
            self.installed.allow(self.git)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _found(self, stack: ExitStack) -> tuple[Installed, str]:
        if name := os.environ.get(BY_HAND, ""):
            installed = Installed(find(name), "")
            installed.sign_in()
            stack.callback(installed.close)
            return installed, installed.server.network.gateway
        lab = stack.enter_context(Lab())
        installed = install_once(lab, "bookworm").boot(lab)
        stack.callback(installed.close)
        return installed, lab.network.gateway

    # --- deployments ---------------------------------------------------------------------------------------------

    def repository(self, name: str) -> Repository:
        return samples.make_repository(self._repositories, name)

    def fresh(self, name: str) -> str:
        """A name that nothing has; what an earlier run left of it is removed."""
        if any(row["name"] == name for row in self.client.call("GET", "deployments")["items"]):
            self.client.delete(name)
        return name

    def created(self, name: str, repository: str) -> None:
        self.client.create(self.fresh(name), self.git.url(repository))
        over = self.client.over(name, 1)
        if over["state"] != "live":
            raise Failed(f"{name}: {over['cause']} {over['evidence'][-5:]}")

    def about(self, name: str) -> dict[str, Any]:
        """What the shop says it runs."""
        return dict(json.loads(probe.of_server(self.server.address, f"{name}.{DOMAIN}", "/about")()))

    def url(self, name: str) -> str:
        return f"https://{name}.{DOMAIN}"

    def timed(self, name: str, marker: str, act: Callable[[], int], path: str = "/version") -> Sample:
        """Until the first answer with the marker, over a new connection each time. Then nothing else may answer."""
        before = cpu_seconds([self.server.leader])
        ask = probe.of_server(self.server.address, f"{name}.{DOMAIN}", path)
        with probe.Probe(ask, 0.02) as looking:
            began = time.perf_counter()
            number = act()
            seconds = looking.wait(marker, 180.0, lambda: self._alive(name, number)) - began
        over = self.client.over(name, number)
        cpu = cpu_seconds([self.server.leader]) - before
        seen = {ask() for _ in range(10)}
        if seen != {marker}:
            raise Failed(f"{name} answers as {sorted(seen)} after the release of {marker} was over.")
        made, began = (datetime.fromisoformat(over[key]) for key in ("created_at", "started_at"))
        parts = {"queue": (began - made).total_seconds()}
        return Sample(seconds, parts | {step["name"]: step["seconds"] or 0.0 for step in over["steps"]}, cpu)

    def _alive(self, name: str, number: int) -> None:
        release = self.client.release(name, number)
        if release["state"] in ("failed", "cancelled", "superseded"):
            raise Failed(f"{name} #{number} {release['state']}: {release['cause']} {release['evidence'][-5:]}")

    # --- the server itself ---------------------------------------------------------------------------------------

    def ask(self, program: str, *words: str, timeout: float = 300.0) -> Any:
        """What a program in Python prints there as JSON, run as root with the host's own code at hand."""
        path = "import sys\nsys.path.insert(0, '/opt/webops/current/host')\n"
        said = self.server.run(("python3", "-I", "-", *words), input=path + program, timeout=timeout).stdout
        return json.loads(said)

    def unit(self, name: str) -> str:
        """The web unit that serves now, without a suffix."""
        target = self.server.run(("readlink", f"/srv/webops/{name}/live.sock")).stdout
        found = re.search(r"/(\d+-web-1)\.sock", target)
        if found is None:
            raise Failed(f"{name} serves through {target!r}.")
        return f"wo-{name}--{found[1]}"

    def has(self, *packages: str) -> None:
        self.server.run(f"apt-get install -y -qq --no-install-recommends {' '.join(packages)}", timeout=600)
