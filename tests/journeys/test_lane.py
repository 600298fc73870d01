"""What is no release, on real processes: a switch, a domain, a maintenance page, a command, by a worker of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.git_server import GitServer
from tests.support.platform import Platform
from tests.support.waiting import until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with GitServer(tmp_path_factory.mktemp("git")) as server, Platform(tmp_path_factory.mktemp("platform")) as platform:
        platform.allow(server)
        server.repository("team/hello", {"index.html": "<h1>Hello</h1>"})
        platform.call("POST", "/deployments", name="hello", repository=server.url("team/hello"))
        assert platform.ended("hello", 1)["state"] == "live"
        yield platform


def test_the_switch_is_thrown_by_the_worker_within_a_moment(running: Platform) -> None:
    shown = running.call("POST", "/deployments/hello/stop?wait=20")
    assert (shown["status"], shown["errand"]) == ("stopped", None)
    assert running.page("hello").status_code in (404, 502, 503)
    running.call("POST", "/deployments/hello/start?wait=20")
    assert running.page("hello").text == "<h1>Hello</h1>"


def test_a_command_runs_streams_and_can_be_ended(running: Platform) -> None:
    made = running.call("POST", "/deployments/hello/commands", command="echo one; echo two; exit 3")
    path = f"/deployments/hello/commands/{made['number']}"
    ended = running.call("GET", f"{path}?wait=30")
    assert (ended["state"], ended["exit_status"]) == ("failed", 3)
    lines = running.api.get(f"{path}/log").text
    assert '"text": "one"' in lines
    assert '"text": "two"' in lines
    long = running.call("POST", "/deployments/hello/commands", command="echo begun; sleep 300")
    path = f"/deployments/hello/commands/{long['number']}"
    until(lambda: "begun" in running.api.get(f"{path}/log").text, "its first line")
    running.call("POST", f"{path}/cancel")
    ended = running.call("GET", f"{path}?wait=30")
    assert (ended["state"], ended["cause"]) == ("cancelled", "Cancelled by a person.")


def test_rel_01_a_dead_worker_leaves_a_command_that_goes_on(running: Platform) -> None:
    line = "echo begun; while test ! -e goes-on; do sleep 0.1; done; rm goes-on; echo over"
    made = running.call("POST", "/deployments/hello/commands", command=line)
    path = f"/deployments/hello/commands/{made['number']}"
    until(lambda: "begun" in running.api.get(f"{path}/log").text, "its first line")
    running.end_worker()
    running.start_worker()
    running.call("POST", "/deployments/hello/commands", command="touch goes-on")
    ended = running.call("GET", f"{path}?wait=60")
    assert (ended["state"], ended["exit_status"]) == ("done", 0)
    texts = [json.loads(line)["text"] for line in running.api.get(f"{path}/log").text.splitlines()]
    assert texts == ["begun", "over"]


def test_a_domain_is_kept_and_the_page_says_that_this_computer_has_no_address(running: Platform) -> None:
    shown = running.call("POST", "/deployments/hello/domains?wait=20", name="www.example.com")
    (item,) = shown["items"]
    assert (item["name"], item["proven"], item["records"]) == ("www.example.com", True, [])
    assert shown["address4"] == []
    running.call("DELETE", "/deployments/hello/domains/www.example.com")
    assert running.page("hello").status_code == httpx2.codes.OK


def test_nothing_of_a_command_is_left_after_its_deployment(running: Platform) -> None:
    folder = Path(running.var) / "logs/commands"
    made = running.call("POST", "/deployments/hello/commands", command="echo one")
    running.call("GET", f"/deployments/hello/commands/{made['number']}?wait=30")
    assert list(folder.iterdir())
    running.call("DELETE", "/deployments/hello?confirm=hello")
    until(lambda: running.api.get("/deployments/hello").status_code == 404, "it to be gone")
    assert list(folder.iterdir()) == []
