"""Dumps as files: one folder for each deployment, in it a file and its record for each dump.

<root>/<name>/<id>.dump     what was dumped or uploaded
<root>/<name>/<id>.json     its record: only with it is the file a dump
<root>/<name>/<id>.part     on its way: not whole, or not checked yet
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from webops_host import codec
from webops_host.database_values import PIECE, Dump
from webops_host.errors import BadValue, DiskFull, NotFound
from webops_host.files import private_folder, write_whole
from webops_host.names import DeploymentName, Digest, DumpId

PARTS_KEPT = 86400.0  # seconds that an upload may rest


class Shelf:
    """`root` is made when it is needed, for us alone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def begin(self, name: DeploymentName, dump: DumpId) -> Path:
        """Where to write a dump, in a folder that is there. Leftovers of long ago go."""
        part = self._file(name, dump, "part")
        with _full_disk():
            private_folder(part.parent)
        for old in part.parent.glob("*.part"):
            with contextlib.suppress(OSError):
                if old.stat().st_mtime < time.time() - PARTS_KEPT:
                    old.unlink()
        return part

    def part(self, name: DeploymentName, dump: DumpId) -> Path | None:
        """What was received of an upload, if anything."""
        part = self._file(name, dump, "part")
        return part if part.is_file() else None

    def keep(self, name: DeploymentName, dump: Dump) -> Dump:
        """Make the part a dump. The record comes last: with it the dump is there."""
        part = self._file(name, dump.id, "part")
        with _full_disk():
            _sync(part)
            part.replace(self._file(name, dump.id, "dump"))
            write_whole(self._file(name, dump.id, "json"), json.dumps(codec.dump(dump)).encode(), 0o600)
        return dump

    def all(self, name: DeploymentName) -> tuple[Dump, ...]:
        """Newest first. A record that can not be read is none."""
        found = []
        for record in (self.root / name).glob("*.json"):
            with contextlib.suppress(OSError, ValueError):
                found.append(codec.load(Dump, json.loads(record.read_text())))
        return tuple(sorted(found, key=lambda dump: dump.id, reverse=True))

    def find(self, name: DeploymentName, dump: DumpId) -> tuple[Dump, Path]:
        """Raises NotFound."""
        file = self._file(name, dump, "dump")
        for known in self.all(name):
            if known.id == dump and file.is_file():
                return known, file
        raise NotFound(f"There is no dump {dump} of {name}.", hint="List those there are.")

    def check(self, name: DeploymentName, dump: DumpId) -> tuple[Dump, Path]:
        """The same, after its bytes were compared with what was written. Raises BadValue when they changed."""
        known, file = self.find(name, dump)
        if digest(file) != known.digest:
            raise BadValue(f"The file of the dump {dump} was damaged.", hint="Use another dump, and look at the disk.")
        return known, file

    def read(self, name: DeploymentName, dump: DumpId, offset: int) -> bytes:
        _, file = self.find(name, dump)
        if offset < 0:
            raise BadValue("A file has no place before its beginning.")
        with file.open("rb") as opened:
            opened.seek(offset)
            return opened.read(PIECE)

    def receive(self, name: DeploymentName, dump: DumpId, offset: int, piece: bytes) -> int:
        """Append a piece; one that is there already is only compared."""
        if len(piece) > PIECE or offset < 0:
            raise BadValue("A piece has at most 1 MiB and comes after the one before.")
        part = self.part(name, dump) or self.begin(name, dump)
        with _full_disk(), part.open("r+b" if part.exists() else "w+b") as file:
            os.chmod(file.fileno(), 0o600)
            size = file.seek(0, os.SEEK_END)
            if offset > size:
                raise BadValue(f"Only {size} bytes are here, not {offset}.", hint="Send what is missing first.")
            file.seek(offset)
            if offset < size and file.read(len(piece)) == piece:
                return size
            file.seek(offset)
            file.truncate()
            file.write(piece)
            return offset + len(piece)

    def discard(self, name: DeploymentName, dump: DumpId) -> None:
        """The record first: without it there is no dump."""
        for kind in ("json", "dump", "part"):
            self._file(name, dump, kind).unlink(missing_ok=True)

    def clear(self, name: DeploymentName) -> None:
        shutil.rmtree(self.root / name, ignore_errors=True)

    def free(self) -> int:
        """Bytes of room on its disk."""
        there = next(folder for folder in (self.root, *self.root.parents) if folder.exists())
        return shutil.disk_usage(there).free

    def _file(self, name: DeploymentName, dump: DumpId, kind: str) -> Path:
        return self.root / name / f"{dump}.{kind}"


def digest(file: Path) -> Digest:
    with file.open("rb") as opened:
        return Digest(hashlib.file_digest(opened, "sha256").hexdigest())


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


@contextlib.contextmanager
def _full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk for dumps is full.", hint="Remove dumps that you do not need.") from error
        raise
