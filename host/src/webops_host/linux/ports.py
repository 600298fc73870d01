"""Loopback ports for programs that choose where they listen. The firewall lets a port be answered by its owner alone,
so nobody can sit on another deployment's.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from webops_host import files
from webops_host.errors import BadValue

FIRST, COUNT = 10000, 10000  # below those that the kernel gives to outgoing connections


class Ports:
    """Reservations by user number, kept in `file`; `tell` has the firewall read them."""

    def __init__(self, file: Path, tell: Callable[[], None]) -> None:
        self._file, self._tell = file, tell
        self._lock = threading.Lock()

    def reserve(self, uid: int, used: Iterable[int]) -> int:
        """A port of this user's that is not among those in use; one that was reserved before if there is one."""
        with self._lock:
            taken, busy = self._read(), set(used)
            mine = taken.get(str(uid), [])
            free = [port for port in mine if port not in busy]
            if free:
                return free[0]
            others = {port for ports in taken.values() for port in ports}
            port = next((port for port in range(FIRST, FIRST + COUNT) if port not in others), None)
            if port is None:
                raise BadValue("No loopback port is free for another program.", hint="Remove a deployment.")
            self._keep({**taken, str(uid): [*mine, port]})
            return port

    def forget(self, uid: int) -> None:
        """Give a user's ports back. Again: nothing."""
        with self._lock:
            taken = self._read()
            if taken.pop(str(uid), None) is not None:
                self._keep(taken)

    def _read(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = json.loads(self._file.read_bytes()) if self._file.exists() else {}
        return found

    def _keep(self, taken: dict[str, list[int]]) -> None:
        files.write_whole(self._file, json.dumps(taken).encode())
        self._tell()
