"""How much room there is on a server, and who takes it: the `Meters` port, inside hostd."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from webops_host.linux.layout import ServerLayout
from webops_host.names import DeploymentName
from webops_host.sizes import size
from webops_host.values import Disk


class LinuxMeters:
    """Satisfies `ports.Meters`."""

    def __init__(self, layout: ServerLayout) -> None:
        self._layout = layout

    def disk(self) -> Disk:
        usage = shutil.disk_usage(self._layout.root)
        return Disk(total=usage.total, free=usage.free)

    def space(self, name: DeploymentName) -> Mapping[str, int]:
        home = self._layout.home(name)
        return {
            "mirror": size(self._layout.mirror(name)),
            "releases": size(self._layout.releases(name)),
            "environments": sum(size(home / part) for part in ("envs", "cache", "node")),
            "shared": size(self._layout.shared(name)),
        }
