"""A commit's files: listed from the mirror, laid out on disk, and made harmless.

Repositories are written by strangers. A link may only lead to something inside the tree; what leads elsewhere is
removed before anybody can follow it. Submodules are left out. Paths named `.git`, in any case, are refused.
"""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from webops_host import git, runner
from webops_host.command import Command
from webops_host.errors import BadValue, CommandFailed, DiskFull, NotFound
from webops_host.names import CommitId
from webops_host.values import Entry

MAX_ENTRIES = 50_000
MAX_FILE = 1 << 20
MAX_TOTAL = 32 << 20
ROOM_TO_KEEP = 64 << 20

KINDS = {"100644": "file", "100755": "file", "100664": "file", "120000": "link", "160000": "submodule"}


Run = Callable[[Command], bytes]
"""What runs a command to its end and gives what it printed; another one runs it as another user."""


def listing(mirror: Path, commit: CommitId, run: Run = runner.run_binary) -> tuple[Entry, ...]:
    """Every path of a commit in the mirror. Raises NotFound, and BadValue above 50,000 paths."""
    return tuple(entry for entry, _ in _entries(mirror, commit, run))


def read(mirror: Path, commit: CommitId, paths: Iterable[str], run: Run = runner.run_binary) -> Mapping[str, bytes]:
    """Contents of those of the paths that are regular files of at most 1 MiB, until 32 MiB are full."""
    wanted = set(paths)
    chosen: list[tuple[Entry, str]] = []
    room = MAX_TOTAL
    for entry, blob in _entries(mirror, commit, run):
        if entry.path in wanted and entry.kind == "file" and entry.size <= min(MAX_FILE, room):
            chosen.append((entry, blob))
            room -= entry.size
    if not chosen:
        return {}
    stream = run(git.blobs(mirror, (blob for _, blob in chosen)))
    contents, place = {}, 0
    for entry, _ in chosen:
        start = stream.index(b"\n", place) + 1
        contents[entry.path] = stream[start : start + entry.size]
        place = start + entry.size + 1
    return contents


def lay_out(mirror: Path, commit: CommitId, into: Path) -> None:
    """Write the commit's files into a folder that is made anew. Half-made, the folder is not there.

    Raises NotFound, BadValue for a path that no tree may hold, DiskFull before it begins.
    """
    entries = [entry for entry, _ in _entries(mirror, commit, runner.run_binary)]
    _check_room(into.parent, sum(entry.size for entry in entries))
    fresh = into.with_name(f".{into.name}.new")
    for folder in (fresh, into):
        shutil.rmtree(folder, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        with tempfile.TemporaryDirectory(dir=into.parent, prefix=".index-") as place:
            _write(git.lay_out(mirror, commit, fresh, Path(place) / "index"))
        remove_outward_links(fresh, (entry.path for entry in entries if entry.kind == "link"))
        for entry in entries:
            if entry.kind == "submodule":
                _remove_empty_folder(fresh / entry.path)
        fresh.rename(into)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def remove_outward_links(root: Path, links: Iterable[str]) -> tuple[str, ...]:
    """Remove those of the links that are absolute or end outside the tree; returns them."""
    base = os.path.realpath(root)
    removed = []
    for path in links:
        link = os.path.join(base, path)
        if not os.path.islink(link) or leads_inside(link, base):
            continue
        os.unlink(link)
        removed.append(path)
    return tuple(removed)


def leads_inside(link: str, base: str) -> bool:
    """Whether a link is relative and ends below `base`, a real path; one to nothing counts by where it points."""
    if os.path.isabs(os.readlink(link)):
        return False
    try:
        end = os.path.realpath(link)
    except OSError:
        return False
    return end == base or end.startswith(base + os.sep)


@functools.lru_cache(maxsize=2)  # the steps of a release ask several times, and a commit never changes
def _entries(mirror: Path, commit: CommitId, run: Run) -> tuple[tuple[Entry, str], ...]:
    try:
        stream = run(git.tree(mirror, commit))
    except CommandFailed as error:
        raise NotFound(f"The commit {commit:.12} has not been fetched.", facts={"commit": str(commit)}) from error
    records = stream.split(b"\x00")[:-1]
    if len(records) > MAX_ENTRIES:
        raise BadValue(
            f"The repository has {len(records):,} files; at most {MAX_ENTRIES:,} can be hosted.",
            hint="Leave generated files and dependencies (node_modules, build results) out of the repository.",
        )
    return tuple(_entry(record) for record in records)


def _entry(record: bytes) -> tuple[Entry, str]:
    head, _, path = record.partition(b"\t")
    mode, _, name, size = head.decode().split()
    return Entry(os.fsdecode(path), KINDS.get(mode, "file"), 0 if size == "-" else int(size)), name


def _check_room(folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed + ROOM_TO_KEEP > free:
        raise DiskFull(
            f"The files need {needed >> 20} MiB and {free >> 20} MiB are free.",
            hint="Remove old releases or deployments, or enlarge the disk.",
            facts={"needed": needed, "free": free},
        )


def _write(command: Command) -> None:
    result = runner.run(command, check=False)
    if result.status == 0:
        return
    if "invalid path" in result.output:
        raise BadValue(
            "The repository has a file whose name is not allowed, such as “.git”.",
            hint="Rename it in the repository. The name is in the release's log.",
        )
    if "No space left" in result.output:
        raise DiskFull("The disk is full.", hint="Remove old releases or deployments, or enlarge the disk.")
    raise runner.failed(command, result)


def _remove_empty_folder(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        return
