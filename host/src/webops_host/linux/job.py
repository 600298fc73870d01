"""What runs in a job: operations, as this very user, with the same parts as on a laptop, until none is asked for."""

from __future__ import annotations

import base64
import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from webops_host import runner
from webops_host.command import Command
from webops_host.daemon import protocol
from webops_host.errors import BadValue, HostError, full_disk_told
from webops_host.linux.layout import ServerLayout
from webops_host.linux.uids import BUILD_UID
from webops_host.names import DeploymentName
from webops_host.operations import Operation, Values
from webops_host.release_files import ReleaseFiles
from webops_host.removal import empty_tree
from webops_host.values import Console

UV = Path("/opt/webops/current/tools/uv")
PATIENCE = 15.0  # seconds for which it stays when nothing is asked: longer than it is counted on
PRINTED = 45 << 20  # bytes that fit into an answer


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


def part(port: str) -> Any:
    """What does the work of a port; None when that is no work for a job. Loading one takes longer than most of its
    work does, so only those that are asked for are loaded."""
    layout = ServerLayout()
    match port:
        case "sources":
            from webops_host.sources import LocalSources

            return LocalSources(layout)
        case "builds":
            from webops_host.builds import LocalBuilds

            shared = os.geteuid() == BUILD_UID
            return LocalBuilds(layout, UV, environ=os.environ, person=Path("/nonexistent"), shared=shared)
        case "accounts":
            return Leftovers(layout)
    return None


def main(part: Callable[[str], Any] = part) -> int:
    """Read requests, and say the lines and the answer of each. 0 when the last one was answered."""
    if not _is_asked(0):
        for port in ("sources", "builds"):  # begun before it is needed
            part(port)
    while _is_asked(PATIENCE):
        line = sys.stdin.buffer.readline()
        if not line:
            break
        sys.stdout.buffer.write(_answer(line.rstrip(b"\n"), part))
        sys.stdout.buffer.flush()
    return 0


def _is_asked(patience: float) -> bool:
    return bool(select.select([sys.stdin.buffer], [], [], patience)[0])


def _answer(line: bytes, part: Callable[[str], Any]) -> bytes:
    console = Console(lambda line: _say({"line": line}))
    try:
        asked = protocol.decode(line)
        if isinstance(asked, dict) and "print" in asked:
            return protocol.encode({"printed": _printed(asked)})
        request = protocol.parse(line)
        with full_disk_told():
            able = part(request.operation.port)
            return protocol.answer(request.operation, _perform(request.operation, able, dict(request.values), console))
    except HostError as error:
        return protocol.refusal(error)
    except OSError as error:
        about = f"It was about {os.fsdecode(error.filename)}." if error.filename is not None else ""
        return protocol.refusal(HostError(f"The system refused it: {error.strerror or error}.", hint=about))


def _printed(asked: dict[str, Any]) -> str:
    """What a program prints, for the daemon alone: it decides the words of what runs in a job in any case."""
    said = asked["print"]
    command = Command(
        tuple(said["argv"]), env=said["env"], stdin=base64.b64decode(said["stdin"]), timeout=asked["timeout"]
    )
    return base64.b64encode(runner.run_binary(command, limit=PRINTED)).decode()


def _perform(operation: Operation, able: Any, values: Values, console: Console) -> Any:
    if able is None:
        raise BadValue(f"{operation.name} is no work for a job.")
    if operation.streams:
        values["console"] = console
    return getattr(able, operation.method)(**values)


def _say(data: dict[str, str]) -> None:
    sys.stdout.buffer.write(protocol.encode(data))
    sys.stdout.buffer.flush()
