"""What systemd says of a unit, as the state that the panel shows."""

from __future__ import annotations

import pytest

from webops_host.linux import processes, systemd
from webops_host.values import UnitState


def shown(**said: str) -> systemd.Shown:
    return systemd._shown({"Id": "wo-shop--1-web-1.service", "LoadState": "loaded", **said})


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"ActiveState": "active"}, UnitState.RUNNING),
        ({"ActiveState": "activating"}, UnitState.STARTING),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, UnitState.CRASHED),
        ({"ActiveState": "failed"}, UnitState.CRASHED),
        ({"ActiveState": "inactive"}, UnitState.STOPPED),
        ({"ActiveState": "inactive", "Job": "812"}, UnitState.STARTING),
        ({"ActiveState": "deactivating", "Job": "813"}, UnitState.STOPPED),
        ({"ActiveState": "inactive", "LoadState": "not-found"}, UnitState.ABSENT),
    ],
)
def test_a_unit_that_waits_for_its_socket_is_not_stopped(said: dict[str, str], state: UnitState) -> None:
    assert processes._state(shown(**said)) is state


def test_it_is_told_when_systemd_remembers_other_files_of_the_same_name() -> None:
    assert shown(NeedDaemonReload="yes").outdated
    assert not shown(NeedDaemonReload="no").outdated
    assert not shown().outdated
