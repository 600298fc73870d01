"""Folders of a release copied to where the web server reads them: fast, and without what must not be served.

Files are hard-linked where they can be: the copy belongs to the same release, and both are thrown away together. Links
are followed only while they stay inside the folder's tree, and what they lead to is copied as a file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from webops_host.errors import NotFound
from webops_host.names import Digest, RelativePath
from webops_host.trees import leads_inside
from webops_host.values import Published

ALLOWED_DOT = ".well-known"
NEVER = frozenset({"node_modules"})
LIKELY = ("dist", "build", "public", "site", "docs", "_site", "out", "www", "html", "static")


def publish(source: Path, folder: RelativePath, into: Path) -> Published:
    """Have the folder of the source at `into`, made anew and switched in whole.

    Raises NotFound with `reason` folder_missing or index_missing, and the folders that look like the right one.
    """
    start = source / folder
    base = os.path.realpath(source)
    if not start.is_dir() or not _stays(start, base):
        raise _missing(source, folder, "folder_missing", f"There is no folder “{folder}” in the repository.")
    if not (start / "index.html").is_file():
        raise _missing(source, folder, "index_missing", f"There is no index.html in “{folder or 'the repository'}”.")
    fresh = into.with_name(f".{into.name}.new")
    for stale in (fresh, into):
        shutil.rmtree(stale, ignore_errors=True)
    files, size, content = 0, 0, hashlib.sha256()
    try:
        fresh.mkdir(parents=True)
        made = {fresh}
        for path in _servable(start, base):
            target = fresh / path
            if target.parent not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(target.parent)
            _place(start / path, target)
            state = target.stat()
            files, size = files + 1, size + state.st_size
            content.update(os.fsencode(path) + b"\x00" + _content(target))
        fresh.rename(into)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Published(files, size, Digest(content.hexdigest()))


def link_tree(source: Path, into: Path) -> int:
    """Have all files of a tree at another place without copying their contents; returns how many. Again: made anew."""
    fresh = into.with_name(f".{into.name}.new")
    for stale in (fresh, into):
        shutil.rmtree(stale, ignore_errors=True)
    count = 0
    try:
        fresh.mkdir(parents=True)
        for folder, _, names in os.walk(source):
            target = fresh / os.path.relpath(folder, source)
            target.mkdir(parents=True, exist_ok=True)
            for name in names:
                _link(os.path.join(folder, name), target / name)
                count += 1
        fresh.rename(into)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return count


def _servable(start: Path, base: str) -> Iterator[str]:
    """Paths below the folder that may be served, in a fixed order."""
    for folder, folders, names in os.walk(start):
        folders[:] = sorted(name for name in folders if _may_show(name) and not os.path.islink(f"{folder}/{name}"))
        for name in sorted(names):
            path = os.path.join(folder, name)
            if _may_show(name) and os.path.isfile(path) and (not os.path.islink(path) or leads_inside(path, base)):
                yield os.path.relpath(path, start)


def _may_show(name: str) -> bool:
    return (not name.startswith(".") or name == ALLOWED_DOT) and name not in NEVER


def _stays(path: Path, base: str) -> bool:
    real = os.path.realpath(path)
    return real == base or real.startswith(base + os.sep)


def _place(path: Path, target: Path) -> None:
    if path.is_symlink():
        shutil.copyfile(path, target)
    else:
        _link(str(path), target)


def _link(path: str, target: Path) -> None:
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError:  # another file system, or one without hard links
        shutil.copy2(path, target, follow_symlinks=False)


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _missing(source: Path, folder: RelativePath, reason: str, message: str) -> NotFound:
    similar = [path for path in _candidates(source) if path != folder]
    names = ", ".join(f"“{path}”" for path in similar[:5])
    hint = f"These folders have one: {names}." if similar else "Name the folder that holds the built site."
    return NotFound(message, hint=hint, facts={"reason": reason, "folder": str(folder), "similar": ",".join(similar)})


def _candidates(source: Path) -> list[str]:
    """Folders up to two levels down that have an index.html, the usual names first."""
    found = [
        os.path.relpath(index.parent, source)
        for pattern in ("*/index.html", "*/*/index.html")
        for index in sorted(source.glob(pattern))
        if all(_may_show(part) for part in index.relative_to(source).parts)
    ]
    return sorted(found[:50], key=lambda path: (path.split("/")[0] not in LIKELY, path.count("/"), path))
