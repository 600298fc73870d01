"""The files of a deployment's releases, as whoever owns them sees them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from webops_host.errors import NotFound
from webops_host.layout import Layout
from webops_host.names import DeploymentName
from webops_host.removal import remove_tree

ENVIRONMENT_NOTE = ".environment"
"""In a release: the digest of its environment. Not `.env`, which projects look for in every folder above theirs."""


@dataclass(frozen=True, slots=True)
class ReleaseFiles:
    """`remove` takes a release's folder away, or empties it where only root may do more."""

    layout: Layout
    remove: Callable[[Path], int] = remove_tree

    def releases(self, name: DeploymentName) -> tuple[int, ...]:
        """Numbers of the releases on disk that are whole, lowest first."""
        return tuple(sorted(n for n in self._numbers(name) if self.layout.marker(name, n).exists()))

    def leftovers(self, name: DeploymentName) -> tuple[int, ...]:
        """Numbers of those that are not whole, lowest first."""
        return tuple(sorted({*self._numbers(name)} - {*self.releases(name)}))

    def seal(self, name: DeploymentName, release: int) -> None:
        """Mark the release's files as whole. Again: nothing. Raises NotFound."""
        if not self.layout.release(name, release).is_dir():
            raise NotFound(f"Release {release} of {name} is not here.")
        self.layout.marker(name, release).touch()

    def discard(self, name: DeploymentName, release: int) -> int:
        """Remove the release's files, and environments that no other release uses; the bytes freed. Again: 0."""
        self.layout.marker(name, release).unlink(missing_ok=True)  # half removed is never taken for whole
        freed = self.remove(self.layout.release(name, release))
        used = {self._environment(name, number) for number in self._numbers(name)}
        environments = self.layout.home(name) / "envs"
        for folder in environments.iterdir() if environments.is_dir() else ():
            if folder.name not in used:
                freed += remove_tree(folder)
        return freed

    def _numbers(self, name: DeploymentName) -> list[int]:
        folder = self.layout.releases(name)
        return [int(path.name) for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []

    def _environment(self, name: DeploymentName, release: int) -> str:
        with suppress(OSError):
            return (self.layout.release(name, release) / ENVIRONMENT_NOTE).read_text().strip()
        return ""
