"""A short form of `make bench`'s promise: visitors come all the time while releases go live, go back and fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 420


@pytest.mark.slow
def test_no_request_is_lost_and_none_is_served_by_an_old_release():
    """Loopback only. Ends with status 0 only when the control, a stop and start, did lose requests."""
    words = (sys.executable, "-m", "bench", "downtime", "--quick")
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        try:
            said, _ = run.communicate(timeout=TIMEOUT)
        finally:
            if run.poll() is None:
                os.kill(run.pid, signal.SIGTERM)  # it ends whatever it started
    assert run.returncode == 0, said
    assert "BROKEN" not in said
