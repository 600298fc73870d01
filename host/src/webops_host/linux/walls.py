"""Who may pass a site's password wall: a file that nginx's workers read for each request, and nobody else may."""

from __future__ import annotations

import grp
import os
from collections.abc import Iterable
from contextlib import suppress

from webops_host import files
from webops_host.linux.layout import ServerLayout
from webops_host.names import DeploymentName
from webops_host.site_options import WallEntry

READER = "www-data"


class Walls:
    """The folder of all walls."""

    def __init__(self, layout: ServerLayout) -> None:
        self._folder = layout.settings / "nginx/walls"

    def have(self, name: DeploymentName, entries: Iterable[WallEntry]) -> None:
        """Have a wall with these visitors; without any, none. The same again: nothing."""
        file = self._folder / name
        text = "".join(f"{entry.visitor}:{entry.password}\n" for entry in entries).encode()
        if not text:
            file.unlink(missing_ok=True)
        elif not file.exists() or file.read_bytes() != text:
            self._prepare()
            files.write_whole(file, text, 0o640)

    def _prepare(self) -> None:
        """New files take the folder's group."""
        if self._folder.is_dir():
            return
        self._folder.mkdir(parents=True)
        with suppress(KeyError, PermissionError):
            os.chown(self._folder, 0, _group())
        self._folder.chmod(0o2750)


def _group() -> int:
    return grp.getgrnam(READER).gr_gid
