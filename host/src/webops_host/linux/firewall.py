"""The wall, as nftables rules: what programs that are not ours may reach, and what is reached from outside.

Pure: facts in, text out. The text replaces one table of our own in one transaction and touches nobody else's. Programs
that are not ours are told by their user's number, whatever they start and however they spell an address: a socket that
speaks IPv6 to `::ffff:10.0.0.1` sends IPv4, and IPv4 is what the rules see.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from webops_host.command import Command
from webops_host.linux.uids import BUILD_UID, FETCH_UID, UIDS

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NFT = "/usr/sbin/nft"
TABLE = ("inet", "webops")
ENV = {"LC_ALL": "C"}

METADATA_V4 = ("169.254.0.0/16", "168.63.129.16")  # link-local, where clouds keep their keys; Azure's host agent
METADATA_V6 = ("fd00:ec2::254", "fd20:ce::254")
INNER_V4 = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",  # carriers, and some clouds' metadata
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",  # protocol assignments, and the metadata of one cloud
    "192.88.99.0/24",  # 6to4 relays
    "192.168.0.0/16",
    "198.18.0.0/15",  # measuring between networks
    "224.0.0.0/4",
    "240.0.0.0/4",
)
"""Ranges for documentation are not among them: they lead nowhere, or to a mirror that somebody put there on purpose."""
OUTER_V6 = ("2000::/3", "64:ff9b::/96")  # global unicast; NAT64, as far as what it carries is public
INNER_V6 = (
    "2001::/32",  # Teredo
    "2001:2::/48",  # measuring
    "2001:10::/28",  # ORCHID
    "2002::/16",  # 6to4
)
NAT64 = "64:ff9b::"
COUNTERS = ("to_metadata", "to_inner", "to_this_machine", "to_mail", "serving", "from_outside")
"""What was refused, by kind. `nft list counters table inet webops` shows them."""

INPUT = """\
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related counter accept
		iifname "lo" counter accept
		tcp flags & (fin | syn | rst | ack) != syn counter accept comment "begins nothing; keeps what began before us"
		icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } counter accept
		icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, parameter-problem } \
counter accept
		icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } counter accept
		icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } counter accept
		udp sport 67 udp dport 68 counter accept comment "DHCP"
		ip6 saddr fe80::/10 udp sport 547 udp dport 546 counter accept comment "DHCPv6"
		tcp dport @open_ports counter accept
		udp dport @open_udp_ports counter accept
		counter name from_outside
	}
