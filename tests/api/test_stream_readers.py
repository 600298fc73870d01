"""WS-04: readers of a log who do not read."""

from __future__ import annotations

import tracemalloc

import pytest
from asgiref.sync import async_to_sync
from tests.support.pages import browser

from apps.core.access import Actor
from apps.deployments import logs, stream
from apps.deployments.models import Release, State

READERS = 50
LITTLE = 400 << 10  # bytes for one of them
QUICK = stream.Pace(file=0.001, rows=0.001)


@pytest.fixture
def long_log(blog) -> Release:
    """A release that is still running and has printed 16 MB."""
    release = Release.objects.create(deployment=blog, number=1, state=State.RUNNING)
    writer = logs.Writer(release)
    for _ in range(1000):
        writer.write("build", "x" * logs.LONGEST)
    writer.close()
    return release


def test_ws_04_readers_who_do_not_read_hold_little_and_hinder_nobody(long_log, viewer):
    streams = [stream.events(long_log.pk, Actor(viewer), 0, pace=QUICK) for _ in range(READERS)]

    async def first_of_each() -> list[bytes]:
        return [await anext(events) for events in streams]

    async def leave() -> None:
        for events in streams:
            await events.aclose()

    tracemalloc.start()
    try:
        chunks = async_to_sync(first_of_each)()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(chunks) == READERS
    assert max(map(len, chunks)) < LITTLE
    assert held < READERS * LITTLE
    assert browser(viewer).get("/deployments/").status_code == 200
    async_to_sync(leave)()


def test_ws_04_a_reader_who_reads_gets_everything(long_log, viewer):
    Release.objects.filter(pk=long_log.pk).update(state=State.FAILED)

    async def all_of_it() -> int:
        return sum(
            [chunk.count(b"event: line") async for chunk in stream.events(long_log.pk, Actor(viewer), pace=QUICK)]
        )

    assert async_to_sync(all_of_it)() == 1000
