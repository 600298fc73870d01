"""Where things lie on disk: every path of a deployment is derived from its name here, and nowhere received.

<root>/<name>/
    repo.git                mirror of the repository
    releases/<n>/source     the commit's tree, and what its build left there
    releases/<n>/public     a static site, ready to serve
    releases/<n>/static     what collectstatic left
    releases/<n>/overlay    the generated settings overlay, if any
    releases/<n>/.sealed    marker: the release's files are whole
    envs/<digest>           Python environments that project code took part in making
    shared/media  shared/data   what survives releases
    logs/units.jsonl        what its units printed
<root>/.host/
    envs/<digest>           sealed environments: only wheels, written by no project code; shared
    cache/                  the installer's download cache
    state/                  the daemon's own records
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from webops_host.names import DeploymentName, Digest


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below the install root. Nothing is made here."""

    root: Path

    def home(self, name: DeploymentName) -> Path:
        return self.root / name

    def mirror(self, name: DeploymentName) -> Path:
        return self.home(name) / "repo.git"

    def releases(self, name: DeploymentName) -> Path:
        return self.home(name) / "releases"

    def release(self, name: DeploymentName, number: int) -> Path:
        return self.releases(name) / str(int(number))

    def source(self, name: DeploymentName, number: int) -> Path:
        return self.release(name, number) / "source"

    def public(self, name: DeploymentName, number: int) -> Path:
        return self.release(name, number) / "public"

    def static(self, name: DeploymentName, number: int) -> Path:
        return self.release(name, number) / "static"

    def overlay(self, name: DeploymentName, number: int) -> Path:
        return self.release(name, number) / "overlay"

    def marker(self, name: DeploymentName, number: int) -> Path:
        return self.release(name, number) / ".sealed"

    def shared(self, name: DeploymentName) -> Path:
        return self.home(name) / "shared"

    def media(self, name: DeploymentName) -> Path:
        return self.shared(name) / "media"

    def data(self, name: DeploymentName) -> Path:
        return self.shared(name) / "data"

    def logs(self, name: DeploymentName) -> Path:
        return self.home(name) / "logs"

    def own_env(self, name: DeploymentName, digest: Digest) -> Path:
        return self.home(name) / "envs" / digest

    @property
    def host(self) -> Path:
        return self.root / ".host"

    def sealed_env(self, digest: Digest) -> Path:
        return self.host / "envs" / digest

    @property
    def cache(self) -> Path:
        return self.host / "cache"

    @property
    def state(self) -> Path:
        return self.host / "state"

    @property
    def run(self) -> Path:
        """For sockets. A Unix socket's path holds 107 bytes (unix(7)), so a deep root gets a short stand-in."""
        here = self.host / "run"
        if len(os.fsencode(here)) <= 50:
            return here
        short = hashlib.sha256(os.fsencode(self.root.resolve())).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"webops-{os.getuid()}-{short}"

    @property
    def daemon_socket(self) -> Path:
        return self.run / "host.sock"