"""


@dataclass(frozen=True, slots=True)
class Rules:
    """`private`: what fetches and builds may reach though it is not public. `own_ports`: a user and the loopback port
    reserved for him, where his own program listens. `ssh_ports` stay open whatever else is closed; `tcp_ports` and
    `udp_ports` are open beside them and the web's. `ours`: users of the platform that speak to the internet; they are
    kept from the metadata, and from nothing else."""

    resolvers: tuple[Address, ...] = ()
    private: tuple[tuple[Address, int], ...] = ()
    own_ports: tuple[tuple[int, int], ...] = ()
    ssh_ports: tuple[int, ...] = (22,)
    tcp_ports: tuple[int, ...] = ()
    udp_ports: tuple[int, ...] = ()
    ours: tuple[int, ...] = ()


def render(rules: Rules) -> str:
    """The whole table. Loading it twice changes nothing but the counters."""
    name = " ".join(TABLE)
    lines = [
        "# The platform's own table. Written anew at every load: a change made here by hand does not last.",
        f"table {name}",
        f"delete table {name}",
        f"table {name} {{",
        *(f"\tcounter {counter} {{ }}" for counter in COUNTERS),
        *_sets(rules),
        *_output(rules.ours),
        *_wall(),
    ]
    return "\n".join(lines) + "\n" + INPUT + "}\n"


def load(text: str) -> Command:
    """All of it or nothing."""
    return Command((NFT, "-f", "-"), env=ENV, stdin=text.encode())


def check(text: str) -> Command:
    """Whether the kernel would take it; nothing is changed."""
    return Command((NFT, "-c", "-f", "-"), env=ENV, stdin=text.encode())


def show() -> Command:
    """The table as the kernel has it, in JSON. It fails when there is none."""
    return Command((NFT, "-j", "list", "table", *TABLE), env=ENV)


def fingerprint(listing: bytes) -> str:
    """What `show` printed, in short: the same for the same rules, whatever they have counted.

    Raises ValueError for what is no listing.
    """
    return hashlib.sha256(json.dumps(_lasting(json.loads(listing)), sort_keys=True).encode()).hexdigest()


def counted(listing: bytes) -> dict[str, int]:
    """Packets by named counter, from what `show` printed."""
    objects = (item["counter"] for item in json.loads(listing)["nftables"] if "counter" in item)
    return {counter["name"]: counter["packets"] for counter in objects}


def permit(uid: int, port: int) -> Command:
    """Let a user reach and serve his own loopback port, until the next load. Permitted already is fine."""
    return Command((NFT, "add", "element", *TABLE, "own_ports", f"{{ {uid:d} . {port:d} }}"), env=ENV)


def forbid(uid: int, port: int) -> Command:
    """The opposite. It fails when it was not permitted."""
    return Command((NFT, "delete", "element", *TABLE, "own_ports", f"{{ {uid:d} . {port:d} }}"), env=ENV)


def _lasting(value: Any) -> Any:  # JSON of the kernel's rules: any shape
    if isinstance(value, dict):
        passing = ("handle", "packets", "bytes", "metainfo")
        return {key: _lasting(inner) for key, inner in value.items() if key not in passing}
    return [_lasting(inner) for inner in value] if isinstance(value, list) else value


# --- parts of the table ----------------------------------------------------------------------------------------


def _sets(rules: Rules) -> Iterator[str]:
    for version in (4, 6):
        type_ = f"ipv{version}_addr"
        yield _set(f"resolvers_v{version}", type_, _of(version, rules.resolvers))
        private = ((address, port) for address, port in rules.private if address.version == version)
        yield _set(f"private_v{version}", f"{type_} . inet_service", _joined(private))
    yield _set("own_ports", "uid . inet_service", _joined(rules.own_ports))
    yield _set("open_ports", "inet_service", _sorted({80, 443, *rules.ssh_ports, *rules.tcp_ports}))
    yield _set("open_udp_ports", "inet_service", _sorted(set(rules.udp_ports)))
    yield _set("inner_v4", "ipv4_addr", INNER_V4, flags="interval")
    yield _set("inner_v6", "ipv6_addr", (*INNER_V6, *carried()), flags="interval")


def carried() -> Iterator[str]:
    """What must not be reached over IPv4, in the form a NAT64 gateway would turn into IPv4 again."""
    for text in (*INNER_V4, *METADATA_V4):
        inner = ipaddress.IPv4Network(text)
        outer = ipaddress.IPv6Address(int(ipaddress.IPv6Address(NAT64)) + int(inner.network_address))
        yield f"{outer}/{96 + inner.prefixlen}"


def _output(ours: tuple[int, ...]) -> Iterator[str]:
    yield "\tchain output {"
    yield "\t\ttype filter hook output priority filter; policy accept;"
    yield f"\t\tmeta skuid {UIDS[0]}-{UIDS[1]} jump wall"
    if ours:
        yield f"\t\tmeta skuid {{ {', '.join(map(str, ours))} }} jump metadata"
    yield "\t}"
    yield "\tchain metadata {"
    yield f"\t\tip daddr {{ {', '.join(METADATA_V4)} }} {_refused('to_metadata')}"
    yield f"\t\tip6 daddr {{ {', '.join(METADATA_V6)} }} {_refused('to_metadata')}"
    yield "\t}"


def _wall() -> Iterator[str]:
    """Who may serve comes before what is established: else a program could answer on a port that is another's. Nobody
    answers to the outside, whatever is open there: only the web server leads to these programs."""
    workers = f"meta skuid {FETCH_UID}-{BUILD_UID}"
    yield "\tchain wall {"
    for rule in (
        "tcp flags & (fin | syn | rst | ack) == (syn | ack) meta skuid . tcp sport != @own_ports"
        " counter name serving drop",
        'oifname != "lo" tcp flags & (fin | syn | rst | ack) == (syn | ack) counter name serving drop',
        'oifname != "lo" meta l4proto udp ct direction reply counter name serving drop',
        "ct state established,related counter accept",
        "meta l4proto { tcp, udp } ip daddr @resolvers_v4 th dport 53 counter accept",
        "meta l4proto { tcp, udp } ip6 daddr @resolvers_v6 th dport 53 counter accept",
        "ip daddr 127.0.0.1 meta skuid . tcp dport @own_ports counter accept",
        "ip6 daddr ::1 meta skuid . tcp dport @own_ports counter accept",
        f"{workers} ip daddr . tcp dport @private_v4 counter accept",
        f"{workers} ip6 daddr . tcp dport @private_v6 counter accept",
        "jump metadata",
        f"ip daddr @inner_v4 {_refused('to_inner')}",
        f"ip6 daddr != {{ {', '.join(OUTER_V6)} }} {_refused('to_inner')}",
        f"ip6 daddr @inner_v6 {_refused('to_inner')}",
        f"fib daddr type {{ local, broadcast, anycast, multicast }} {_refused('to_this_machine')}",
        f"tcp dport 25 {_refused('to_mail')}",
    ):
        yield f"\t\t{rule}"
    yield "\t}"


def _refused(counter: str) -> str:
    """Refused at once: a program that is told no does not wait for its time to run out."""
    return f"counter name {counter} reject with icmpx admin-prohibited"


def _set(name: str, type_: str, elements: Iterable[str], *, flags: str = "") -> str:
    inside = ", ".join(elements)
    parts = (f"type {type_};", f"flags {flags};" if flags else "", f"elements = {{ {inside} }}" if inside else "")
    return f"\tset {name} {{ {' '.join(filter(None, parts))} }}"


def _sorted(ports: set[int]) -> Iterator[str]:
    return map(str, sorted(ports))


def _of(version: int, addresses: Iterable[Address]) -> Iterator[str]:
    return (str(address) for address in dict.fromkeys(addresses) if address.version == version)


def _joined(pairs: Iterable[tuple[Address | int, int]]) -> Iterator[str]:
    return (f"{first} . {port}" for first, port in dict.fromkeys(pairs))
