"""Who is connected to a Unix socket, as the kernel lists it (proc(5), /proc/net/unix)."""

from __future__ import annotations

from pathlib import Path

TABLE = Path("/proc/net/unix")
LISTENING = "00010000"  # __SO_ACCEPTCON among the flags


def count(socket: Path, table: Path = TABLE) -> int:
    """How many connections to the socket are open or wait to be accepted."""
    wanted = str(socket)
    found = 0
    for line in table.read_text(errors="replace").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7] == wanted and fields[3] != LISTENING:
            found += 1
    return found
