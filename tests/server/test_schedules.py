"""A command of every minute on a server: its timers go with the release, and it runs though the platform is away."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from tests.server.installed import PANEL, Installed
from tests.support.git_server import GitServer, Repository
from tests.support.waiting import until

pytestmark = pytest.mark.server
PLATFORM = "webops-panel.socket webops-panel.service webops-worker.service webops-hostd.socket webops-pgd.socket"
PATIENCE = 75  # a minute comes within 60 s
CONTRACT = """
[[cron]]
schedule = "* * * * *"
command = 'echo "$WORD in release $WEBOPS_RELEASE"; date +%s >> "$WEBOPS_DATA/ran"; exit 3'

[[cron]]
schedule = "0 0 1 1 mon"
command = "true"
"""
TIMERS = "systemctl list-units --plain --no-legend --state=active --type=timer 'wo-ticks--*'"
RELOADS = "journalctl -q --no-pager -o cat _PID=1 | grep -cE '^Reloading(\\.| requested)'"
RAN = "/srv/webops/ticks/shared/data/ran"


@pytest.fixture(scope="module")
def ticks(installed: Installed, git_host: GitServer) -> Repository:
    """A site that is live, with commands on a schedule."""
    installed.allow(git_host)
    repository = git_host.repository("team/ticks", {"index.html": "x", "webops.toml": CONTRACT})
    installed.create("ticks", git_host.url("team/ticks"), variables={"WORD": "secret-word-31"})
    return repository


def timers(installed: Installed) -> list[str]:
    return [line.split()[0] for line in installed.server.run(TIMERS).lines]


def release_live(installed: Installed, path: str) -> None:
    """Ask for a release, and wait until it has been tidied up after."""
    number = installed.call("POST", f"deployments/ticks/{path}")["number"]
    installed.live("ticks", number)
    until(lambda: installed.release("ticks", number)["finished_at"], "the end of the release", timeout=60, every=0.1)


def test_the_timers_are_those_of_what_is_live_and_need_no_reload(installed: Installed, ticks: Repository) -> None:
    until(lambda: len(timers(installed)) == 2, "both timers")
    before = installed.server.run(RELOADS, check=False).stdout
    ticks.commit({"index.html": "y"})
    release_live(installed, "deploy")
    assert [name.split("-cron-")[0] for name in timers(installed)] == ["wo-ticks--2"] * 2
    release_live(installed, "rollback")
    assert [name.split("-cron-")[0] for name in timers(installed)] == ["wo-ticks--1"] * 2
    assert installed.server.run(RELOADS, check=False).stdout == before


def test_what_is_stopped_has_no_turn(installed: Installed, ticks: Repository) -> None:
    installed.call("POST", "deployments/ticks/stop")
    until(lambda: timers(installed) == [], "no timer")
    installed.call("POST", "deployments/ticks/start")
    until(lambda: len(timers(installed)) == 2, "both timers again")


def test_it_runs_after_a_reboot_without_the_panel_which_shows_it_later(installed: Installed, ticks: Repository) -> None:
    server = installed.server
    server.run(f"systemctl disable {PLATFORM}")
    server.reboot()
    began = time.time()
    last = until(
        lambda: (found := int(server.run(f"tail -n 1 {RAN}", check=False).stdout or "0")) > began and found,
        "a run that nobody asked for",
        timeout=PATIENCE,
        every=0.5,
    )
    for unit in ("webops-worker.service", "webops-panel.service"):
        assert server.run(("systemctl", "is-active", unit), check=False).stdout.strip() != "active"
    server.run(f"systemctl enable --now {PLATFORM}")
    until(lambda: installed.web.get(f"https://{PANEL}/healthz").status_code == 200, "the panel", timeout=60)

    def told() -> dict[str, object] | None:
        """That run: there may be others beside it, since a turn that the reboot missed is made up for."""
        runs = installed.call("GET", "deployments/ticks/schedules?limit=100")["runs"]
        distances = {abs(datetime.fromisoformat(run["started_at"]).timestamp() - last): run for run in runs}
        return distances[min(distances)] if distances and min(distances) < 10 else None

    run = until(told, "the run among those that are shown", timeout=60, every=0.2)
    assert (run["state"], run["exit_status"]) == ("failed", 3)
    assert run["tail"] == ["[hidden] in release 1"]
    assert run["outcome"] == "failed: exited with status 3. [hidden] in release 1"

    def following() -> float:
        (first, _) = installed.call("GET", "deployments/ticks/schedules")["items"]
        return datetime.fromisoformat(first["next_at"]).timestamp()

    until(lambda: following() > last, "the next turn to be told", timeout=60, every=0.5)


def test_a_removed_deployment_leaves_no_timer(installed: Installed, ticks: Repository) -> None:
    installed.call("DELETE", "deployments/ticks?confirm=ticks")
    until(lambda: installed.api.get("deployments/ticks").status_code == 404, "the end of it", timeout=90)
    left = "ls -d /etc/systemd/system/wo-ticks--* /etc/systemd/system/*.wants/wo-ticks--* /etc/webops/units/wo-ticks--*"
    stamps = "/var/lib/systemd/timers/stamp-wo-ticks--*"
    assert installed.server.run(f"{left} {stamps} 2>/dev/null", check=False).stdout == ""
