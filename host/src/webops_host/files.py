"""Writing files so that a reader, or a power cut, finds the old one or the new one and nothing between."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from webops_host.errors import NotSupported


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace the file in one step, on disk before it is seen. Its folder is made, for us only, if missing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)  # whatever the umask
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def private_folder(path: Path) -> Path:
    """Have a folder that only we can enter. Raises NotSupported when somebody else owns what is there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise NotSupported(f"{path} is not a folder of ours.", hint="Remove it, or set TMPDIR to a folder of your own.")
    if found.st_mode & 0o077:
        path.chmod(0o700)
    return path
