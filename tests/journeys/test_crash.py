"""REL-01: the worker dies at every step boundary of a release, by SIGKILL. The old release serves throughout, the state
is defined, the next release succeeds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.journeys.broken import DJANGO
from tests.support.git_server import GitServer, Repository
from tests.support.platform import Platform
from tests.support.waiting import until

from apps.deployments.pipeline import POINTS
from webops_host.names import DeploymentName

pytestmark = pytest.mark.slow
PAGE = DJANGO["shop/urls.py"]
AFTER_SWITCH = {"switch.after", "finish.before", "finish.after"}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[GitServer]:
    with GitServer(tmp_path_factory.mktemp("git")) as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory, server) -> Iterator[Platform]:
    with Platform(tmp_path_factory.mktemp("platform")) as platform:
        platform.allow(server)
        yield platform


@pytest.fixture(scope="module")
def shop(platform: Platform, server: GitServer) -> Repository:
    """A Django app that is live, saying which commit it is."""
    repository = server.repository("team/shop", {**DJANGO, "shop/urls.py": PAGE.replace("hello", "version 0")})
    platform.call("POST", "/deployments", name="shop", repository=server.url("team/shop"))
    first = platform.ended("shop", 1)
    assert first["state"] == "live", first
    return repository


def push(repository: Repository, text: str) -> None:
    repository.commit({"shop/urls.py": PAGE.replace("hello", text), f"shop/static/{repository.commits}.css": text})


def live_text(platform: Platform) -> str:
    answer = platform.page("shop")
    assert answer.status_code == 200
    return answer.text


@pytest.mark.parametrize("point", POINTS)
def test_rel_01_the_worker_dies_at(point: str, platform: Platform, shop: Repository) -> None:
    before = live_text(platform)
    push(shop, f"new at {point}")
    platform.end_worker()
    platform.start_worker(fault=f"{point}:kill")
    number = platform.call("POST", "/deployments/shop/deploy")["number"]
    assert platform.worker is not None
    assert platform.worker.wait(120) == -9, "the fault point was never reached"
    assert live_text(platform) == (f"new at {point}" if point in AFTER_SWITCH else before)

    platform.start_worker()
    ended = platform.ended("shop", number)
    assert ended["state"] == ("live" if point in AFTER_SWITCH else "failed"), ended
    if ended["state"] == "failed":
        assert "died" in ended["cause"]
        assert ended["hint"]
        assert live_text(platform) == before
    until(lambda: running(platform) == 1, "no process of another release to be left")

    push(shop, f"after {point}")
    following = platform.call("POST", "/deployments/shop/deploy")["number"]
    assert platform.ended("shop", following)["state"] == "live"
    assert live_text(platform) == f"after {point}"
    until(lambda: running(platform) == 1, "the old process to be gone")


def running(platform: Platform) -> int:
    return len(platform.host.processes.status(DeploymentName("shop")))
