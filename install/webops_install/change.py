"""A change to the machine as a value, named before it is made; and wanted files, folders and links as changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from webops_install.errors import SetupError
from webops_install.machine import Machine


@dataclass(frozen=True, slots=True)
class Change:
    """`what` completes the sentence “would …”."""

    what: str
    make: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Owner:
    user: str = "root"
    group: str = "root"

    def ids(self, machine: Machine) -> tuple[int, int]:
        """Raises SetupError when there is no such user or group."""
        user = machine.user(self.user)
        group = machine.group(self.group)
        if user is None or group is None:
            raise SetupError(f"There is no user {self.user} or no group {self.group}.")
        return user.uid, group

    def __str__(self) -> str:
        return f"{self.user}:{self.group}"


ROOT = Owner()


def folder(machine: Machine, path: str | Path, mode: int = 0o755, owner: Owner = ROOT) -> Iterator[Change]:
    """A folder with exactly this mode and owner. What is inside is left alone."""
    if not machine.exists(path):
        yield Change(f"make {path} ({mode:04o} {owner})", lambda: _make_folder(machine, path, mode, owner))
    elif not machine.at(path).is_dir():
        raise SetupError(f"{path} is there, and is not a folder.", hint="Move it away, then run this again.")
    elif not _is_kept(machine, path, mode, owner):
        yield Change(f"set {path} to {mode:04o} {owner}", lambda: _keep(machine, path, mode, owner))


def file(machine: Machine, path: str | Path, content: str, mode: int = 0o644, owner: Owner = ROOT) -> Iterator[Change]:
    """A file with exactly this content, mode and owner, written beside its place and renamed into it."""
    if machine.text(path) != content:
        verb = "change" if machine.exists(path) else "write"
        yield Change(f"{verb} {path} ({mode:04o} {owner})", lambda: write(machine, path, content, mode, owner))
    elif not _is_kept(machine, path, mode, owner):
        yield Change(f"set {path} to {mode:04o} {owner}", lambda: _keep(machine, path, mode, owner))


def link(machine: Machine, path: str | Path, target: str) -> Iterator[Change]:
    """A symbolic link, put into its place by a rename."""
    place = machine.at(path)
    if not (place.is_symlink() and os.readlink(place) == target):
        yield Change(f"link {path} to {target}", lambda: point(machine, path, target))


def absent(machine: Machine, path: str | Path) -> Iterator[Change]:
    if machine.exists(path):
        yield Change(f"remove {path}", lambda: machine.at(path).unlink())


def write(machine: Machine, path: str | Path, content: str, mode: int = 0o644, owner: Owner = ROOT) -> None:
    """Durably: after a power cut there is the old file or the new one."""
    place = machine.at(path)
    uid, gid = owner.ids(machine)
    fresh = place.with_name(f".{place.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(descriptor)
    machine.owners.give(fresh, uid, gid)
    fresh.chmod(mode)
    fresh.replace(place)


def point(machine: Machine, path: str | Path, target: str) -> None:
    place = machine.at(path)
    fresh = place.with_name(f".{place.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(place)


def _is_kept(machine: Machine, path: str | Path, mode: int, owner: Owner) -> bool:
    try:
        wanted = owner.ids(machine)
    except SetupError:  # a dry run, before there is such a user
        return False
    return machine.mode(path) == mode and machine.owners.of(machine.at(path)) == wanted


def _make_folder(machine: Machine, path: str | Path, mode: int, owner: Owner) -> None:
    machine.at(path).mkdir(mode=0o700, parents=True, exist_ok=True)
    _keep(machine, path, mode, owner)


def _keep(machine: Machine, path: str | Path, mode: int, owner: Owner) -> None:
    machine.owners.give(machine.at(path), *owner.ids(machine))
    machine.at(path).chmod(mode)  # after the owner: chown takes the set-id bits away
