"""Files into a server and out of it, as one stream, so that no path of the server is followed on this machine."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from tests.server.lab.places import LabError
from tests.server.lab.server import Server

UNPACK = 'mkdir -p "$1" && tar -C "$1" -xf - --no-same-owner'


def push(server: Server, source: Path, target: str) -> None:
    """Copy a file to a path, or what is in a folder into a folder. Everything belongs to root there."""
    if source.is_dir():
        unpack(server, _piped(("tar", "-C", str(source), "-cf", "-", ".")), target)
    else:
        path = f"{target}{source.name}" if target.endswith("/") else target
        server.write(path, source.read_bytes(), source.stat().st_mode & 0o777)


def push_checkout(server: Server, checkout: Path, target: str) -> None:
    """The files of a working tree as they are now, without what git ignores."""
    listed = _piped(("git", "-C", str(checkout), "ls-files", "-z", "-co", "--exclude-standard"))
    there = b"".join(name + b"\0" for name in listed.split(b"\0") if name and (checkout / name.decode()).exists())
    unpack(server, _piped(("tar", "-C", str(checkout), "--null", "-T", "-", "-cf", "-"), there), target)


def unpack(server: Server, archive: bytes, target: str) -> None:
    server.run(("sh", "-c", UNPACK, "unpack", target), input=archive)


def pull(server: Server, source: str, target: Path) -> None:
    """Copy a file or a folder of the server to a path here that is not there yet."""
    folder = server.run(("test", "-d", source), check=False).returncode == 0
    if not folder:
        target.write_bytes(_piped(server.enter(("cat", source))))
        return
    target.mkdir(parents=True)
    archive = _piped(server.enter(("tar", "-C", source, "-cf", "-", ".")))
    with tarfile.open(fileobj=io.BytesIO(archive)) as stream:
        stream.extractall(target, filter="data")


def _piped(words: tuple[str, ...], given: bytes = b"") -> bytes:
    done = subprocess.run(words, input=given, capture_output=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(words)}: status {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done.stdout
