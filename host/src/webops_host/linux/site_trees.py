"""Published trees, read by root though project code was there: no link is followed on the way, nor at its end."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from webops_host.linux import site_rules

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def opened(home: Path, tree: Path) -> Iterator[int | None]:
    """A handle of a tree below a deployment's home, for as long as it is needed; None when it is not there."""
    folder: int | None = None
    try:
        folder = os.open(home, FOLDER)
        for part in tree.relative_to(home).parts:
            below = os.open(part, FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    except (FileNotFoundError, NotADirectoryError):
        yield None
    finally:
        if folder is not None:
            os.close(folder)


def content(folder: int, name: str) -> bytes | None:
    """What a regular file in a folder holds, a little more than is taken at most."""
    try:
        handle = os.open(name, FILE, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        return file.read(site_rules.LARGEST + 1)
