"""The queue as a server has it: a panel, a Celery worker and Redis as processes; the machine itself is in memory."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from tests.support import redis
from tests.support.platform import Platform
from tests.support.waiting import until

from apps.core import queue
from webops_host.daemon.server import Server
from webops_host.fake import FakeHost
from webops_host.fences import Fences
from webops_host.layout import Layout

pytestmark = pytest.mark.slow
QUEUE = "webops.local"


class Queued(Platform):
    """The platform with a Redis, over a machine that does everything at once."""

    def __init__(self, var: Path, server: redis.Redis) -> None:
        super().__init__(var, REDIS_URL=server.url)
        self.machine, self.redis = FakeHost(), server
        path = Layout((var / "sites").resolve()).daemon_socket
        self._daemon = Server(self.machine, path, Fences(var / "fences.json"))

    def __enter__(self) -> Self:
        self.var.mkdir(parents=True, exist_ok=True)
        self._daemon.start()
        try:
            self.manage("bootstrap")
            self.start_worker()
            self.panel = self._start("panel", "-m", "config.serve")
            self.api = self._signed_in()
            self.call("POST", "/deployments", name="blog", repository="https://github.com/acme/blog")
            until(lambda: "Connected to unix:" in self.log("worker"), "the worker to consume", timeout=90)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        self._daemon.stop()

    def log(self, name: str) -> str:
        return (self.var / f"{name}.log").read_text()

    def deploy(self) -> dict[str, Any]:
        """A release from the request to its end."""
        number = self.call("POST", "/deployments/blog/deploy")["number"]
        return self.ended("blog", number, timeout=60)

    def fetches(self) -> int:
        return sum(act.startswith("sources.fetch") for act in self.machine.did)


@pytest.fixture(scope="module")
def platform(tmp_path_factory) -> Iterator[Queued]:
    with redis.running(tmp_path_factory.mktemp("r")) as server, Queued(tmp_path_factory.mktemp("p"), server) as running:
        yield running


def waited(release: dict[str, Any]) -> float:
    """Seconds from the request to the worker."""
    from datetime import datetime

    begun, asked = (datetime.fromisoformat(release[key]) for key in ("started_at", "created_at"))
    return (begun - asked).total_seconds()


def test_a_doorbell_starts_a_release_at_once(platform):
    releases = [platform.deploy() for _ in range(5)]
    assert [release["state"] for release in releases[-1:]] == ["live"]
    assert sorted(map(waited, releases))[2] < 2  # the worker looks by itself every ten seconds only


def test_rel_03_a_message_that_is_delivered_twice_builds_once(platform):
    before = platform.fetches()
    number = platform.call("POST", "/deployments/blog/deploy")["number"]
    twice = queue.message(queue.RING, [1], QUEUE)
    for _ in range(5):
        platform.redis.broker.push(QUEUE, twice)
    assert platform.ended("blog", number)["state"] == "live"
    until(lambda: platform.redis.waiting(QUEUE) == 0, "every message to be heard")
    assert platform.fetches() == before + 1


def test_rel_05_redis_dies_and_comes_back(platform):
    platform.redis.stop()
    without = platform.deploy()
    assert without["state"] == "live"

    platform.redis.start()
    platform.redis.broker.push(QUEUE, queue.message(queue.PING, ["now"], QUEUE))
    until(lambda: platform.redis.waiting(QUEUE) == 0, "the worker to consume again", timeout=60)
    assert sorted(waited(platform.deploy()) for _ in range(3))[1] < 2


def test_rel_05_an_emptied_redis_loses_no_deploy(platform):
    assert platform.worker is not None
    platform.worker.send_signal(signal.SIGSTOP)
    number = platform.call("POST", "/deployments/blog/deploy")["number"]
    platform.redis.ask("FLUSHALL")
    platform.worker.send_signal(signal.SIGCONT)
    assert platform.ended("blog", number, timeout=60)["state"] == "live"


def test_a_worker_that_is_asked_to_stop_ends_by_itself(platform):
    platform.end_worker(signal.SIGTERM)
    assert platform.worker is not None
    assert platform.worker.returncode == 0
    platform.start_worker()
    assert platform.deploy()["state"] == "live"


def test_a_worker_starts_without_redis_and_finds_it_later(platform):
    platform.redis.stop()
    platform.end_worker(signal.SIGTERM)
    platform.start_worker()
    assert platform.deploy()["state"] == "live"
    platform.redis.start()
    platform.redis.broker.push(QUEUE, queue.message(queue.PING, ["now"], QUEUE))
    until(lambda: platform.redis.waiting(QUEUE) == 0, "the worker to consume", timeout=60)
