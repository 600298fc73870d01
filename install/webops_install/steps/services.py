"""The platform's own services: the live release is linked, what should run runs, and runs what is there now."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from webops_install import hold, panel, systemd
from webops_install.change import Change, link
from webops_install.errors import SetupError
from webops_install.machine import Machine
from webops_install.settings import HOST, PANEL
from webops_install.step import Setup, Step
from webops_install.steps import units
from webops_install.steps.redis import CONFIGURATION as REDIS

CURRENT = "/opt/webops/current"
COMMAND = "/usr/local/sbin/webops-admin"
WORKER = "webops-worker.service"
RUNS = "/var/lib/webops/setup/runs"
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """What a unit runs on, and what makes it take that up: a daemon that comes when it is asked is just ended."""

    unit: str
    files: tuple[str, ...] = ()
    of_release: bool = True
    verb: str = "restart"


SERVICES = (
    Service("webops-redis.service", (REDIS,), of_release=False),
    Service("webops-firewall.service", (HOST,), verb="reload-or-restart"),
    Service("webops-hostd.service", (HOST,), verb="stop"),
    Service("webops-pgd.service", verb="stop"),
    Service(hold.PANEL, (PANEL,)),
    Service(WORKER, (PANEL,)),
)


def _plan(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    yield from link(machine, CURRENT, f"releases/{setup.source.version}")
    yield from link(machine, COMMAND, f"{CURRENT}/src/install/webops-admin")
    yield from units.turned_on(setup)
    there = units.files(setup.source.folder)
    for service in SERVICES:
        if f"{units.UNITS}/{service.unit}" in there:
            yield from _taken_up(setup, service)
    for name in units.running(setup.source.folder):
        if not systemd.is_active(machine, name):
            yield Change(f"start {name}", partial(_start, setup, name))
    for name in units.EXPECTED:
        if f"{units.UNITS}/{name}" not in there:
            setup.skip(f"{name} is not part of this version.")


def _taken_up(setup: Setup, service: Service) -> Iterator[Change]:
    """What it ran on when it was started last is written down; a run that was broken off starts it once more."""
    machine = setup.machine
    record, wanted = f"{RUNS}/{service.unit}", _fingerprint(setup, service)
    if machine.text(record) == wanted:
        return
    if service.verb == "stop" or systemd.is_active(machine, service.unit):
        yield Change(f"{service.verb} {service.unit}", partial(_start, setup, service.unit, service.verb))
    else:
        yield Change(f"start {service.unit}", partial(_start, setup, service.unit))
    yield Change(f"note what {service.unit} runs on", partial(_note, machine, record, wanted))


def _start(setup: Setup, unit: str, verb: str = "start") -> None:
    """The worker begins what waits for it only when the panel answers: until then an upgrade may still fail."""
    if unit == hold.PANEL:
        hold.off(setup.machine)
    if unit == WORKER:
        wait_for_panel(setup.machine, setup.answers.panel)
    systemd.start(setup.machine, unit, verb)


def forget(machine: Machine, unit: str) -> None:
    """Have the next setup start it once more, whatever it runs on now."""
    machine.at(f"{RUNS}/{unit}").unlink(missing_ok=True)


def _fingerprint(setup: Setup, service: Service) -> str:
    parts = [setup.machine.text(path) or "" for path in (f"{units.UNITS}/{service.unit}", *service.files)]
    if service.of_release:
        parts.append(setup.source.version)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest() + "\n"


def _note(machine: Machine, record: str, text: str) -> None:
    place = machine.at(record)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    place.write_text(text)


def _verify(setup: Setup) -> None:
    for name in units.running(setup.source.folder):
        systemd.must_be_active(setup.machine, name)
    wait_for_panel(setup.machine, setup.answers.panel)


def wait_for_panel(machine: Machine, name: str, patience: float = PATIENCE) -> None:
    """Until the panel answers through nginx. Raises SetupError with the end of its log."""
    deadline = time.monotonic() + patience
    said = ""
    while time.monotonic() < deadline:
        said = panel.ask(name)
        if said == "200":
            return
        time.sleep(0.2)
    told = machine.asks("journalctl", "--no-pager", "-o", "cat", "-n", "30", "-u", "webops-panel.service").output
    raise SetupError(f"The panel does not answer at https://{name}/: {said}", output=told)


STEP = Step("services", _plan, _verify)
