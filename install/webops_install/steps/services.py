"""The platform's own services: the live release is linked, and what should run runs."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator

from webops_install import systemd
from webops_install.change import Change, link
from webops_install.errors import SetupError
from webops_install.machine import Machine
from webops_install.step import Setup, Step
from webops_install.steps import units

CURRENT = "/opt/webops/current"
COMMAND = "/usr/local/sbin/webops-admin"
PATIENCE = 60.0


def _plan(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    yield from link(machine, CURRENT, f"releases/{setup.source.version}")
    yield from link(machine, COMMAND, f"{CURRENT}/src/install/webops-admin")
    yield from units.enable(setup)
    there = units.files(setup.source.folder)
    for name in units.ENABLED:
        if f"{units.UNITS}/{name}" not in there:
            setup.skip(f"{name} is not part of this version.")
        elif not systemd.is_active(machine, name):
            yield Change(f"start {name}", lambda name=name: systemd.start(machine, name))


def _verify(setup: Setup) -> None:
    there = units.files(setup.source.folder)
    for name in units.ENABLED:
        if f"{units.UNITS}/{name}" in there:
            systemd.must_be_active(setup.machine, name)
    wait_for_panel(setup.machine, setup.answers.panel)


def wait_for_panel(machine: Machine, panel: str, patience: float = PATIENCE) -> None:
    """Until the panel answers through nginx. Raises SetupError with the end of its log."""
    deadline = time.monotonic() + patience
    said = ""
    while time.monotonic() < deadline:
        said = ask_panel(panel)
        if said == "200":
            return
        time.sleep(0.2)
    told = machine.asks("journalctl", "--no-pager", "-o", "cat", "-n", "30", "-u", "webops-panel.service").output
    raise SetupError(f"The panel does not answer at https://{panel}/: {said}", output=told)


def ask_panel(panel: str, address: str = "127.0.0.1") -> str:
    """The status of the sign-in page, asked of nginx here: names may lead elsewhere still."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # which certificate it is, other checks look at
    try:
        with socket.create_connection((address, 443), timeout=5) as raw:
            with context.wrap_socket(raw, server_hostname=panel) as tls:
                tls.sendall(f"GET /account/login/ HTTP/1.1\r\nHost: {panel}\r\nConnection: close\r\n\r\n".encode())
                answer = http.client.HTTPResponse(tls)
                answer.begin()
                return str(answer.status)
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__


STEP = Step("services", _plan, _verify)
