"""What runs in a job: one operation, as this very user, with the same parts as on a laptop."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from webops_host.builds import LocalBuilds
from webops_host.daemon import protocol
from webops_host.errors import BadValue, HostError, full_disk_told
from webops_host.linux.layout import ServerLayout
from webops_host.linux.platform import BUILD_UID
from webops_host.names import DeploymentName
from webops_host.operations import Operation, Values
from webops_host.release_files import ReleaseFiles
from webops_host.removal import empty_tree
from webops_host.sources import LocalSources
from webops_host.values import Console

UV = Path("/opt/webops/current/tools/uv")


class Leftovers:
    """The part of accounts that has to be done by the owner of the files. Folders themselves are root's to remove."""

    def __init__(self, layout: ServerLayout) -> None:
        self._layout = layout
        self._files = ReleaseFiles(layout, empty_tree)

    def discard(self, name: DeploymentName, release: int) -> int:
        return self._files.discard(name, release)

    def remove(self, name: DeploymentName) -> None:
        """Empty every folder that this user can."""
        home = self._layout.home(name)
        for folder in (home / "repo.git", *home.glob("releases/*"), *home.glob("shared/*")):
            if os.access(folder, os.W_OK):
                empty_tree(folder)
        for part in ("envs", "cache", "node"):
            if os.access(home / part, os.W_OK):
                empty_tree(home / part)


def parts(layout: ServerLayout, environ: Mapping[str, str]) -> dict[str, Any]:
    shared = os.geteuid() == BUILD_UID
    builds = LocalBuilds(layout, UV, environ=environ, person=Path("/nonexistent"), shared=shared)
    return {"sources": LocalSources(layout), "builds": builds, "accounts": Leftovers(layout)}


def main() -> int:
    """Read one request, say its lines and its answer. Always 0 when there is an answer."""
    console = Console(lambda line: _say({"line": line}))
    try:
        request = protocol.parse(sys.stdin.buffer.readline().rstrip(b"\n"))
        with full_disk_told():
            answer = protocol.answer(request.operation, _perform(request.operation, dict(request.values), console))
    except HostError as error:
        answer = protocol.refusal(error)
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    return 0


def _perform(operation: Operation, values: Values, console: Console) -> Any:
    part = parts(ServerLayout(), os.environ).get(operation.port)
    if part is None:
        raise BadValue(f"{operation.name} is no work for a job.")
    if operation.streams:
        values["console"] = console
    return getattr(part, operation.method)(**values)


def _say(data: dict[str, str]) -> None:
    sys.stdout.buffer.write(protocol.encode(data))
    sys.stdout.buffer.flush()
