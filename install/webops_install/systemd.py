"""What systemd is asked, and told."""

from __future__ import annotations

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


def failed(machine: Machine, unit: str) -> SetupError:
    told = machine.asks("journalctl", "--no-pager", "-o", "cat", "-n", LINES, "-u", unit).output
    return SetupError(f"{unit} does not run.", command=f"systemctl start {unit}", output=told)
