"""Places where a test may break the world: at the boundary of every step.

Nothing happens unless `WEBOPS_FAULT` names the point, as `<point>:<way>` with kill, stop, full or error. The way `kill`
is a power cut for this process: SIGKILL, so that nothing is cleaned up. `stop` freezes it there until it gets SIGCONT,
once: what wakes is a process like any other, and may come here again.
"""

from __future__ import annotations

import errno
import os
import signal

from apps.core.clock import now


class Injected(Exception):
    """The error of an armed fault point."""


def point(name: str) -> None:
    """Pass, unless this point is armed."""
    armed, _, way = os.environ.get("WEBOPS_FAULT", "").partition(":")
    if armed != name:
        return
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "stop":
        del os.environ["WEBOPS_FAULT"]
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    if way == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    raise Injected(f"fault at {name}, {now():%H:%M:%S}")
