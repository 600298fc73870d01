"""Puts the firewall in place: reads what the machine says, renders the table, loads it.

It runs before any program that is not ours may start. What it can not find out yet (a name that leads nowhere before
the network is up) stays closed, and is looked at again by the next load, which a timer and changed settings bring.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import pwd
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from webops_host import files, runner
from webops_host.errors import BadValue, HostError
from webops_host.linux import firewall, platform, resolvers, ssh_ports
from webops_host.linux.firewall import Address, Rules
from webops_host.linux.layout import ServerLayout
from webops_host.linux.platform import Destination, Platform
from webops_host.linux.uids import UIDS

LOADED = Path("/run/webops-firewall/loaded.json")
PRIVATE = Path("/run/webops-firewall/private.json")
OWN_PORTS = ServerLayout().records / "ports.json"
"""What hostd reserved: `{"<uid>": [port, …]}`. Loopback ports of units that listen on a port and not on a socket."""

OURS = ("webops", "webops-worker")

Resolver = Callable[[str, int], Iterable[str]]


def main(words: list[str] | None = None) -> int:
    """`load`, or `show` for the text alone. 0 when the table is in the kernel as rendered."""
    parser = argparse.ArgumentParser(prog="firewall", description=__doc__)
    parser.add_argument("action", choices=("load", "show"))
    options = parser.parse_args(words)
    try:
        server = platform.read()
        text = firewall.render(facts(server))
        if options.action == "show":
            print(text, end="")  # noqa: T201 - it is what was asked for
        else:
            load(text)
            tell_private(server)
    except HostError as error:
        print(f"{error.message} {error.hint}".strip(), file=sys.stderr)  # noqa: T201
        return 1
    return 0


def load(text: str) -> None:
    """What is loaded already is left alone, so that its counters go on counting. Raises CommandFailed."""
    if is_loaded(text):
        return
    runner.run(firewall.load(text))
    found = firewall.fingerprint(runner.run_binary(firewall.show()))
    files.write_whole(LOADED, json.dumps({"text": text, "fingerprint": found}).encode())


def tell_private(server: Platform) -> None:
    """Write down where the private destinations are, for hostd, which has no network to ask on."""
    found = sorted({str(address) for address, _ in resolved(server.private)})
    files.write_whole(PRIVATE, json.dumps(found).encode())


def private_addresses() -> tuple[str, ...]:
    """What `tell_private` wrote last; nothing before."""
    try:
        return tuple(str(ipaddress.ip_address(text)) for text in json.loads(_text(PRIVATE) or "[]"))
    except ValueError:
        return ()


def is_loaded(text: str = "") -> bool:
    """Whether the kernel has the rules that were loaded last, unchanged, and they are these (without a text: any)."""
    try:
        last = json.loads(_text(LOADED) or "{}")
        found = firewall.fingerprint(runner.run_binary(firewall.show()))
    except (HostError, ValueError):
        return False
    return bool(last) and last["fingerprint"] == found and text in ("", last["text"])


def facts(server: Platform) -> Rules:
    """What the rules are made from, as the machine says it now."""
    return Rules(
        resolvers=tuple(map(ipaddress.ip_address, resolvers.read() or ("127.0.0.1",))),
        private=tuple(resolved(server.private)),
        own_ports=tuple(own_ports(_text(OWN_PORTS))),
        ssh_ports=tuple(sorted({*server.ssh_ports, *ssh_ports.found()})),
        tcp_ports=tuple(port.number for port in server.open_ports if port.protocol == "tcp"),
        udp_ports=tuple(port.number for port in server.open_ports if port.protocol == "udp"),
        ours=tuple(_numbers(OURS)),
    )


def resolved(places: Iterable[Destination], resolver: Resolver | None = None) -> Iterator[tuple[Address, int]]:
    """The addresses of places on a private network. A name that leads nowhere now opens nothing."""
    for place in places:
        try:
            answers = list((resolver or _system)(place.host, place.port))
        except OSError:
            continue
        for answer in answers:
            yield ipaddress.ip_address(answer.partition("%")[0]), place.port


def own_ports(text: str) -> Iterator[tuple[int, int]]:
    """Raises BadValue: a record that can not be read must not open anything."""
    try:
        record = json.loads(text or "{}")
        pairs = [(int(uid), int(port)) for uid, ports in record.items() for port in ports]
    except (ValueError, TypeError, AttributeError) as error:
        raise BadValue(
            f"{OWN_PORTS} can not be read: {error}", hint="Restore it from a backup, or remove it."
        ) from None
    for uid, port in sorted(pairs):
        if not (UIDS[0] <= uid <= UIDS[1] and 1024 <= port <= 65535):
            raise BadValue(
                f"{OWN_PORTS} reserves port {port} for user {uid}.", hint="Neither may be outside its range."
            )
        yield uid, port


def _system(host: str, port: int) -> Iterable[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _numbers(users: Iterable[str]) -> Iterator[int]:
    for user in users:
        with suppress(KeyError):
            yield pwd.getpwnam(user).pw_uid


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
