"""The two links of a deployment that say what visitors get. Switching one is a rename: there is no moment between."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

SOCKET = re.compile(r"(\d{1,9})-[a-z][a-z0-9_-]*-\d+\.sock")


def lead(link: Path, target: str) -> None:
    """Have the link lead there, on disk before the return. Leading there already: nothing."""
    if target_of(link) == target:
        return
    fresh = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    fresh.symlink_to(target)
    try:
        fresh.replace(link)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _settle(link.parent)


def remove(link: Path) -> None:
    """Absent is fine."""
    if link.is_symlink():
        link.unlink()
        _settle(link.parent)


def release_of(link: Path) -> int | None:
    """Which release a link leads to: a socket's name begins with its number, a release's folder is called so."""
    target = os.path.basename(target_of(link))
    found = SOCKET.fullmatch(target)
    number = found[1] if found else target
    return int(number) if re.fullmatch(r"\d{1,9}", number, re.ASCII) else None


def target_of(link: Path) -> str:
    """Empty when there is no link."""
    try:
        return os.readlink(link)
    except OSError:
        return ""


def _settle(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
