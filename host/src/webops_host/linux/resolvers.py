"""The name servers that this machine asks (resolv.conf(5))."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from pathlib import Path

FILE = Path("/etc/resolv.conf")


def read(file: Path = FILE) -> tuple[str, ...]:
    """Their addresses, in the order they are asked; none when the file says nothing."""
    found = []
    with suppress(OSError):
        for line in file.read_text().splitlines():
            words = line.split()
            if len(words) > 1 and words[0] == "nameserver":
                with suppress(ValueError):
                    found.append(str(ipaddress.ip_address(words[1].split("%")[0])))
    return tuple(dict.fromkeys(found))
