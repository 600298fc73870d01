"""What this machine is, asked once at the start."""

from __future__ import annotations

import os
import re
import shlex
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from webops_install.errors import SetupError
from webops_install.machine import Machine

OUTSIDE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation: asking which way they lie sends nothing."""


@dataclass(frozen=True, slots=True)
class System:
    name: str
    version: str
    pretty: str

    @property
    def is_supported(self) -> bool:
        return (self.name, self.version) in {
            ("debian", "12"),
            ("debian", "13"),
            ("ubuntu", "22.04"),
            ("ubuntu", "24.04"),
        }


@dataclass(frozen=True, slots=True)
class Facts:
    system: System
    architecture: str
    memory_mib: int
    cores: int
    disk_mib: int
    addresses: tuple[str, ...]
    in_container: bool


def gather(machine: Machine) -> Facts:
    return Facts(
        system=system(machine.text("/etc/os-release") or ""),
        architecture=os.uname().machine,
        memory_mib=memory_mib(machine.text("/proc/meminfo") or ""),
        cores=os.cpu_count() or 1,
        disk_mib=_disk_mib(machine),
        addresses=own_addresses(),
        in_container=machine.says_yes("systemd-detect-virt", "--quiet", "--container"),
    )


def system(os_release: str) -> System:
    said = {}
    for line in os_release.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            said[name] = " ".join(shlex.split(value))
    return System(said.get("ID", ""), said.get("VERSION_ID", ""), said.get("PRETTY_NAME", "an unknown system"))


def memory_mib(meminfo: str) -> int:
    found = re.search(r"^MemTotal:\s+(\d+) kB", meminfo, re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def _disk_mib(machine: Machine) -> int:
    """Free where the least is free, of the places that fill up."""
    free = []
    for place in ("/opt", "/srv", "/var"):
        if machine.exists(place):
            status = os.statvfs(machine.at(place))
            free.append(status.f_bavail * status.f_frsize >> 20)
    return min(free, default=0)


def own_addresses() -> tuple[str, ...]:
    """The addresses that this machine uses towards the Internet. Raises SetupError when it has none."""
    found = []
    for family, place in OUTSIDE.items():
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((place, 9))
            except OSError:
                continue
            found.append(str(probe.getsockname()[0]))
    if found:
        return tuple(found)
    raise SetupError(
        "This machine has no way to the Internet.", hint="Set up its network (an address and a default route) first."
    )


def resolve(names: Iterable[str]) -> dict[str, set[str]]:
    """Where names lead; an empty set for one that leads nowhere."""
    found: dict[str, set[str]] = {}
    for name in names:
        try:
            answers = socket.getaddrinfo(name, 443, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError):
            answers = []
        found[name] = {str(place[0]) for *_, place in answers}
    return found
