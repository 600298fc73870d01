"""A release's log as server-sent events: everything once, in order, resumable, and only for who may see it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from apps.core.access import Actor
from apps.deployments import logs, stream
from apps.deployments.models import Release, State

QUICK = stream.Pace(file=0.001, rows=0.001, heartbeat=60)


@pytest.fixture
def release(blog) -> Release:
    return Release.objects.create(deployment=blog, number=1, state=State.RUNNING)


def write(release: Release, *texts: str) -> None:
    writer = logs.Writer(release)
    for text in texts:
        writer.write("build", text)
    writer.close()


def end(release: Release, state: State = State.FAILED) -> None:
    Release.objects.filter(pk=release.pk).update(state=state, cause="It broke.")


def collect(source: AsyncIterator[bytes], on: Callable[[bytes], None] = lambda chunk: None) -> bytes:
    """Everything a stream says; `on` is called with each chunk, to change the world meanwhile."""

    async def run() -> bytes:
        said = b""
        async for chunk in source:
            said += chunk
            await sync_to_async(on)(chunk)
        return said

    return async_to_sync(run)()


def parsed(said: bytes) -> list[tuple[str, dict[str, Any], str]]:
    """(event, data, id) of each event."""
    found = []
    for block in said.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line and not line.startswith(":"))
        if fields:
            found.append((fields["event"], json.loads(fields["data"]), fields.get("id", "")))
    return found


def test_everything_comes_once_and_the_stream_ends_with_the_release(release, viewer):
    write(release, "one")

    def on(chunk: bytes) -> None:
        if b'"one"' in chunk:
            write(release, "two")
        if b'"two"' in chunk:
            end(release)

    events = parsed(collect(stream.events(release.pk, Actor(viewer), 0, pace=QUICK), on))
    assert [name for name, _, _ in events] == ["state", "line", "line", "state", "end"]
    assert [item["text"] for name, item, _ in events if name == "line"] == ["one", "two"]
    assert events[-1][1] == {"state": "failed", "cause": "It broke.", "hint": ""}


def test_a_reader_resumes_after_the_last_id(release, viewer, rf):
    write(release, "one", "two", "three")
    end(release)
    first = parsed(collect(stream.events(release.pk, Actor(viewer), 0, pace=QUICK)))
    after = next(id_ for name, item, id_ in first if name == "line" and item["text"] == "one")
    request = rf.get("/", headers={"Last-Event-ID": after})
    again = parsed(collect(stream.events(release.pk, Actor(viewer), stream.position(request), pace=QUICK)))
    assert [item["text"] for name, item, _ in again if name == "line"] == ["two", "three"]


@pytest.mark.parametrize("text", ["", "x", "-1", "9" * 30, "١٢"])
def test_a_nonsense_last_id_means_from_the_beginning(rf, text):
    assert stream.position(rf.get("/", {"after": text})) == 0


def test_steps_are_told_when_they_change(release, viewer):
    step = release.steps.create(position=0, name="fetch", state="running")

    def on(chunk: bytes) -> None:
        if b'"running"' in chunk:
            step.state = "done"
            step.save()
        if b'"done"' in chunk:
            end(release)

    events = parsed(collect(stream.events(release.pk, Actor(viewer), 0, pace=QUICK), on))
    assert [item["state"] for name, item, _ in events if name == "step"] == ["running", "done"]


def test_ws_01_a_stranger_gets_nothing(release, stranger, as_stranger):
    write(release, "one")
    assert collect(stream.events(release.pk, Actor(stranger), 0, pace=QUICK)) == b""
    answer = as_stranger.get("deployments/blog/releases/1/log", headers={"Accept": "text/event-stream"})
    assert answer.status_code == 404


def test_ws_01_without_a_token_there_is_no_stream(release, anonymous):
    answer = anonymous.get("deployments/blog/releases/1/log", headers={"Accept": "text/event-stream"})
    assert answer.status_code == 401


def test_ws_02_a_role_that_is_taken_away_ends_the_stream(release, viewer):
    write(release, "one")
    said = collect(
        stream.events(release.pk, Actor(viewer), 0, pace=QUICK),
        lambda chunk: viewer.memberships.all().delete() and None,
    )
    assert b'"one"' in said
    assert b"event: end" not in said


def test_ws_02_a_token_that_is_revoked_ends_the_stream(release, viewer):
    answers = iter([True, False])
    said = collect(stream.events(release.pk, Actor(viewer), 0, valid=lambda: next(answers), pace=QUICK))
    assert b"event: end" not in said


def test_ws_02_permission_is_asked_again_within_five_seconds():
    assert stream.Pace().rows <= 5


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "\x1b[31mred",
        "event: end\ndata: {}\n\n",
        "x" * 5_000_000,
        "\ud800 lone",
        "\r\n\r\n",
    ],
    ids=["script", "ansi", "fake event", "5 MB", "surrogate", "breaks"],
)
def test_ws_03_what_a_program_prints_can_not_break_the_stream(release, viewer, text):
    write(release, text)
    end(release)
    events = parsed(collect(stream.events(release.pk, Actor(viewer), 0, pace=QUICK)))
    assert [name for name, _, _ in events] == ["state", "line", "end"]
    assert len(events[1][1]["text"]) < 20_000


def test_a_silent_stream_says_that_it_is_still_there(release, viewer):
    pace = stream.Pace(file=0.001, rows=0.001, heartbeat=0)
    said = collect(
        stream.events(release.pk, Actor(viewer), 0, pace=pace),
        lambda chunk: end(release) if chunk[:1] == b":" else None,
    )
    assert b": still here\n\n" in said


def test_the_answer_may_not_be_kept_or_collected_on_its_way():
    assert stream.headers()["Cache-Control"] == "no-store"
    assert stream.headers()["X-Accel-Buffering"] == "no"
