"""The self-test's own reasoning; what it finds on a real server is tested there."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from webops_host.linux import sandbox, selftest, selftest_probe, selftest_targets, selftest_units

BLOCKED = {"id": "dbus", "action": "open the system bus", "outcome": "blocked", "detail": "EACCES"}
ALLOWED = {"id": "shadow", "action": "read the password hashes", "outcome": "allowed", "detail": "/etc/shadow"}
UNCLEAR = {"id": "metadata", "action": "reach the cloud's metadata", "outcome": "unclear", "detail": "silence"}
ABSENT = {"id": "redis-port", "action": "reach the port of Redis", "outcome": "absent", "detail": ""}
HOLDS = {"id": "ip-filter", "claim": "the kernel enforces IPAddressDeny=", "holds": True, "detail": ""}
OPEN = {**HOLDS, "holds": False, "detail": "found False"}


def result(*actions: dict, layers: tuple[dict, ...] = (HOLDS,), units: tuple[dict, ...] = (), error: str = "") -> dict:
    return selftest._result(0.0, list(actions), list(layers), list(units), error=error)


def test_it_is_well_only_when_all_was_refused_and_every_layer_holds():
    assert result(BLOCKED, ABSENT)["ok"]
    assert result(BLOCKED, ABSENT)["counts"] == {"blocked": 1, "allowed": 0, "unclear": 0, "absent": 1}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (result(ALLOWED), "A deployment may read the password hashes (allowed: /etc/shadow)"),
        (result(UNCLEAR), "A deployment may reach the cloud's metadata (unclear: silence)"),
        (result(layers=(OPEN,)), "It does not hold that the kernel enforces IPAddressDeny= (found False)"),
        (result(units=({"unit": "wo-a--1-web-1.service", "wrong": ["NoNewPrivs: 0"]},)), "wo-a--1-web-1.service runs"),
        (result(error="no systemd"), "The self-test could not be made: no systemd"),
    ],
)
def test_anything_else_is_a_failure_with_a_sentence(found: dict, said: str):
    assert not found["ok"]
    assert said in " ".join(selftest.complaints(found))


def test_little_to_try_is_no_proof():
    assert not selftest._enough([BLOCKED] * 24)["holds"]
    assert selftest._enough([BLOCKED] * 25)["holds"]


def test_the_result_is_json_that_says_what_the_page_shows():
    found = json.loads(json.dumps(result(BLOCKED)))
    assert set(found) == {"format", "ok", "at", "seconds", "error", "counts", "actions", "layers", "units"}


def test_at_least_25_different_actions_are_tried():
    ids = [name for name, *_ in (*selftest_probe.OF_FILES, *selftest_probe.OF_PLACES)]
    ids += [name for name, *_ in selftest_probe.of_itself({"shared": "/", "pid": 1})]
    assert len(ids) == len(set(ids)) >= 60


def test_every_kind_of_place_is_looked_for():
    made = {"own-release-write", "others-tmp", "others-memory", "postgres-roles"}
    assert {name for name, *_ in selftest_probe.OF_FILES} == set(selftest_targets.FILES) | made
    made = {"this-machine", "own-address"}
    looked = set(selftest_targets.PLACES) | set(selftest_targets.LOOPBACK_PORTS) | made
    assert {name for name, *_ in selftest_probe.OF_PLACES} == looked


# --- the probe -------------------------------------------------------------------------------------------------


def test_what_succeeds_is_allowed_what_is_refused_is_blocked(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    assert selftest_probe._try(selftest_probe.read, str(tmp_path / "file"))[0] == "allowed"
    assert selftest_probe._try(selftest_probe.write, str(tmp_path))[0] == "allowed"
    assert selftest_probe._try(selftest_probe.read, str(tmp_path / "none")) == ("blocked", "ENOENT")
    assert os.listdir(tmp_path) == ["file"], "an attempt that succeeds leaves nothing"


def test_the_worst_of_several_counts_and_nothing_tried_is_absent():
    worst = selftest_probe._worst("x", "do it", [("blocked", "EPERM"), ("allowed", "there"), ("absent", "")])
    assert (worst["outcome"], worst["detail"]) == ("allowed", "there")
    assert selftest_probe._worst("x", "do it", [])["outcome"] == "absent"


def test_a_system_call_that_fails_for_another_reason_was_not_refused():
    """EINVAL or EFAULT come after the permission was checked: the door was open."""
    assert selftest_probe._try(lambda _: selftest_probe.call("unshare", -1), None)[0] == "unclear"


def test_somebody_who_answers_was_reached_and_one_who_refuses_too():
    with selftest_targets.listening() as port:
        assert selftest_probe._try(selftest_probe.reach, ["127.0.0.1", port])[0] == "allowed"
        assert selftest_probe._try(selftest_probe.reach, ["::ffff:127.0.0.1", port])[0] == "allowed"
    assert selftest_probe._try(selftest_probe.reach, ["127.0.0.1", port])[0] == "allowed"


@pytest.mark.parametrize(
    ("number", "outcome"),
    [(errno.EHOSTUNREACH, "blocked"), (errno.EPERM, "blocked"), (errno.ENETUNREACH, "absent"), (errno.EIO, "unclear")],
)
def test_what_the_network_says(number: int, outcome: str):
    assert selftest_probe._try(lambda host: selftest_probe._as_network(OSError(number, ""), host), "h")[0] == outcome


# --- units that run --------------------------------------------------------------------------------------------


UNIT = "wo-blog--3-web-1.service"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / UNIT).write_text("[Service]\n" + "".join(f"{key}={value}\n" for key, value in sandbox.LOCKED))
    return tmp_path


def shown(folder: Path, **other: str) -> dict[str, str]:
    usual = {"Id": UNIT, "FragmentPath": str(folder / UNIT), "DropInPaths": "", "NeedDaemonReload": "no"}
    return {**usual, "IPAddressDeny": "10.0.0.0/8", **other}


def test_a_unit_as_written_is_right(folder: Path):
    assert list(selftest_units.of_settings(shown(folder), folder)) == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"DropInPaths": "/run/systemd/system/x.conf"}, "drop-ins change it"),
        ({"FragmentPath": "/run/systemd/transient/x.service"}, "it comes from /run"),
        ({"NeedDaemonReload": "yes"}, "changed after it was read"),
        ({"IPAddressDeny": ""}, "no address is denied"),
    ],
)
def test_a_unit_that_was_loosened_is_wrong(folder: Path, other: dict[str, str], said: str):
    assert said in " ".join(selftest_units.of_settings(shown(folder, **other), folder))


def test_a_unit_without_a_lock_is_wrong(folder: Path):
    text = (folder / UNIT).read_text().replace("NoNewPrivileges=yes\n", "")
    (folder / UNIT).write_text(text)
    assert list(selftest_units.of_settings(shown(folder), folder)) == ["NoNewPrivileges=yes is not in its file"]


def test_the_process_itself_is_asked(tmp_path: Path):
    held = "Name:\tgunicorn\nUid:\t20010\t20010\t20010\t20010\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
    (tmp_path / "status").write_text(f"{held}NoNewPrivs:\t1\nSeccomp:\t2\n")
    assert list(selftest_units.of_process(tmp_path)) == []
    (tmp_path / "status").write_text(f"{held.replace('20010', '0')}NoNewPrivs:\t0\nSeccomp:\t2\n")
    assert list(selftest_units.of_process(tmp_path)) == ["NoNewPrivs: 0", "Uid: 0\t0\t0\t0"]
    assert list(selftest_units.of_process(tmp_path / "ended")) == []
