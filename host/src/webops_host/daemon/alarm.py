"""Notices when more is refused than mistakes explain: then somebody tries what may be had. The journal is told, and a
file that the panel's watch over the platform reads.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from webops_host import files

log = logging.getLogger("webops.host")

MOST, WITHIN = 20, 60.0
"""So many refusals in so many seconds are let pass."""


class Alarm:
    """`file` is what others read; without one only the journal is told."""

    def __init__(self, file: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._file, self._clock = file, clock
        self._lock = threading.Lock()
        self._times: deque[float] = deque(maxlen=MOST + 1)

    def refused(self, uid: int, reason: str) -> None:
        """Count one. Told once for every so many."""
        now = self._clock()
        with self._lock:
            self._times.append(now)
            if len(self._times) <= MOST or now - self._times[0] > WITHIN:
                return
            self._times.clear()
        log.error("ALARM: more than %d refusals within a minute, the last of user %d: %.300s", MOST, uid, reason)
        if self._file is not None:
            told = {"at": now, "uid": uid, "reason": reason[:300]}
            with suppress(OSError):  # a full disk is no reason to leave the caller without an answer
                files.write_whole(self._file, json.dumps(told).encode(), 0o644)
