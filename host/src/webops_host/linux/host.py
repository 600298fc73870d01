"""The server as a host: every port but databases, which have a daemon of their own. Runs inside hostd, as root."""

from __future__ import annotations

import json
import platform as machine
from collections.abc import Mapping
from typing import Any

from webops_host import codec, ports
from webops_host.errors import NotSupported
from webops_host.fences import FencedHost, Fences, Ports
from webops_host.linux import firewall_load, resolvers
from webops_host.linux.accounts import LinuxAccounts
from webops_host.linux.certificates import LinuxCertificates
from webops_host.linux.jobs import Jobs
from webops_host.linux.layout import ServerLayout
from webops_host.linux.meters import LinuxMeters
from webops_host.linux.people import People
from webops_host.linux.platform import Platform
from webops_host.linux.processes import LinuxProcesses
from webops_host.linux.sites import LinuxSites
from webops_host.linux.timers import LinuxTimers
from webops_host.linux.units import Surroundings
from webops_host.linux.work import LinuxBuilds, LinuxSources
from webops_host.names import DeploymentName
from webops_host.one_off import Commands
from webops_host.operations import Operation, Values

ISOLATION = "each deployment runs as a user of its own, in a sandbox of systemd's, behind a firewall by user"
NETWORK = "programs reach public addresses only, and are reached through nginx alone"


class LinuxHost(Ports):
    """Satisfies `ports.Host`, but for databases."""

    def __init__(self, layout: ServerLayout, platform: Platform) -> None:
        super().__init__(self._elsewhere)
        self._layout, self._platform = layout, platform
        self._fences = Fences(layout.state / "fences.json")
        around = Surroundings(layout, platform.limits, resolvers.read(), firewall_load.private_addresses)
        people, jobs = People(layout.state / "registry.json"), Jobs(around)
        units = LinuxProcesses(around, people)
        units.want_sockets()
        sites = LinuxSites(layout, platform, units)
        timers = LinuxTimers(around, people)
        accounts = LinuxAccounts(layout, people, jobs, (timers, units), sites)
        builds = LinuxBuilds(layout, people, accounts, jobs)
        commands = Commands(builds.run)
        sites.when_forgotten(commands.forget)
        self._units, self._sites, self._commands = units, sites, commands
        self.accounts = accounts
        self.sources = LinuxSources(layout, people, accounts, jobs)
        self.builds = builds
        self.commands = commands
        self.processes = units
        self.timers = timers
        self.sites = sites
        self.certificates = LinuxCertificates(layout, platform, sites)
        self.meters = LinuxMeters(layout)

    @property
    def is_busy(self) -> bool:
        """Whether something goes on that nobody asks about just now."""
        return self._commands.is_busy

    def close(self) -> None:
        """End that."""
        self._commands.close()

    def fenced(self, name: DeploymentName, fence: int) -> ports.Host:
        return FencedHost(self, name, fence, self._fences)

    def describe(self) -> Mapping[str, str]:
        return {
            "kind": "linux",
            "isolation": ISOLATION,
            "network": NETWORK,
            "root": str(self._layout.root),
            **self._names(),
            "python": machine.python_version(),
            "system": _system(),
        }

    def _names(self) -> dict[str, str]:
        """What a page says of domains and limits."""
        platform = self._platform
        return {
            "domain": str(platform.domain),
            "panel": str(platform.panel),
            "address4": ",".join(address for address in platform.addresses if ":" not in address),
            "address6": ",".join(address for address in platform.addresses if ":" in address),
            "most_memory_mib": str(platform.limits.memory_mib),
            "most_cpu_percent": str(platform.limits.cpu_percent),
            "most_tasks": str(platform.limits.tasks),
        }

    def explain(self, name: DeploymentName) -> Mapping[str, str]:
        site, address = self._sites.served(name), self._sites.address(name)
        served = "nothing is published" if site is None else json.dumps(codec.dump(site), indent=2)
        notices = self._sites.notices(name)
        texts = [f"# {file}\n{text}" for file, text in self._units.texts(name).items()]
        layout = self._layout
        return {
            "units": "\n\n".join(texts) or "no units are installed",
            "site": f"{address.url if address else 'no address'}\n{served}",
            **({"rules left out": "\n".join(notices)} if notices else {}),
            "paths": "\n".join(
                (
                    f"mirror    {layout.mirror(name)}",
                    f"releases  {layout.releases(name)}",
                    f"shared    {layout.shared(name)}",
                    f"socket    {layout.live(name)}",
                )
            ),
        }

    def _elsewhere(self, operation: Operation, values: Values) -> Any:
        raise NotSupported(f"{operation.name} is not asked of this daemon.", hint="Databases are pgd's.")


def _system() -> str:
    try:
        return machine.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{machine.system()} {machine.release()}"
