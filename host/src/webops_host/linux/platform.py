"""What the administrator decided about this server, from `/etc/webops/host.toml`, which only root may write."""

from __future__ import annotations

import ipaddress
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webops_host.errors import BadValue
from webops_host.names import HostName
from webops_host.values import Limits

FILE = Path("/etc/webops/host.toml")
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


@dataclass(frozen=True, slots=True)
class Destination:
    """A place on a private network that fetches and builds may reach all the same."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Destination:
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise BadValue(f"{text!r:.80} is not a destination.", hint="Write host:port, for example git.internal:443.")
        return cls(host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class Platform:
    """`domain` is what deployments are named under, `panel` the panel's own name. `limits` are the most that a
    deployment may be given."""

    domain: HostName
    panel: HostName
    acme_server: str = LETS_ENCRYPT
    acme_email: str = ""
    acme_ca: str = ""
    private: tuple[Destination, ...] = ()
    ssh_ports: tuple[int, ...] = (22,)
    addresses: tuple[str, ...] = ()  # under which the world reaches this server
    shares_nginx: bool = False  # with sites that were there before us: unknown names stay theirs
    limits: Limits = field(default_factory=lambda: Limits(memory_mib=4096, cpu_percent=400, tasks=1024))


def read(file: Path = FILE) -> Platform:
    """Raises BadValue with the key that is wrong, and what to write."""
    try:
        data = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BadValue(f"{file} can not be read: {error}", hint="Run setup.sh again, or mend the file.") from None
    return parse(data)


def parse(data: dict[str, Any]) -> Platform:
    """From the tables `platform` and `limits`."""
    known = data.get("platform", {})
    limits = data.get("limits", {})
    try:
        return Platform(
            domain=HostName(known["domain"]),
            panel=HostName(known.get("panel") or f"panel.{known['domain']}"),
            acme_server=str(known.get("acme_server") or LETS_ENCRYPT),
            acme_email=str(known.get("acme_email", "")),
            acme_ca=str(known.get("acme_ca", "")),
            private=tuple(Destination.parse(text) for text in known.get("private", ())),
            ssh_ports=tuple(_port(number) for number in known.get("ssh_ports", (22,))),
            shares_nginx=known.get("shares_nginx") is True,
            addresses=tuple(str(ipaddress.ip_address(text)) for text in known.get("addresses", ())),
            **({"limits": Limits(**limits)} if limits else {}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadValue(f"host.toml: {error}", hint="See docs/operations.md for its keys.") from None


def _port(number: object) -> int:
    if type(number) is not int or not 0 < number < 65536:
        raise BadValue(f"{number!r} is not a port.", hint="A port is a number from 1 to 65535.")
    return number
