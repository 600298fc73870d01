"""Who listens on which port, as /proc says (proc(5), net/tcp and net/udp): no program is needed for it."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from dataclasses import astuple, dataclass, replace

from webops_install.machine import Machine

WAITING = {"tcp": "0A", "udp": "07"}
"""States of sockets that take what comes from anybody."""


@dataclass(frozen=True, slots=True)
class Listener:
    """`uid` is whose socket it is; `is_local` when nothing but this machine itself reaches it."""

    port: int
    program: str = "an unknown program"
    pid: int = 0
    protocol: str = "tcp"
    uid: int = 0
    is_local: bool = False

    @property
    def door(self) -> str:
        return f"{self.port}/{self.protocol}"


def listeners(machine: Machine) -> list[Listener]:
    sockets: dict[str, Listener] = {}
    for protocol in WAITING:
        for version in ("", "6"):
            sockets |= parse(machine.text(f"/proc/net/{protocol}{version}") or "", protocol)
    owners = _owners(machine, set(sockets)) if sockets else {}
    for inode, (program, pid) in owners.items():
        sockets[inode] = replace(sockets[inode], program=program, pid=pid)
    return sorted(set(sockets.values()), key=astuple)


def parse(table: str, protocol: str) -> dict[str, Listener]:
    """Inodes of sockets that wait for others, without their programs."""
    found = {}
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == WAITING[protocol]:
            address, _, port = fields[1].rpartition(":")
            found[fields[9]] = Listener(
                int(port, 16), protocol=protocol, uid=int(fields[7]), is_local=_is_local(address)
            )
    return found


def _is_local(address: str) -> bool:
    """The kernel writes each four bytes as a number of the machine's own order."""
    words = (int(address[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(address), 8))
    found = ipaddress.ip_address(b"".join(words))
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def _owners(machine: Machine, inodes: set[str]) -> dict[str, tuple[str, int]]:
    """The program that holds each socket; of several the one with the lowest number, which started the others."""
    found: dict[str, tuple[str, int]] = {}
    for pid in sorted(int(name) for name in machine.names("/proc") if name.isdigit()):
        for inode in _held(machine, pid) & inodes - set(found):
            found[inode] = ((machine.text(f"/proc/{pid}/comm") or "?").strip(), pid)
    return found


def _held(machine: Machine, pid: int) -> set[str]:
    held: set[str] = set()
    folder = machine.at(f"/proc/{pid}/fd")
    try:
        names = os.listdir(folder)
    except OSError:
        return held
    for name in names:
        try:
            target = os.readlink(folder / name)
        except OSError:
            continue
        if match := re.fullmatch(r"socket:\[(\d+)\]", target):
            held.add(match[1])
    return held
