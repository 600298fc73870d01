"""The panel held off while its database is changed: its socket stays open, and requests wait there.

A request starts the panel, so a stop alone would not last. With a drop-in its start waits as well, until it is let in
again. A reboot ends it.
"""

from __future__ import annotations

from webops_install import systemd
from webops_install.change import write
from webops_install.machine import Machine

PANEL = "webops-panel.service"
DROP_IN = f"/run/systemd/system/{PANEL}.d/held.conf"
TEXT = """\
# The panel's database is being changed. Should that have been broken off, webops-admin doctor says how to go on.
[Service]
ExecStartPre=/usr/bin/sleep infinity
TimeoutStartSec=infinity
"""


def is_on(machine: Machine) -> bool:
    return machine.exists(DROP_IN)


def on(machine: Machine) -> None:
    """The panel is stopped, and stays so. Again: the same. Raises SetupError."""
    machine.at(DROP_IN).parent.mkdir(parents=True, exist_ok=True)
    write(machine, DROP_IN, TEXT)
    _stop(machine)


def off(machine: Machine) -> None:
    """The next request, or one that waits, starts the panel. Again: nothing. Raises SetupError."""
    if is_on(machine):
        machine.at(DROP_IN).unlink()
        _stop(machine)


def _stop(machine: Machine) -> None:
    systemd.reload(machine)
    machine.run("systemctl", "stop", PANEL, timeout=180)
