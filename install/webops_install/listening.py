"""Who listens on which TCP port, as /proc says (proc(5), net/tcp): no program is needed for it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from webops_install.machine import Machine

LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class Listener:
    port: int
    program: str
    pid: int


def listeners(machine: Machine) -> list[Listener]:
    sockets: dict[str, int] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        sockets |= parse(machine.text(table) or "")
    if not sockets:
        return []
    owners = _owners(machine, set(sockets))
    found = {Listener(port, *owners.get(inode, ("an unknown program", 0))) for inode, port in sockets.items()}
    return sorted(found, key=lambda listener: (listener.port, listener.pid))


def parse(table: str) -> dict[str, int]:
    """Inodes of listening sockets and their ports."""
    found = {}
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTEN:
            found[fields[9]] = int(fields[1].rpartition(":")[2], 16)
    return found


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
