"""The rule by which a worker that hears nothing any more ends itself, with a Celery that is handed in."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.support import redis
from tests.support.waiting import until

from apps.core import queue
from apps.core.bells import FlagBell
from apps.deployments.consumer import Consumer, Pace


class Engine:
    """Runs until it is stopped, and does nothing."""

    def __init__(self) -> None:
        self.is_idle = True
        self._over = threading.Event()

    def run(self) -> None:
        self._over.wait()

    def stop(self) -> None:
        self._over.set()


class Deaf:
    """A Celery that takes tasks and never hears a message. `hears` makes it answer pings."""

    def __init__(self) -> None:
        self.tasks: dict = {}
        self._over = threading.Event()

    def task(self, *, name: str):
        return lambda function: self.tasks.setdefault(name, function)

    def WorkController(self, **words):
        self.words = words
        return self

    def start(self) -> None:
        """As the real one: until the signal's handler raises."""
        try:
            while not self._over.wait(0.02):
                pass
        except SystemExit:
            return

    def end(self) -> None:
        self._over.set()


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def server(tmp_path_factory, settings) -> Iterator[redis.Redis]:
    with redis.running(tmp_path_factory.mktemp("r")) as running:
        settings.ENV = replace(settings.ENV, redis_url=running.url)
        yield running


def consumer(app: Deaf, engine: Engine) -> Consumer:
    return Consumer(app, engine, FlagBell(), host="local", pace=Pace(ping=0.02, deaf=0.2))


def test_rel_05_a_worker_that_hears_nothing_ends_so_that_it_is_started_anew(server):
    app = Deaf()
    assert consumer(app, Engine()).run() == 1
    assert server.waiting("webops.local") > 0
    assert app.words["queues"] == ["webops.local"]


def test_rel_05_it_does_not_end_while_something_runs(server):
    engine = Engine()
    engine.is_idle = False
    ours = consumer(Deaf(), engine)
    looked = threading.Thread(target=lambda: (until(lambda: server.waiting("webops.local") > 30, "pings"), idle()))

    def idle() -> None:
        engine.is_idle = True

    looked.start()
    assert ours.run() == 1
    looked.join()
    assert server.waiting("webops.local") > 30


def test_rel_05_without_redis_it_goes_on_and_looks_by_itself(server):
    app, engine = Deaf(), Engine()
    ours = consumer(app, engine)
    server.stop()
    threading.Timer(0.6, app.end).start()  # three times as long as deafness would take
    assert ours.run() == 1  # Celery ended by itself: that is a failure
    assert not ours._failed  # and not for having heard nothing


def test_a_ring_from_the_queue_wakes_the_engine(server):
    app, bell = Deaf(), FlagBell()
    Consumer(app, Engine(), bell, host="local")
    app.tasks[queue.RING](7)
    bell.wait(60)
