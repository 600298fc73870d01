"""One-off commands: queued, claimed once, streamed, ended, masked, and only for those who may read secrets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from tests.deployments.test_worker import worker
from tests.support.pages import browser, live, parsed

from apps.core import work
from apps.core.access import Actor
from apps.core.clock import now
from apps.core.errors import Conflict, Forbidden, Invalid, Missing
from apps.core.models import AuditRecord, Membership, Role
from apps.deployments import commands, logs, removal
from apps.deployments.actions import commands as asked
from apps.deployments.commands import Watch
from apps.deployments.models import CommandRun, Deployment, WorkState
from webops_host.errors import Cancelled, CommandFailed, CommandTimedOut, HostError, HostUnreachable, NotFound
from webops_host.one_off import Commands
from webops_host.values import Console, ProjectLine, Runtime


@pytest.fixture
def actor(mate) -> Actor:
    return Actor(mate)


def printed(run: CommandRun) -> list[str]:
    return [line.text for line in logs.read_file(logs.command_path(run.pk))]


def ran(actor: Actor, blog: Deployment, host, line: str = "python manage.py check") -> CommandRun:
    made = asked.run(actor, blog, line)
    worker(host).work_once()
    made.refresh_from_db()
    return made


def test_a_command_runs_in_what_is_live_and_its_lines_are_kept(actor, blog, host):
    live(blog, host, 3)
    host.prints["builds.run"] = ["System check identified no issues.", "done"]
    made = ran(actor, blog, host)
    (_, values) = next(call for call in host.calls if call[0] == "builds.run")
    assert (values["line"].line, values["runtime"].release, values["timeout"]) == ("python manage.py check", 3, 900.0)
    assert printed(made) == host.prints["builds.run"]
    assert (made.state, made.exit_status, made.release, made.lease_owner) == (WorkState.DONE, 0, 3, "")


@pytest.mark.parametrize(
    ("error", "state", "status", "cause"),
    [
        (CommandFailed("No.", facts={"status": 3}), "failed", 3, "It ended with 3."),
        (CommandFailed("No.", facts={"status": -9}), "failed", -9, "It was ended by signal 9."),
        (CommandFailed("No.", facts={"status": -9, "oom": True}), "failed", -9, "It needed more memory"),
        (CommandTimedOut("Too long."), "failed", None, "It took longer than 900 s"),
        (Cancelled("Stop."), "failed", None, "The host ended while it ran, and it with it."),
        (HostError("The disk is away."), "failed", None, "The disk is away."),
        (ZeroDivisionError("oops"), "failed", None, "The host broke: ZeroDivisionError."),
    ],
)
def test_every_end_is_told(error, state, status, cause, actor, blog, host):
    live(blog, host, 1)
    host.breaks["builds.run"] = error
    told(actor, blog, host, state, status, cause)


@pytest.mark.parametrize(
    ("operation", "error", "cause"),
    [
        ("commands.begin", HostUnreachable("The host is away."), "The host is away."),
        ("commands.follow", HostUnreachable("The host is away."), "The host ended while it ran, and it with it."),
        ("commands.follow", NotFound("Not known."), "The host ended while it ran, and it with it."),
        ("commands.follow", ZeroDivisionError("oops"), "It failed inside WebOps."),
    ],
)
def test_a_host_that_fails_is_told(operation, error, cause, actor, blog, host):
    live(blog, host, 1)
    host.breaks[operation] = error
    told(actor, blog, host, "failed", None, cause)


def told(actor, blog, host, state, status, cause) -> None:
    made = ran(actor, blog, host)
    assert (made.state, made.exit_status) == (state, status)
    assert made.cause.startswith(cause)
    assert made.finished_at is not None


def test_sec_02_secrets_are_hidden_in_output_line_and_audit_log(actor, blog, host, mate):
    blog.variables.create(key="API_KEY", value="very-secret-value")
    live(blog, host, 1)
    host.prints["builds.run"] = ["the key is very-secret-value"]
    made = ran(actor, blog, host, "echo very-secret-value")
    assert printed(made) == ["the key is [hidden]"]
    client = browser(mate)
    pages = ("commands/", "commands/1/", "commands/1/log")
    texts = [client.get(f"/deployments/blog/{page}").content.decode() for page in pages]
    assert all("very-secret" not in text for text in [*texts, repr(list(AuditRecord.objects.values()))])


def test_rel_03_a_command_is_begun_once(actor, blog, host):
    live(blog, host, 1)
    made = asked.run(actor, blog, "true")
    assert commands.claim(made.pk, "one") is not None
    assert commands.claim(made.pk, "two") is None


def test_one_that_waits_is_cancelled_at_once(actor, blog, host):
    live(blog, host, 1)
    made = asked.cancel(actor, asked.run(actor, blog, "true"))
    assert (made.state, made.cause) == (WorkState.CANCELLED, "Cancelled before it began.")
    worker(host).work_once()
    assert "builds.run blog" not in host.did
    with pytest.raises(Conflict, match="over"):
        asked.cancel(actor, made)


def cancels(actor: Actor, made: CommandRun) -> Callable[[dict[str, Any]], None]:
    """What is done when the host is asked to follow it: a person cancels it."""

    def act(values: dict[str, Any]) -> None:
        asked.cancel(actor, CommandRun.objects.get(pk=made.pk))
        watch = values["console"].cancelled
        watch._looked_at -= commands.LOOK_SECONDS
        assert watch()

    return act


def test_rel_11_one_that_runs_is_ended(actor, blog, host):
    live(blog, host, 1)
    made = asked.run(actor, blog, "sleep 100")
    host.on["commands.follow"] = cancels(actor, made)
    worker(host).work_once()
    made.refresh_from_db()
    assert (made.state, made.cause) == (WorkState.CANCELLED, "Cancelled by a person.")
    assert "commands.end blog" in host.did


def test_rel_11_one_that_can_not_be_ended_says_so(actor, blog, host):
    live(blog, host, 1)
    made = asked.run(actor, blog, "sleep 100")
    host.on["commands.follow"] = cancels(actor, made)
    host.breaks["commands.end"] = HostUnreachable("The host is away.", hint="Look.")
    worker(host).work_once()
    made.refresh_from_db()
    assert (made.state, made.cause, made.hint) == ("failed", "It could not be ended: The host is away.", "Look.")


class Patient:
    """A command that prints what it is told to, and ends then."""

    def __init__(self, *lines: str) -> None:
        self.lines, self.begun, self.goes_on = lines, 0, Event()

    def __call__(self, runtime: Runtime, line: ProjectLine, timeout: float, console: Console) -> None:
        self.begun += 1
        console.emit(self.lines[0])
        assert self.goes_on.wait(20)
        for text in self.lines[1:]:
            console.emit(text)


def test_rel_01_a_worker_that_is_stopped_leaves_its_command_to_the_next_one(actor, blog, host):
    program = Patient("one", "two", "three")
    host.commands_here = Commands(program)
    live(blog, host, 1)
    made = asked.run(actor, blog, "python manage.py import")
    first = worker(host)

    follow = host.commands_here.follow

    def stopping(name, run, after, console) -> None:
        follow(name, run, after, Console(lambda line: (console.emit(line), first.stop()), console.cancelled))

    host.commands_here.follow = stopping
    first.work_once()
    made.refresh_from_db()
    assert (made.state, made.lease_owner, printed(made)) == (WorkState.RUNNING, "", ["one"])
    program.goes_on.set()
    host.commands_here.follow = follow
    worker(host).work_once()
    made.refresh_from_db()
    assert (made.state, printed(made), program.begun) == (WorkState.DONE, ["one", "two", "three"], 1)


def test_rel_12_its_lease_is_renewed_and_who_loses_it_leaves(actor, blog, host):
    live(blog, host, 1)
    run = commands.claim(asked.run(actor, blog, "sleep 100").pk, "one")
    watch = Watch(run, lambda: False)
    soon = now() + timedelta(seconds=1)
    CommandRun.objects.update(lease_until=soon)
    watch._looked_at -= commands.LOOK_SECONDS
    watch._renewed_at -= commands.RENEW_SECONDS
    assert not watch()
    assert CommandRun.objects.get().lease_until > soon
    CommandRun.objects.update(lease_owner="two", fence=9)
    watch._looked_at -= commands.LOOK_SECONDS
    watch._renewed_at -= commands.RENEW_SECONDS
    assert watch()
    assert (watch.leaves, watch.reason) == (True, "")
    assert Watch(run, lambda: True)()
    commands.end(run, WorkState.FAILED, "What the one before thinks.")
    assert CommandRun.objects.get().state == WorkState.RUNNING


def test_rel_01_a_command_whose_worker_died_is_followed_by_the_next(actor, blog, host):
    live(blog, host, 1)
    host.prints["builds.run"] = ["one", "two"]
    made = asked.run(actor, blog, "true")
    dead = commands.claim(made.pk, work.new_owner())
    assert commands._begun(dead, host)
    paper = logs.Writer(None, place=logs.command_path(made.pk))
    paper.write("", "one")
    paper.close()
    worker(host).work_once()
    assert CommandRun.objects.get().state == WorkState.RUNNING
    CommandRun.objects.update(lease_until=now() - timedelta(seconds=1))
    worker(host).work_once()
    made.refresh_from_db()
    assert (made.state, made.exit_status, printed(made)) == (WorkState.DONE, 0, ["one", "two"])
    assert host.did.count("builds.run blog") == 1


def test_rel_01_a_command_that_its_host_does_not_know_is_over(actor, blog, host):
    live(blog, host, 1)
    commands.claim(asked.run(actor, blog, "true").pk, work.new_owner())
    CommandRun.objects.update(lease_until=now() - timedelta(seconds=1))
    worker(host).work_once()
    made = CommandRun.objects.get()
    assert (made.state, made.cause) == (WorkState.FAILED, "The host ended while it ran, and it with it.")
    assert "builds.run blog" not in host.did


def test_az_05_a_command_of_somebody_who_lost_the_role_is_held_back(actor, blog, host, mate):
    live(blog, host, 1)
    made = asked.run(actor, blog, "true")
    Membership.objects.filter(user=mate).update(role=Role.VIEWER)
    worker(host).work_once()
    made.refresh_from_db()
    assert made.state == WorkState.CANCELLED
    assert not [call for call in host.calls if call[0] == "builds.run"]


def test_az_02_running_needs_the_right_to_read_secrets(blog, host, viewer, stranger, mate):
    live(blog, host, 1)
    for act in (
        lambda who: asked.run(who, blog, "env"),
        lambda who: asked.cancel(who, blog.commands.create(number=9 + blog.commands.count(), line="env")),
    ):
        with pytest.raises(Forbidden):
            act(Actor(viewer))
        with pytest.raises(Forbidden):
            act(Actor(mate, scope="deploy"))
        with pytest.raises(Missing):
            act(Actor(stranger))


@pytest.mark.parametrize("line", ["", "   ", "a\nb", "a\x00b", "x" * 4001])
def test_inj_07_what_is_not_one_line_is_refused(line, actor, blog, host):
    live(blog, host, 1)
    with pytest.raises(Invalid) as refused:
        asked.run(actor, blog, line)
    assert "command" in refused.value.fields


def test_what_can_not_be_run_is_refused(actor, blog, host):
    with pytest.raises(Conflict, match="no live release"):
        asked.run(actor, blog, "true")
    live(blog, host, 1)
    for seconds in (0, asked.LONGEST_LIMIT + 1):
        with pytest.raises(Invalid):
            asked.run(actor, blog, "true", limit_seconds=seconds)
    for _ in range(asked.MOST_WAITING):
        asked.run(actor, blog, "true")
    with pytest.raises(Conflict, match="wait already"):
        asked.run(actor, blog, "true")


def test_old_ones_go_with_what_they_printed(actor, blog, host):
    live(blog, host, 1)
    host.prints["builds.run"] = ["a line"]
    first = ran(actor, blog, host)
    blog.commands.bulk_create(
        CommandRun(deployment=blog, number=number, line="true", state="done") for number in range(2, commands.KEPT + 2)
    )
    assert logs.command_path(first.pk).exists()
    ran(actor, blog, host)
    assert blog.commands.count() == commands.KEPT
    assert not logs.command_path(first.pk).exists()
    last = blog.commands.first()
    removal.remove(Deployment.objects.get(pk=blog.pk), host)
    assert not logs.command_path(last.pk).exists()


def test_the_pages_run_watch_and_end(actor, blog, host, mate, viewer):
    live(blog, host, 1)
    client = browser(mate)
    assert client.post("/deployments/blog/commands/", {"command": "", "limit_seconds": "9"}).status_code == 400
    answer = client.post("/deployments/blog/commands/", {"command": "echo <b>hi</b>", "limit_seconds": "60"})
    assert answer["Location"] == "/deployments/blog/commands/1/"
    assert "Waiting" in parsed(client.get(answer["Location"])).words
    host.prints["builds.run"] = ["<script>alert(1)</script>"]
    worker(host).work_once()
    page = client.get(answer["Location"])
    assert "Done" in parsed(page).words
    assert "<script>alert(1)" not in page.content.decode()
    assert client.get("/deployments/blog/commands/1/log").content == b"<script>alert(1)</script>\n"
    assert client.post("/deployments/blog/commands/1/cancel/").status_code == 409
    shown = parsed(browser(viewer).get("/deployments/blog/commands/"))
    assert "#1" in shown.words
    assert shown.disabled
