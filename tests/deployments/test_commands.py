"""One-off commands: queued, claimed once, streamed, ended, masked, and only for those who may read secrets."""

from __future__ import annotations

from datetime import timedelta

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
from webops_host.errors import Cancelled, CommandFailed, CommandTimedOut, HostError


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
        (Cancelled("Stop."), "cancelled", None, "Cancelled."),
        (HostError("The host is away."), "failed", None, "The host is away."),
        (ZeroDivisionError("oops"), "failed", None, "It failed inside WebOps."),
    ],
)
def test_every_end_is_told(error, state, status, cause, actor, blog, host):
    live(blog, host, 1)
    host.breaks["builds.run"] = error
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


def test_rel_11_one_that_runs_is_ended(actor, blog, host):
    live(blog, host, 1)
    made = asked.run(actor, blog, "sleep 100")

    def cancelled(values) -> None:
        asked.cancel(actor, CommandRun.objects.get(pk=made.pk))
        watch = values["console"].cancelled
        watch._looked_at -= commands.LOOK_SECONDS
        if watch():
            raise Cancelled("Stopped.")

    host.breaks["builds.run"] = cancelled
    worker(host).work_once()
    made.refresh_from_db()
    assert (made.state, made.cause) == (WorkState.CANCELLED, "Cancelled by a person.")


def test_rel_12_its_lease_is_renewed_and_a_lost_one_ends_it(actor, blog, host):
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
    assert watch.reason == "Another worker took it over."
    assert Watch(run, lambda: True)()


def test_rel_01_a_command_whose_worker_died_is_over(actor, blog, host):
    live(blog, host, 1)
    commands.claim(asked.run(actor, blog, "true").pk, work.new_owner())
    assert commands.reap("local") == 0
    CommandRun.objects.update(lease_until=now() - timedelta(seconds=1))
    assert commands.reap("local") == 1
    assert CommandRun.objects.get().cause.startswith("The worker ended while it ran")
    assert commands.reap("local") == 0


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
