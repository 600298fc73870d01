"""How much room there is on the embedded host, and who takes it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from webops_host.layout import Layout
from webops_host.names import DeploymentName
from webops_host.sizes import size
from webops_host.values import Disk


class EmbeddedMeters:
    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def disk(self) -> Disk:
        """The file system that deployments live on, or will."""
        place = self._layout.root
        while not place.exists():
            place = place.parent
        usage = shutil.disk_usage(place)
        return Disk(total=usage.total, free=usage.free)

    def space(self, name: DeploymentName) -> Mapping[str, int]:
        """Bytes by part: mirror, releases, environments, shared. All 0 for an unknown deployment; environments that
        several deployments share are nobody's."""
        home = self._layout.home(name)
        environments = sum(size(home / part) for part in ("envs", "cache", "node"))
        return {
            "mirror": size(self._layout.mirror(name)),
            "releases": size(self._layout.releases(name)),
            "environments": environments,
            "shared": size(self._layout.shared(name)),
        }
