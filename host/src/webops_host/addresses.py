"""Which addresses may be connected to on behalf of somebody: public ones, decided by class and not by a list of names.

A name is resolved once, every answer is judged, and the caller connects to the answers it got: a second resolution
could say something else.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable

from webops_host.errors import AddressRefused, FetchFailed
from webops_host.names import HostName

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Iterable[str]]

# What `is_global` says yes to, or is silent about, although it leads to the machine, its cloud or its neighbours.
REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "168.63.129.16/32",  # Azure's host agent
        "100.64.0.0/10",  # shared address space of carriers, and of some clouds' metadata
        "192.0.0.0/24",  # protocol assignments, and the metadata service of one cloud
        "192.88.99.0/24",  # 6to4 relays
        "fec0::/10",  # site-local, deprecated and still routed
        "100::/64",  # discard only
        "2001:10::/28",  # ORCHID
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
    )
)
CARRIERS = (
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64: the last 32 bits
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4: the bits after the prefix
    (ipaddress.IPv6Network("::/96"), 0),  # IPv4-compatible, deprecated
)
NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")
ISATAP = (0x00005EFE, 0x02005EFE)


def system_resolver(host: str, port: int) -> Iterable[str]:
    """The numeric addresses that the system gives for a name. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(entry[4][0]) for entry in found]


def resolve(
    host: HostName, port: int, *, private: bool = False, resolver: Resolver = system_resolver
) -> tuple[str, ...]:
    """The addresses to connect to, in the resolver's order; all of them have been allowed.

    One bad answer refuses the name: nobody chooses which of them the connection would take. `private` allows any
    address, for a server that an administrator named. Raises AddressRefused, and FetchFailed (unreachable) for a name
    that leads nowhere. The message names no address, so that it is no map of the network.
    """
    try:
        answers = tuple(dict.fromkeys(resolver(host, port)))
    except OSError as error:
        raise _unknown(host) from error
    if not answers:
        raise _unknown(host)
    if not private and not all(is_allowed(answer) for answer in answers):
        raise AddressRefused(
            f"{host} does not lead to a public address.",
            hint="Use a server on the public internet, or ask an administrator to allow this server by name.",
            facts={"host": str(host), "port": port},
        )
    return answers


def is_allowed(text: str) -> bool:
    """Whether a numeric address is public, whatever form it is dressed in."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        return False
    return all(_is_public(form) for form in _forms(address))


def _forms(address: Address) -> Iterable[Address]:
    """The address, and the IPv4 addresses that it would be turned into on its way."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    inside = [address.teredo[0], address.teredo[1]] if address.teredo is not None else []
    inside += [_carried(address, shift) for network, shift in CARRIERS if address in network]
    if (int(address) >> 32) & 0xFFFFFFFF in ISATAP:
        inside.append(_carried(address, 0))
    return (address, *inside)


def _carried(address: ipaddress.IPv6Address, shift: int) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address((int(address) >> shift) & 0xFFFFFFFF)


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return isinstance(address, ipaddress.IPv6Address) and _is_nat64_of_public(address)
    if isinstance(address, ipaddress.IPv6Address) and address in NAT64_LOCAL:
        return False
    return not any(address in network for network in REFUSED)


def _is_nat64_of_public(address: ipaddress.IPv6Address) -> bool:
    """The well-known NAT64 prefix is reserved to Python; what it carries is judged as its own form."""
    return address in CARRIERS[0][0]


def _unknown(host: HostName) -> FetchFailed:
    return FetchFailed(
        f"The name {host} leads to no address.",
        hint="Check the spelling, and that this machine's name resolution works.",
        facts={"reason": "unreachable", "host": str(host)},
    )
