"""What systemd is asked, and told."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

from webops_install.errors import SetupError
from webops_install.machine import Machine

LINES = "30"


def is_active(machine: Machine, unit: str) -> bool:
    return machine.says_yes("systemctl", "is-active", "--quiet", unit)


def is_enabled(machine: Machine, unit: str) -> bool:
    return machine.says_yes("systemctl", "is-enabled", "--quiet", unit)


def reload(machine: Machine) -> None:
    machine.run("systemctl", "daemon-reload")


def must_be_active(machine: Machine, unit: str) -> None:
    """Raises SetupError with the end of the unit's log."""
    if not is_active(machine, unit):
        raise failed(machine, unit)


def start(machine: Machine, unit: str, verb: str = "start") -> None:
    """Raises SetupError with the end of the unit's log."""
    try:
        machine.run("systemctl", verb, unit, timeout=180)
    except SetupError as error:
        raise failed(machine, unit) from error


def ready() -> None:
    """Tell systemd that the unit of this program counts as started (sd_notify(3)). Elsewhere, or again: nothing."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, suppress(OSError):
            told.sendto(b"READY=1", "\0" + path[1:] if path.startswith("@") else path)


def failed(machine: Machine, unit: str) -> SetupError:
    told = machine.asks("journalctl", "--no-pager", "-o", "cat", "-n", LINES, "-u", unit).output
    return SetupError(f"{unit} does not run.", command=f"systemctl start {unit}", output=told)
