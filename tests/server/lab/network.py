"""The network of a lab: a bridge with one small private subnet, and the way out for the servers on it.

Lab number 7 has the bridge and the nftables table `wol7`, the subnet 10.213.7.0/24, and this machine is 10.213.7.1.
A card's hardware address goes with its place: whoever has spoken with the server that was there before finds the next.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.server.lab.places import PREFIX, host

FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
FIRST_ADDRESS = 10


@dataclass(frozen=True)
class Network:
    number: int

    @property
    def bridge(self) -> str:
        return f"{PREFIX}{self.number}"

    @property
    def subnet(self) -> str:
        return f"10.213.{self.number}.0/24"

    @property
    def gateway(self) -> str:
        """The address at which servers reach this machine."""
        return f"10.213.{self.number}.1"

    def address(self, index: int) -> str:
        return f"10.213.{self.number}.{FIRST_ADDRESS + index}"

    def address6(self, index: int) -> str:
        return f"{self._prefix6}{FIRST_ADDRESS + index:x}"

    def card(self, place: int) -> str:
        """The hardware address, of those that anybody may give out, at this place of the network; 0 is this machine."""
        return f"02:d5:{self.number:02x}:00:{place >> 8:02x}:{place & 0xFF:02x}"

    @property
    def _prefix6(self) -> str:
        return f"fd13:213:{self.number:x}::"

    def open(self) -> None:
        """Make the bridge and the way out. Does nothing when they are there."""
        if Path(f"/sys/class/net/{self.bridge}").exists():
            return
        host(("ip", "link", "add", self.bridge, "address", self.card(0), "type", "bridge"))
        host(("ip", "link", "set", self.bridge, "mtu", str(_mtu()), "up"))
        host(("ip", "address", "add", f"{self.gateway}/24", "dev", self.bridge))
        host(("ip", "-6", "address", "add", f"{self._prefix6}1/64", "dev", self.bridge, "nodad"))
        host(("nft", "-f", "-"), text=self._rules())
        FORWARDING.write_text("1")

    def _rules(self) -> str:
        return f"""
            table ip {self.bridge} {{
                chain out {{
                    type nat hook postrouting priority srcnat;
                    ip saddr {self.subnet} oifname != "{self.bridge}" masquerade
                }}
            }}
        """

    def close(self) -> None:
        host(("nft", "delete", "table", "ip", self.bridge), check=False)
        host(("ip", "link", "delete", self.bridge), check=False)

    def plug(self, space: str, index: int) -> None:
        """A network namespace with a card called host0 and the address of this index."""
        cable = self._cable(index)
        host(("ip", "netns", "add", space))
        mac = self.card(FIRST_ADDRESS + index)
        card = ("type", "veth", "peer", "name", "host0", "address", mac, "mtu", str(_mtu()), "netns", space)
        host(("ip", "link", "add", cable, "mtu", str(_mtu()), *card))
        host(("ip", "link", "set", cable, "master", self.bridge, "up"))
        inside = ("ip", "-n", space)
        host((*inside, "link", "set", "lo", "up"))
        host((*inside, "link", "set", "host0", "up"))
        host((*inside, "address", "add", f"{self.address(index)}/24", "dev", "host0"))
        host((*inside, "-6", "address", "add", f"{self.address6(index)}/64", "dev", "host0", "nodad"))
        host((*inside, "route", "add", "default", "via", self.gateway))

    def unplug(self, space: str, index: int) -> None:
        host(("ip", "link", "delete", self._cable(index)), check=False)
        host(("ip", "netns", "delete", space), check=False)

    def _cable(self, index: int) -> str:
        return f"{self.bridge}-{index}"


def forwarding() -> str:
    """Whether this machine passes packets on, to put it back later."""
    return FORWARDING.read_text().strip()


def put_back(value: str) -> None:
    FORWARDING.write_text(value)


def _mtu() -> int:
    """The size of packet that fits the way out of this machine."""
    routes = json.loads(host(("ip", "-j", "route", "show", "default")) or "[]")
    if not routes:
        return 1500
    return int(Path(f"/sys/class/net/{routes[0]['dev']}/mtu").read_text())
