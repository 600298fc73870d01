"""The folders of a deployment on the embedded host, where no system user goes with them."""

from __future__ import annotations

from webops_host import environment
from webops_host.embedded.processes import EmbeddedProcesses
from webops_host.embedded.sites import EmbeddedSites
from webops_host.errors import BadValue
from webops_host.layout import Layout
from webops_host.names import DeploymentName
from webops_host.one_off import Commands
from webops_host.release_files import ReleaseFiles
from webops_host.removal import remove_tree


class EmbeddedAccounts:
    """Satisfies `ports.Accounts`."""

    def __init__(self, layout: Layout, processes: EmbeddedProcesses, sites: EmbeddedSites, commands: Commands) -> None:
        self._layout, self._processes, self._sites, self._commands = layout, processes, sites, commands
        self._files = ReleaseFiles(layout)

    def ensure(self, name: DeploymentName) -> None:
        layout = self._layout
        self._layout.root.mkdir(parents=True, exist_ok=True)
        layout.home(name).mkdir(mode=0o700, exist_ok=True)
        mine = (layout.releases(name), layout.media(name), layout.data(name), layout.logs(name))
        for folder in (*mine, environment.home(layout, name)):
            folder.mkdir(parents=True, exist_ok=True)

    def remove(self, name: DeploymentName) -> None:
        self._sites.forget(name)
        self._commands.forget(name)
        self._processes.forget(name)
        remove_tree(self._layout.home(name))

    def releases(self, name: DeploymentName) -> tuple[int, ...]:
        return self._files.releases(name)

    def leftovers(self, name: DeploymentName) -> tuple[int, ...]:
        return self._files.leftovers(name)

    def seal(self, name: DeploymentName, release: int) -> None:
        self._files.seal(name, release)

    def discard(self, name: DeploymentName, release: int) -> int:
        site = self._sites.served(name)
        if site is not None and site.release == release:
            raise BadValue(f"Release {release} is live.", hint="Deploy or roll back to another release first.")
        self._processes.forget_release(name, release)
        return self._files.discard(name, release)
