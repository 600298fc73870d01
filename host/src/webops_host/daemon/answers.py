"""The last answers by request id: the same request again gets the same answer, and is not done twice.

With a file they survive the daemon, which leaves whenever nobody asks. A request that was begun and never answered,
because the machine went down, is done again: every operation may be repeated.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from webops_host.daemon import protocol
from webops_host.errors import BadValue

KEPT = 1024
LARGEST = 1 << 16  # bytes of an answer that is kept on disk; operations that change something answer shortly


class Answers:
    """In memory, and with `file` on disk too."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[bytes, Future[bytes]]] = OrderedDict()
        self._disk = None if file is None else _Disk(file)

    def once(self, request_id: str, line: bytes, make: Callable[[], bytes]) -> bytes:
        """What `make` answers, or what was answered to this id before. Another request under the same id is refused."""
        digest = hashlib.sha256(line).digest()
        with self._lock:
            found = self._kept.get(request_id) or self._from_disk(request_id)
            if found is None:
                mine: Future[bytes] = Future()
                self._kept[request_id] = (digest, mine)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        if found is not None:
            same = found[0] == digest
            return found[1].result() if same else protocol.refusal(BadValue("id: this id was used before."))
        answer = make()
        with self._lock:
            if self._disk is not None and len(answer) <= LARGEST:
                self._disk.keep(request_id, digest, answer)
        mine.set_result(answer)
        return answer

    def close(self) -> None:
        """Let go of the file. What is answered after this is remembered in memory alone."""
        with self._lock:
            if self._disk is not None:
                self._disk.close()
            self._disk = None

    def _from_disk(self, request_id: str) -> tuple[bytes, Future[bytes]] | None:
        row = None if self._disk is None else self._disk.find(request_id)
        if row is None:
            return None
        known: Future[bytes] = Future()
        known.set_result(row[1])
        return row[0], known


class _Disk:
    """A table of ours alone. Losing the newest rows in a power cut is fine: then the work is repeated."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        self._table = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._table.execute("PRAGMA synchronous=OFF")
        self._table.execute("CREATE TABLE IF NOT EXISTS answers (id TEXT PRIMARY KEY, digest BLOB, answer BLOB)")

    def close(self) -> None:
        self._table.close()

    def find(self, request_id: str) -> tuple[bytes, bytes] | None:
        row = self._table.execute("SELECT digest, answer FROM answers WHERE id = ?", (request_id,)).fetchone()
        return None if row is None else (row[0], row[1])

    def keep(self, request_id: str, digest: bytes, answer: bytes) -> None:
        self._table.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (request_id, digest, answer))
        old = "DELETE FROM answers WHERE rowid <= (SELECT max(rowid) FROM answers) - ?"
        self._table.execute(old, (KEPT,))
