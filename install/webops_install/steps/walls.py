"""The self-test, once for each version: are the walls around deployments closed here? A timer asks hourly."""

from __future__ import annotations

from collections.abc import Iterator

from webops_install.change import Change
from webops_install.step import Setup, Step
from webops_install.steps.services import RUNS

UNIT = "webops-selftest.service"
RECORD = f"{RUNS}/selftest"


def _plan(setup: Setup) -> Iterator[Change]:
    if setup.machine.text(RECORD) != f"{setup.source.version}\n":
        yield Change("try the walls around deployments", lambda: _try(setup))


def _try(setup: Setup) -> None:
    """A wall that is open is no failure of the setup: some rented machines can not have them all, and it has to be
    said where it is read."""
    machine = setup.machine
    if machine.asks("systemctl", "start", UNIT, timeout=400).status != 0:
        setup.told.append("WARNING: a wall around deployments is open on this machine. See: webops-admin selftest")
    machine.at(RECORD).write_text(f"{setup.source.version}\n")


STEP = Step("self-test", _plan)
