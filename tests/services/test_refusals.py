"""A daemon that refuses much is an alert: whoever took over the panel or the worker tries what may be had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apps.core.clock import now
from apps.core.models import Host
from apps.deployments import turns
from apps.services import refusals
from apps.services.models import Alert


@pytest.fixture
def server(db) -> Host:
    return Host.objects.create(name="server", kind="linux")


def look(server: Host, file: Path) -> str:
    return refusals.look(server, None, lambda: False, [file, file.with_name("none.json")])


def told(file: Path, *, minutes: float) -> None:
    at = now().timestamp() - 60 * minutes
    file.write_text(json.dumps({"at": at, "uid": 996, "reason": "'accounts.chmod' is not an operation of the host."}))


def test_priv_09_many_refusals_are_an_alert_for_an_hour(tmp_path, server) -> None:
    file = tmp_path / "alarm.json"
    assert look(server, file) == "nothing but mistakes"
    told(file, minutes=1)
    look(server, file)
    look(server, file)
    row = Alert.objects.get()
    assert (row.kind, row.severity, row.times, row.deployment) == ("daemon.refusals", "critical", 2, None)
    assert "user 996" in row.text
    assert "accounts.chmod" in row.text
    told(file, minutes=61)
    look(server, file)
    row.refresh_from_db()
    assert not row.is_open


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"at": "x"}', '{"at": null, "uid": 1, "reason": ""}'])
def test_a_file_that_can_not_be_read_says_nothing(tmp_path, server, text) -> None:
    file = tmp_path / "alarm.json"
    file.write_text(text)
    assert look(server, file) == "nothing but mistakes"


def test_the_worker_looks_by_itself(db) -> None:
    assert turns._Known.rules["refusals.look"].act is refusals.look
