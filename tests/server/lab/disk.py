"""The disk of a server: a layer of its own over the base of its suite, and over frozen states of other servers."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.server.lab import record
from tests.server.lab.base import base
from tests.server.lab.places import LabError, cache, host
from tests.server.lab.prepared import prepared
from tests.server.lab.registries import registry_variables


@dataclass(frozen=True)
class Disk:
    """`lowers` is what it starts from, the newest first."""

    folder: Path
    lowers: tuple[Path, ...]

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def upper(self) -> Path:
        return self.folder / "upper"

    @property
    def log(self) -> Path:
        return self.folder / "console.log"

    def mount(self) -> None:
        """Assemble the root file system. Written data need not reach the disk of this machine: it lives for a test."""
        work = self.folder / "work"
        shutil.rmtree(work, ignore_errors=True)
        for folder in (self.root, self.upper, work):
            folder.mkdir(parents=True, exist_ok=True)
        self.upper.chmod(0o755)
        layers = ":".join(str(lower) for lower in self.lowers)
        options = f"lowerdir={layers},upperdir={self.upper},workdir={work},volatile"
        host(("mount", "-t", "overlay", "overlay", "-o", options, str(self.root)))

    def personalise(self, name: str) -> None:
        """What each machine has of its own: a name, and at its first boot an identity. For a mounted, fresh disk."""
        (self.root / "etc/hostname").write_text(f"{name}\n")
        (self.root / "etc/hosts").write_text(f"127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n::1\tlocalhost\n")
        variables = "".join(f"{key}={value}\n" for key, value in registry_variables().items())
        (self.root / "etc/environment").write_text(variables)
        (self.root / "var/lib/dbus/machine-id").unlink(missing_ok=True)

    def unmount(self) -> None:
        if self.root.is_mount():
            host(("umount", "--recursive", str(self.root)))

    def remove(self) -> None:
        self.unmount()
        shutil.rmtree(self.folder, ignore_errors=True)

    def freeze(self, label: str, suite: str) -> Disk:
        """Keep what was written as a state to start from; this disk goes on with an empty layer over it."""
        target = snapshots() / label
        if target.exists():
            raise LabError(f"there is a state {label!r} already: forget it first")
        self.unmount()
        target.mkdir(parents=True)
        self.upper.rename(target / "upper")
        state = {"suite": suite, "lowers": [str(lower) for lower in self.lowers]}
        (target / "state.json").write_text(json.dumps(state))
        return Disk(self.folder, (target / "upper", *self.lowers))


def fresh(folder: Path, suite: str, name: str) -> Disk:
    """A disk as a provider hands it out, with the packages that a set-up wants downloaded beforehand."""
    layers = (prepared(suite), base(suite))
    _drop_others(suite, layers)
    made = Disk(folder, layers)
    made.mount()
    made.personalise(name)
    # many servers on one disk: what dpkg writes is not forced out to it file by file
    (made.root / "etc/dpkg/dpkg.cfg.d/lab").write_text("force-unsafe-io\n")
    return made


def _drop_others(suite: str, layers: tuple[Path, ...]) -> None:
    """Delete bases and downloads of other weeks, when no server and no state stands on them."""
    states = [json.loads(file.read_text()) for file in snapshots().glob("*/state.json")]
    used = {lower for state in states for lower in state["lowers"]}
    used |= {lower for server in record.servers() for lower in server.lowers}
    for layer in layers:
        for other in layer.parent.glob(f"{suite}-*"):
            if other not in layers and str(other) not in used and other.suffix != ".part":
                shutil.rmtree(other)


def thawed(folder: Path, label: str) -> tuple[Disk, str]:
    """A disk that starts from a frozen state, and the suite of that."""
    found = snapshots() / label
    if not (found / "state.json").exists():
        raise LabError(f"there is no state {label!r}; there are: {' '.join(labels()) or 'none'}")
    state = json.loads((found / "state.json").read_text())
    return Disk(folder, (found / "upper", *map(Path, state["lowers"]))), state["suite"]


def snapshots() -> Path:
    return cache() / "states"


def labels() -> tuple[str, ...]:
    return tuple(sorted(file.parent.name for file in snapshots().glob("*/state.json")))


def forget(label: str) -> None:
    """Delete a frozen state. A server that stands on it has to be down."""
    shutil.rmtree(snapshots() / label, ignore_errors=True)
