"""How much room files take."""

from __future__ import annotations

import os
from pathlib import Path


def size(folder: Path, seen: set[tuple[int, int]] | None = None) -> int:
    """Bytes of all files below a folder, a file with several names once; what vanishes meanwhile counts nothing.

    Hand in one `seen` to count files once over several folders.
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
                key = (state.st_dev, state.st_ino)
                if state.st_nlink == 1 or key not in seen:
                    total += state.st_size
                    seen.add(key)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return total
    return total
