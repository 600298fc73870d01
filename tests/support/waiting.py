"""Waiting for a condition, never for a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, *, timeout: float = 30.0, every: float = 0.02) -> T:
    """The first true answer of the condition. Fails the test with `what` was waited for when the time is up."""
    end, pause = time.monotonic() + timeout, threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited {timeout:.0f} s for {what}"
        pause.wait(every)
