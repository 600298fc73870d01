"""The folders of a deployment on the embedded host, where no system user goes with them."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from webops_host import environment
from webops_host.embedded.processes import EmbeddedProcesses
from webops_host.embedded.sites import EmbeddedSites
from webops_host.errors import BadValue, NotFound
from webops_host.layout import Layout
from webops_host.names import DeploymentName

ENVIRONMENT_NOTE = ".env"  # in a release: the digest of the environment it uses


class EmbeddedAccounts:
    """Satisfies `ports.Accounts`."""

    def __init__(self, layout: Layout, processes: EmbeddedProcesses, sites: EmbeddedSites) -> None:
        self._layout, self._processes, self._sites = layout, processes, sites

    def ensure(self, name: DeploymentName) -> None:
        layout = self._layout
        self._layout.root.mkdir(parents=True, exist_ok=True)
        layout.home(name).mkdir(mode=0o700, exist_ok=True)
        mine = (layout.releases(name), layout.media(name), layout.data(name), layout.logs(name))
        for folder in (*mine, environment.home(layout, name)):
            folder.mkdir(parents=True, exist_ok=True)

    def remove(self, name: DeploymentName) -> None:
        self._sites.forget(name)
        self._processes.forget(name)
        remove_tree(self._layout.home(name))

    def releases(self, name: DeploymentName) -> tuple[int, ...]:
        return tuple(sorted(n for n in self._numbers(name) if self._layout.marker(name, n).exists()))

    def seal(self, name: DeploymentName, release: int) -> None:
        if not self._layout.release(name, release).is_dir():
            raise NotFound(f"Release {release} of {name} is not here.")
        self._layout.marker(name, release).touch()

    def discard(self, name: DeploymentName, release: int) -> int:
        site = self._sites.served(name)
        if site is not None and site.release == release:
            raise BadValue(f"Release {release} is live.", hint="Deploy or roll back to another release first.")
        self._processes.forget_release(name, release)
        self._layout.marker(name, release).unlink(missing_ok=True)  # half removed is never taken for whole
        freed = remove_tree(self._layout.release(name, release))
        used = {self._environment(name, number) for number in self._numbers(name)}
        environments = self._layout.home(name) / "envs"
        for folder in environments.iterdir() if environments.is_dir() else ():
            if folder.name not in used:
                freed += remove_tree(folder)
        return freed

    def _numbers(self, name: DeploymentName) -> list[int]:
        folder = self._layout.releases(name)
        return [int(path.name) for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []

    def _environment(self, name: DeploymentName, release: int) -> str:
        with suppress(OSError):
            return (self._layout.release(name, release) / ENVIRONMENT_NOTE).read_text().strip()
        return ""


def remove_tree(folder: Path) -> int:
    """Remove a folder that project code may have written, whatever modes it left; the bytes that were freed."""
    if not folder.is_dir() or folder.is_symlink():
        return 0
    size = 0
    for where, folders, names in os.walk(folder):
        for name in folders:
            with suppress(OSError):
                _open(os.path.join(where, name))
        for name in names:
            with suppress(OSError):
                size += os.lstat(os.path.join(where, name)).st_size
    shutil.rmtree(folder)
    return size


def _open(folder: str) -> None:
    """A folder without write permission keeps what is in it: give ourselves the permission."""
    mode = os.lstat(folder).st_mode
    if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
        os.chmod(folder, 0o700)
