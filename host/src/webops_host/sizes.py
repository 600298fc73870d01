"""How much room files take."""

from __future__ import annotations

import os
from pathlib import Path

MOST_LINKED = 100_000  # files with several names that are remembered; beyond that each name counts


def size(folder: Path, seen: set[tuple[int, int]] | None = None) -> int:
    """Bytes of all files below a folder, a file with several names once; what vanishes meanwhile counts nothing.

    `seen` are the files with several names that were counted already.
    """
    seen = set() if seen is None else seen
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += size(Path(entry.path), seen)
                    continue
                state = entry.stat(follow_symlinks=False)
                if _is_new(state, seen):
                    total += state.st_size
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return total
    return total


def _is_new(state: os.stat_result, seen: set[tuple[int, int]]) -> bool:
    if state.st_nlink == 1:
        return True
    key = (state.st_dev, state.st_ino)
    if key in seen:
        return False
    if len(seen) < MOST_LINKED:
        seen.add(key)
    return True
