"""Where things lie on a server: the paths of `Layout`, and those that only root and the system's programs use.

`/srv/webops/<name>` belongs to root and may be passed through, not listed; what is inside is owned by whoever works on
it. The two links in it are root's: `current` names the release whose files are served, `live.sock` the socket that
visitors reach. Going live is one rename of a link.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from webops_host.layout import Layout
from webops_host.names import DeploymentName
from webops_host.values import UnitRef


@dataclass(frozen=True, slots=True)
class ServerLayout(Layout):
    """`root` is the install root. The other folders are fixed by the system; tests move them."""

    root: Path = Path("/srv/webops")
    settings: Path = Path("/etc/webops")
    records: Path = Path("/var/lib/webops/hostd")
    sockets: Path = Path("/run/webops")
    units: Path = Path("/etc/systemd/system")
    variable: Path = Path("/var/lib/webops")
    stamps: Path = Path("/var/lib/systemd/timers")

    @property
    def state(self) -> Path:
        return self.records

    @property
    def run(self) -> Path:
        return self.sockets

    @property
    def daemon_socket(self) -> Path:
        return self.sockets / "hostd.sock"

    @property
    def database_socket(self) -> Path:
        return self.sockets / "pgd.sock"

    # --- of one deployment ---

    def socket(self, ref: UnitRef) -> Path:
        """Where a serving unit listens. At most 31 + 32 letters of names: well below the 107 of unix(7)."""
        return self.sockets / ref.name / f"{ref.release}-{ref.kind}-{ref.index}.sock"

    def live(self, name: DeploymentName) -> Path:
        """The link to the socket that visitors reach."""
        return self.home(name) / "live.sock"

    def current(self, name: DeploymentName) -> Path:
        """The link to the release whose files are served."""
        return self.home(name) / "current"

    def site_record(self, name: DeploymentName) -> Path:
        return self.records / "sites" / f"{name}.json"

    @property
    def sleepers(self) -> Path:
        """A folder with an empty file for each unit that may sleep. While there is none, nobody looks for visitors."""
        return self.records / "sleepers"

    @property
    def nginx_sites(self) -> Path:
        """The folder with a file for each deployment, all of which nginx reads."""
        return self.settings / "nginx/sites"

    def nginx_site(self, name: DeploymentName) -> Path:
        return self.nginx_sites / f"{name}.conf"

    def tls(self, name: DeploymentName) -> Path:
        """The folder with the certificate that nginx serves for the deployment."""
        return self.settings / "tls" / name

    @property
    def platform_tls(self) -> Path:
        """The certificate for names that have none of their own; no deployment's name begins with a dot."""
        return self.settings / "tls/.platform"

    @property
    def challenges(self) -> Path:
        """The webroot of HTTP-01 (RFC 8555, 8.3)."""
        return self.variable / "acme"

    def timer_stamp(self, timer: str) -> Path:
        """By the time of this file systemd remembers when a persistent timer last came (systemd.timer(5))."""
        return self.stamps / f"stamp-{timer}"

    def unit_variables(self, unit: str) -> Path:
        """The file of a unit's variables, read by systemd alone."""
        return self.settings / "units" / f"{unit}.env"
