"""The platform's own services: in which order they are started, and what must hold before."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.install.machines import Programs, quiet, setup

from webops_install import engine, hold
from webops_install.errors import SetupError
from webops_install.machine import Machine
from webops_install.step import Setup
from webops_install.steps import services

START = ("systemctl", "start")


@pytest.fixture
def made(tmp_path: Path) -> tuple[Setup, Programs]:
    made, programs = setup(tmp_path)
    for folder in ("opt/webops", "var/lib/webops/setup"):
        (tmp_path / folder).mkdir(parents=True)
    hold.on(made.machine)
    return made, programs


def test_a_panel_that_was_held_off_is_let_in_and_looked_at_before_the_worker_begins(
    made: tuple[Setup, Programs], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, programs = made
    active: list[set[str]] = []
    monkeypatch.setattr(services, "wait_for_panel", lambda *_: active.append(set(programs.active)))
    engine.run(((services.STEP,),), whole, quiet())
    assert {hold.PANEL} <= active[0]
    assert services.WORKER not in active[0]
    assert services.WORKER in programs.active
    assert not hold.is_on(whole.machine)


def test_a_worker_of_a_version_whose_panel_does_not_answer_begins_nothing(
    made: tuple[Setup, Programs], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(machine: Machine, name: str) -> None:
        raise SetupError("The panel does not answer.")

    whole, programs = made
    monkeypatch.setattr(services, "wait_for_panel", refuses)
    with pytest.raises(SetupError, match="does not answer"):
        engine.run(((services.STEP,),), whole, quiet())
    assert (*START, hold.PANEL) in programs.ran
    assert (*START, services.WORKER) not in programs.ran
