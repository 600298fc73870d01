"""Uploaded dumps on their way to the host: the page writes a file, the worker hands it on and removes it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from apps.core.clock import now
from apps.core.errors import Invalid
from webops_host.database_values import new_dump
from webops_host.names import DumpId

LARGEST_MIB = 1024  # as much as the web server lets through
RESTS = 86400.0  # seconds that a file may wait for the worker


def path(dump: DumpId) -> Path:
    return _folder() / f"{dump}.part"


def write(chunks: Iterable[bytes]) -> DumpId:
    """Keep what arrives, for the worker's eyes too. Raises Invalid when it is too large or nothing."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)  # on a server, set-up makes it for the group of panel and worker
    _sweep(folder)
    dump = new_dump()
    size = 0
    try:
        with os.fdopen(os.open(path(dump), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "wb") as file:
            for chunk in chunks:
                size += len(chunk)
                if size > LARGEST_MIB << 20:
                    raise _refused(f"It is larger than {LARGEST_MIB} MiB.")
                file.write(chunk)
        if not size:
            raise _refused("The file is empty.")
    except BaseException:
        forget(dump)
        raise
    return dump


def forget(dump: DumpId) -> None:
    """The worker has handed it on. What it may not remove goes with the next upload after a day."""
    with suppress(OSError):
        path(dump).unlink()


def _folder() -> Path:
    return Path(settings.ENV.var) / "uploads"


def _sweep(folder: Path) -> None:
    for old in folder.glob("*.part"):
        with suppress(OSError):
            if old.stat().st_mtime < now().timestamp() - RESTS:
                old.unlink()


def _refused(text: str) -> Invalid:
    return Invalid("The dump can not be taken.", fields={"file": [text]})
