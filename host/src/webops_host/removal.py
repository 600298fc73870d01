"""Removing what project code has written."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path


def remove_tree(folder: Path) -> int:
    """Remove a folder that project code may have written, whatever modes it left; the bytes that were freed."""
    freed = empty_tree(folder)
    if folder.is_dir() and not folder.is_symlink():
        folder.rmdir()
    return freed


def empty_tree(folder: Path) -> int:
    """Remove what is in it, and leave the folder; the bytes that were freed."""
    if not folder.is_dir() or folder.is_symlink():
        return 0
    _open(str(folder))
    size = 0
    for where, folders, names in os.walk(folder):
        for name in folders:
            with suppress(OSError):
                _open(os.path.join(where, name))
        for name in names:
            with suppress(OSError):
                size += os.lstat(os.path.join(where, name)).st_size
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
    return size


def _open(folder: str) -> None:
    """A folder without write permission keeps what is in it: give ourselves the permission."""
    mode = os.lstat(folder).st_mode
    if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
        os.chmod(folder, 0o700)
