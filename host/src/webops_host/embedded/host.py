"""The embedded host: every part in this process, as whoever runs it, without root and without a sandbox."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress

from webops_host import codec, ports
from webops_host.builds import LocalBuilds
from webops_host.embedded.accounts import EmbeddedAccounts
from webops_host.embedded.certificates import EmbeddedCertificates
from webops_host.embedded.databases import EmbeddedDatabases
from webops_host.embedded.meters import EmbeddedMeters
from webops_host.embedded.processes import GRACE, EmbeddedProcesses
from webops_host.embedded.sites import PANEL_COOKIES, EmbeddedSites
from webops_host.embedded.timers import EmbeddedTimers
from webops_host.fences import FencedHost, Fences
from webops_host.layout import Layout
from webops_host.names import DeploymentName
from webops_host.one_off import Commands
from webops_host.sources import LocalSources
from webops_host.values import Unit

ISOLATION = "none: programs run as the same user as WebOps, without a sandbox"


class EmbeddedHost:
    """Satisfies `ports.Host`. Call `restore` once before anything else and `close` at the end."""

    def __init__(
        self,
        layout: Layout,
        *,
        port_base: int = 8100,
        panel_cookies: Iterable[str] = PANEL_COOKIES,
        postgres_url: str = "",
        grace: float = GRACE,
        first_wait: float = 1.0,
    ) -> None:
        self._layout = layout
        self.fences = Fences(layout.state / "fences.json")
        units = EmbeddedProcesses(layout, unit_ports=port_base + 2000, grace=grace, first_wait=first_wait)
        sites = EmbeddedSites(layout, units, first_port=port_base, panel_cookies=panel_cookies)
        self._units, self._sites = units, sites
        builds = LocalBuilds(layout)
        commands = Commands(builds.run)
        self._commands = commands
        self.accounts: ports.Accounts = EmbeddedAccounts(layout, units, sites, commands)
        self.sources: ports.Sources = LocalSources(layout)
        self.builds: ports.Builds = builds
        self.commands: ports.Commands = commands
        self.processes: ports.Processes = units
        self.timers: ports.Timers = EmbeddedTimers(layout)
        self.sites: ports.Sites = sites
        self.certificates: ports.Certificates = EmbeddedCertificates()
        self.databases: ports.Databases = EmbeddedDatabases(layout, postgres_url)
        self.meters: ports.Meters = EmbeddedMeters(layout)

    def restore(self) -> None:
        """Bring back the units and sites that should be up."""
        self._units.restore()
        self._sites.restore()

    def close(self) -> None:
        """Stop answering, then end all programs. They come back with the next `restore`."""
        self._sites.close()
        self._commands.close()
        self._units.close()
        with suppress(OSError):
            self._layout.run.rmdir()

    def fenced(self, name: DeploymentName, fence: int) -> ports.Host:
        return FencedHost(self, name, fence, self.fences)

    def describe(self) -> Mapping[str, str]:
        return {
            "kind": "embedded",
            "isolation": ISOLATION,
            "network": "programs may reach what this user may reach, and be reached where they choose to listen",
            "root": str(self._layout.root),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()}",
        }

    def explain(self, name: DeploymentName) -> Mapping[str, str]:
        site = self._sites.served(name)
        address = self._sites.address(name)
        served = "nothing is published" if site is None else json.dumps(codec.dump(site), indent=2)
        units = [self._explain_unit(unit) for unit in self._units.units(name)]
        return {
            "units": "\n\n".join(units) or "no units are installed",
            "site": f"{address.url if address else 'no address'}\n{served}",
            "paths": "\n".join(
                (
                    f"mirror    {self._layout.mirror(name)}",
                    f"releases  {self._layout.releases(name)}",
                    f"shared    {self._layout.shared(name)}",
                    f"logs      {self._layout.logs(name)}",
                )
            ),
        }

    def _explain_unit(self, unit: Unit) -> str:
        runtime = unit.runtime
        door = self._units.door(unit.ref)
        names = ", ".join(sorted(runtime.variables)) or "none"
        lines = [
            f"{unit.ref}",
            f"  program      {json.dumps(codec.dump(unit.program))}",
            f"  environment  {runtime.environment or 'none'}",
            f"  settings     {runtime.settings or 'none'}",
            f"  limits       {json.dumps(codec.dump(runtime.limits))}",
            f"  variables    {names}",
        ]
        if door is not None:
            lines.append(f"  listens      {door.socket} or 127.0.0.1:{door.port}")
        return "\n".join(lines)
