"""The control groups of a server: in each hierarchy one of its own, with everything of the server inside and below."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.server.lab.places import PREFIX

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "cpu", "cpuacct", "pids", "blkio", "devices")
BOOKKEEPING = ("systemd", "unified")


class Groups:
    """On a host with one single hierarchy (pure v2) there is one group, and nothing to remount."""

    def __init__(self, name: str) -> None:
        self.name = f"{PREFIX}-{name}"

    @property
    def controllers(self) -> tuple[str, ...]:
        return tuple(one for one in CONTROLLERS if (ROOT / one / "cgroup.procs").exists())

    @property
    def folders(self) -> tuple[Path, ...]:
        mounted = [one for one in (*self.controllers, *BOOKKEEPING) if (ROOT / one / "cgroup.procs").exists()]
        return tuple(ROOT / one / self.name for one in mounted) or (ROOT / self.name,)

    def make(self) -> None:
        for folder in self.folders:
            folder.mkdir(exist_ok=True)

    def members(self) -> frozenset[int]:
        """The processes of the server, as this machine numbers them."""
        return frozenset(pid for folder in self.folders for group in _tree(folder) for pid in _processes(group))

    def remove(self) -> None:
        """Delete the groups. Those that still hold a process stay."""
        for folder in self.folders:
            for group in sorted(_tree(folder), key=lambda path: len(path.parts), reverse=True):
                with contextlib.suppress(OSError):
                    group.rmdir()

    def gone(self) -> bool:
        return not any(folder.exists() for folder in self.folders)


def _tree(folder: Path) -> Iterator[Path]:
    if folder.exists():
        yield folder
        yield from (path for path in folder.rglob("*") if path.is_dir())


def _processes(group: Path) -> list[int]:
    try:
        return [int(line) for line in (group / "cgroup.procs").read_text().split()]
    except OSError:
        return []
