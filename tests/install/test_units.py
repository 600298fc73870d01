"""The platform's own units: systemd takes them, and their sandboxes stay strict."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.install.machines import ROOT

from webops_install.steps import units

UNITS = ROOT / "install/units"
SERVICES = sorted(UNITS.glob("*.service"))
STRICT = ("webops-hostd", "webops-pgd", "webops-panel", "webops-worker", "webops-redis")
MOST = {
    "webops-firewall": 3.3, "webops-firewall-reload": 2.0, "webops-idle": 2.0, "webops-recover": 8.7,
    "webops-renew": 2.5, "webops-selftest": 4.3,
}  # fmt: skip
"""Root's own short programs, which hear nobody. Those that anybody can talk to are STRICT: at most 2.0. `recover` is
the setup program itself, after a power cut in the middle of an upgrade."""
ANALYZE = shutil.which("systemd-analyze")
needs_analyze = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed: units are NOT checked")


def exposure(path: Path) -> float:
    words = (str(ANALYZE), "security", "--offline=yes", "--no-pager", str(path))
    said = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found is not None, said
    return float(found[1])


@needs_analyze
@pytest.mark.parametrize("name", STRICT)
def test_who_listens_to_others_is_in_a_strict_sandbox(name: str) -> None:
    assert exposure(UNITS / f"{name}.service") <= 2.0


@needs_analyze
@pytest.mark.parametrize("name", MOST)
def test_what_runs_as_root_by_itself_gives_up_what_it_does_not_need(name: str) -> None:
    assert exposure(UNITS / f"{name}.service") <= MOST[name]


def test_every_unit_has_a_ceiling() -> None:
    assert {path.stem for path in SERVICES} == {*STRICT, *MOST}


@needs_analyze
def test_systemd_takes_every_unit(tmp_path: Path) -> None:
    """Programs and users that only a server has are not there to be found."""
    for path in UNITS.rglob("*"):
        if path.is_file():
            target = tmp_path / path.relative_to(UNITS)
            target.parent.mkdir(exist_ok=True)
            target.write_text(re.sub(r"^(Exec\w+=).*", r"\1/bin/true", path.read_text(), flags=re.MULTILINE))
    files = [str(path) for path in sorted(tmp_path.glob("webops*")) if path.suffix != ".conf"]
    words = (str(ANALYZE), "verify", "--recursive-errors=no", "--man=no", *files)
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    ours = [line for line in said.stderr.splitlines() if "webops" in line and "Failed to create" not in line]
    assert ours == []


def test_everything_that_is_expected_is_there() -> None:
    assert set(units.EXPECTED) <= {path.name for path in UNITS.iterdir()}


def test_what_starts_is_turned_on_and_in_order() -> None:
    running = units.running(ROOT)
    assert set(running) <= set(units.enabled(ROOT))
    assert running[: len(units.FIRST)] == list(units.FIRST)


def test_an_upgrade_is_undone_before_panel_and_worker_start() -> None:
    for name in ("webops-panel.service", "webops-worker.service"):
        assert "\nAfter=webops-recover.service\n" in (UNITS / name).read_text()


def test_no_unit_holds_a_secret_or_a_shell() -> None:
    for path in SERVICES:
        text = path.read_text()
        assert not re.search(r"^Exec\w*=[+!]", text, re.MULTILINE), path.name
        assert not re.search(r"/bin/(ba|da)?sh", text), path.name
        assert not re.search(r"^Environment=.*(KEY|PASSWORD|SECRET|TOKEN)", text, re.MULTILINE), path.name


def test_builds_give_way_to_apps_and_apps_to_the_platform() -> None:
    weights = {
        name: int(re.findall(r"^CPUWeight=(\d+)", (UNITS / f"{name}.slice").read_text(), re.MULTILINE)[0])
        for name in ("webops-builds", "webops-apps", "webops-platform", "webops")
    }
    assert weights["webops-builds"] < weights["webops-apps"] < weights["webops-platform"]
    system = int(re.findall(r"^CPUWeight=(\d+)", (UNITS / "system.slice.d/webops.conf").read_text(), re.MULTILINE)[0])
    assert weights["webops"] < system  # ssh, the web server and the database come first
