"""A wall that does not stand is an alert, until it stands again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps.core.clock import now
from apps.core.models import Host
from apps.services import alerts, selftest
from apps.services.models import Alert

GOOD = {"ok": True, "actions": [], "layers": [], "units": []}
OPEN = {**GOOD, "ok": False, "actions": [{"id": "dbus", "action": "open the system bus", "outcome": "allowed"}]}
FALLEN = {**GOOD, "ok": False, "layers": [{"claim": "the firewall is loaded", "holds": False}]}
LOOSE = {**GOOD, "ok": False, "units": [{"unit": "wo-blog--3-web-1.service", "wrong": ["NoNewPrivs: 0"]}]}


@pytest.fixture
def server(db) -> Host:
    return Host.objects.create(name="server", kind="linux")


def said(tmp_path: Path, server: Host, result: dict | None, *, minutes: float = 5) -> str:
    file = tmp_path / "selftest.json"
    if result is not None:
        file.write_text(json.dumps({**result, "at": now().timestamp() - 60 * minutes}))
    return selftest.look(server, None, lambda: False, file)


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (OPEN, "a program may open the system bus"),
        (FALLEN, "it does not hold that the firewall is loaded"),
        (LOOSE, "wo-blog--3-web-1.service runs with less than its sandbox"),
        ({**GOOD, "ok": False, "error": "systemd does not answer"}, "systemd does not answer"),
        (None, "no result"),
    ],
)
def test_iso_02_what_does_not_hold_is_a_critical_alert(tmp_path, server, result, says) -> None:
    assert says in said(tmp_path, server, result)
    alert = Alert.objects.get()
    assert (alert.kind, alert.severity, alert.deployment) == ("selftest", "critical", None)
    assert says in alert.text


def test_an_alert_ends_when_the_walls_stand_again(tmp_path, server) -> None:
    said(tmp_path, server, OPEN)
    assert said(tmp_path, server, GOOD) == "the walls stand"
    assert not Alert.objects.get().is_open


def test_a_result_that_is_old_is_none(tmp_path, server) -> None:
    assert "two hours" in said(tmp_path, server, GOOD, minutes=121)


def test_a_laptop_has_no_walls(tmp_path, db) -> None:
    laptop = Host.objects.create(name="laptop", kind="embedded")
    said(tmp_path, laptop, OPEN)
    assert not Alert.objects.exists()


def test_only_who_looks_after_the_platform_sees_it(tmp_path, server, owner, viewer) -> None:
    from apps.core.access import Actor

    said(tmp_path, server, OPEN)
    assert alerts.open_for(Actor(owner)).count() == 1
    assert alerts.open_for(Actor(viewer)).count() == 0
