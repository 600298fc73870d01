"""A deployment's user and folders on a server: the `Accounts` port, inside hostd.

Folders that root makes have root for their parent, so nobody can put a link in their place; what is inside belongs to
the deployment's user and is only ever touched by a job that runs as that user.
"""

from __future__ import annotations

import contextlib
import grp
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from webops_host import django_work, runner
from webops_host.command import Command
from webops_host.errors import BadValue, HostError, NotFound
from webops_host.linux.jobs import Jobs, Place
from webops_host.linux.layout import ServerLayout
from webops_host.linux.people import People, user_of
from webops_host.linux.uids import FETCH_UID
from webops_host.linux.units import WEB_GROUP
from webops_host.names import DeploymentName, Digest
from webops_host.operations import OPERATIONS
from webops_host.release_files import ENVIRONMENT_NOTE
from webops_host.removal import remove_tree
from webops_host.values import SiteAddress

FETCH_USER = "webops-fetch"


class Served(Protocol):
    """What accounts ask of sites."""

    def address(self, name: DeploymentName) -> SiteAddress | None: ...

    def forget(self, name: DeploymentName) -> None: ...


class Runs(Protocol):
    """What accounts ask of whatever runs programs of a deployment."""

    def forget(self, name: DeploymentName, release: int | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Folder:
    path: Path
    uid: int
    gid: int
    mode: int


class LinuxAccounts:
    """Satisfies `ports.Accounts`."""

    def __init__(
        self, layout: ServerLayout, people: People, jobs: Jobs, running: tuple[Runs, ...], sites: Served
    ) -> None:
        self._layout, self._people, self._jobs = layout, people, jobs
        self._running, self._sites = running, sites

    def ensure(self, name: DeploymentName) -> None:
        uid = self._people.ensure(name, self._layout.shared(name) / "home")
        for folder in self._folders(name, uid):
            _have(folder)

    def remove(self, name: DeploymentName) -> None:
        if not self._people.knows(name):
            return
        self._jobs.end(name)
        self._sites.forget(name)
        for part in self._running:
            part.forget(name)
        home = self._layout.home(name)
        if home.is_dir():
            remove = OPERATIONS["accounts.remove"]
            parts = tuple(path for path in self._parts(name) if path.is_dir() and any(path.iterdir()))
            mirror = self._layout.mirror(name)
            for user, theirs in ((FETCH_USER, {mirror} & set(parts)), (user_of(name), set(parts) - {mirror})):
                if theirs:
                    self._jobs.run(remove, {"name": name}, Place(user, name, writable=tuple(sorted(theirs))))
            _remove_empty(home)
        self._people.remove(name)

    def releases(self, name: DeploymentName) -> tuple[int, ...]:
        return tuple(sorted(number for number in self._numbers(name) if self._is_sealed(name, number)))

    def leftovers(self, name: DeploymentName) -> tuple[int, ...]:
        return tuple(sorted(number for number in self._numbers(name) if not self._is_sealed(name, number)))

    def discard(self, name: DeploymentName, release: int) -> int:
        address = self._sites.address(name)
        if address is not None and address.release == release:
            raise BadValue(f"Release {release} is live.", hint="Deploy or roll back to another release first.")
        self._jobs.let_go(name)
        for part in self._running:
            part.forget(name, release)
        folder = self._layout.release(name, release)
        if not folder.is_dir():
            return 0
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._layout.marker(name, release))  # half removed is never taken for whole
        place = Place(
            user_of(name),
            name,
            readable=(self._layout.releases(name),),
            writable=(folder, self._layout.home(name) / "envs"),
        )
        freed: int = self._jobs.run(OPERATIONS["accounts.discard"], {"name": name, "release": release}, place)
        os.rmdir(folder)
        return freed

    def seal(self, name: DeploymentName, release: int) -> None:
        """On disk first, then the marker: after a power cut there is no marker without its files."""
        folder = self._layout.release(name, release)
        if not folder.is_dir():
            raise NotFound(f"Release {release} of {name} is not here.")
        self._jobs.let_go(name)
        if self._is_sealed(name, release):
            return
        runner.run(Command(("/usr/bin/sync", "--file-system", str(folder)), timeout=300))
        with contextlib.suppress(FileExistsError):
            marker = self._layout.marker(name, release)
            os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644))

    # --- for the other parts of the host -----------------------------------------------------------------------

    def make_release(self, name: DeploymentName, release: int) -> None:
        """Have the folder of a release, for its builds to fill. nginx's group is inherited by what they make.

        The settings overlay is laid in before anybody else can reach it.
        """
        uid, folder = self._people.uid(name), self._layout.release(name, release)
        if folder.is_dir():
            return
        fresh = folder.with_name(f".{release}.new")
        remove_tree(fresh)
        fresh.mkdir(mode=0o700)
        overlay = fresh / self._layout.overlay(name, release).name
        django_work.place_overlay(overlay)
        for path in (*overlay.iterdir(), overlay):
            path.chmod(0o700 if path == overlay else 0o600)
            os.chown(path, uid, uid)
        _have(Folder(fresh, uid, _web_gid(), 0o2750))
        fresh.rename(folder)

    def note_environment(self, name: DeploymentName, release: int, digest: Digest) -> None:
        """Say in the release which environment it uses, without following what its code may have put there."""
        note = self._layout.release(name, release) / ENVIRONMENT_NOTE
        with contextlib.suppress(FileExistsError):
            handle = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
            with os.fdopen(handle, "w") as file:
                file.write(digest)

    # --- parts -------------------------------------------------------------------------------------------------

    def _folders(self, name: DeploymentName, uid: int) -> Iterator[Folder]:
        layout, web = self._layout, _web_gid()
        home = layout.home(name)
        yield Folder(home, 0, 0, 0o711)
        yield Folder(layout.mirror(name), FETCH_UID, uid, 0o2750)
        yield Folder(layout.releases(name), 0, 0, 0o755)
        for part in ("envs", "cache", "node"):
            yield Folder(home / part, uid, uid, 0o750)
        yield Folder(layout.shared(name), 0, 0, 0o711)
        yield Folder(layout.media(name), uid, web, 0o2750)
        yield Folder(layout.data(name), uid, uid, 0o700)
        yield Folder(layout.shared(name) / "home", uid, uid, 0o700)

    def _parts(self, name: DeploymentName) -> Iterator[Path]:
        """Every folder that a user but root can write in."""
        uid = self._people.uid(name)
        yield from (folder.path for folder in self._folders(name, uid) if folder.uid)
        yield from (self._layout.release(name, number) for number in self._numbers(name))

    def _numbers(self, name: DeploymentName) -> list[int]:
        folder = self._layout.releases(name)
        return [int(path.name) for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []

    def _is_sealed(self, name: DeploymentName, release: int) -> bool:
        """The project's code may write in the folder; only a marker of ours counts."""
        try:
            found = self._layout.marker(name, release).lstat()
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_uid == 0


def _have(folder: Folder) -> None:
    """A folder below a folder of root's, with its owner and mode. Raises HostError when something else is there."""
    try:
        found = folder.path.lstat()
    except FileNotFoundError:
        folder.path.mkdir(mode=0o700)
        found = folder.path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise HostError(f"{folder.path} is not a folder.", hint="Move it away; WebOps makes it anew.")
    if (found.st_uid, found.st_gid) != (folder.uid, folder.gid):
        os.chown(folder.path, folder.uid, folder.gid, follow_symlinks=False)
    if stat.S_IMODE(folder.path.lstat().st_mode) != folder.mode:
        folder.path.chmod(folder.mode)


def _remove_empty(home: Path) -> None:
    """Folders that are empty by now, and root's own links. Raises HostError when something is left."""
    for path in sorted(home.rglob("*"), key=lambda path: len(path.parts), reverse=True):
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            path.rmdir()
        else:
            raise HostError(f"{path} is still there.", hint="Remove the deployment again.")
    home.rmdir()


def _web_gid() -> int:
    return grp.getgrnam(WEB_GROUP).gr_gid
