"""What runs in a job, spoken with as hostd does. The units around it are tested on a server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from webops_host import runner
from webops_host.command import Command
from webops_host.daemon import protocol
from webops_host.errors import BadValue, CommandFailed, HostError, NotFound
from webops_host.linux import jobs
from webops_host.linux.layout import ServerLayout
from webops_host.linux.units import Surroundings
from webops_host.names import CommitId, DeploymentName
from webops_host.operations import OPERATIONS
from webops_host.values import Console, Limits

JOB = "import sys; from webops_host.linux.job import main; sys.exit(main())"
REFUSED = """
import sys; from webops_host.linux.job import main
class Sources:
    def listing(self, name, commit):
        raise PermissionError(13, "Permission denied", "/srv/there")
sys.exit(main(lambda port: Sources()))
"""
NAME = DeploymentName("nobody-has-this")


class Job:
    def __init__(self, program: str = JOB) -> None:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
        self.partner = runner.Partner(Command((sys.executable, "-c", program), env=env))
        self.ended = runner.Result(-1, "")

    def ask(self, request: bytes) -> jobs.Answer:
        conversation = jobs.Conversation(Console(lambda line: None))
        assert self.partner.ask(request, conversation.feed)
        assert conversation.answer is not None
        return conversation.answer


@pytest.fixture
def job() -> Iterator[Job]:
    job = Job()
    yield job
    job.ended = job.partner.end(30)
    assert job.ended == runner.Result(0, "")


def test_a_job_answers_one_request_after_the_other(job: Job) -> None:
    listing = OPERATIONS["sources.listing"]
    for number in (1, 2):
        values = {"name": NAME, "commit": CommitId(str(number) * 40)}
        answer = job.ask(protocol.ask(f"request-{number}", None, listing, values))
        with pytest.raises(NotFound, match=str(number) * 12):
            protocol.result_of(listing, answer)


def test_a_job_says_what_a_program_prints(job: Job) -> None:
    command = Command(("/bin/cat",), stdin=b"\x00\xffany\n" * 50_000)
    assert jobs.what_was_printed(job.ask(jobs.to_print(command))) == command.stdin
    with pytest.raises(CommandFailed) as failed:
        jobs.what_was_printed(job.ask(jobs.to_print(Command(("/bin/false",)))))
    assert failed.value.facts["status"] == 1


def test_a_job_refuses_what_is_no_work_of_its_own_and_goes_on(job: Job) -> None:
    reserve = OPERATIONS["sites.reserve"]
    for request in (b"no JSON\n", protocol.ask("request-1", None, reserve, {"name": NAME})):
        with pytest.raises(BadValue):
            protocol.result_of(reserve, job.ask(request))
    assert jobs.what_was_printed(job.ask(jobs.to_print(Command(("/bin/echo", "on"))))) == b"on\n"


def test_a_job_tells_what_the_system_refused_and_goes_on() -> None:
    job, listing = Job(REFUSED), OPERATIONS["sources.listing"]
    for _ in range(2):
        answer = job.ask(protocol.ask("request-1", None, listing, {"name": NAME, "commit": CommitId("1" * 40)}))
        with pytest.raises(HostError, match=r"refused it: Permission denied\.") as told:
            protocol.result_of(listing, answer)
        assert "/srv/there" in told.value.hint
    assert job.partner.end(30) == runner.Result(0, "")


class Scripted(jobs.Jobs):
    """Whose units are a shell: it says an answer, and at its end what systemd-run would say."""

    def __init__(self, answer: bytes, ending: str) -> None:
        super().__init__(Surroundings(ServerLayout()))
        self._said = f"read line; printf '%s\\n' '{answer.decode().strip()}'; echo '{ending}' >&2"

    def _begun(self, place: jobs.Place) -> jobs._Job:
        command = Command(("/bin/sh", "-c", self._said), env={})
        return jobs._Job("webops-job-x", place.key, runner.Partner(command))


@pytest.mark.parametrize("ending", ["Finished with result: oom-kill", "Finished with result: exit-code"])
def test_what_the_kernel_ended_for_its_memory_is_told_as_that(ending: str) -> None:
    """The job may be quicker than systemd, and tell of a program that was killed."""
    killed = protocol.refusal(CommandFailed("sh failed with status 137.", facts={"status": 137, "oom": False}))
    place = jobs.Place("wo-blog", NAME, limits=Limits(memory_mib=128))
    with pytest.raises(CommandFailed) as told:
        Scripted(killed, ending).run(OPERATIONS["sources.listing"], {"name": NAME, "commit": CommitId("1" * 40)}, place)
    assert told.value.facts["oom"] is ("oom" in ending)
    assert ("128 MiB" in told.value.message) is ("oom" in ending)


def in_pieces(conversation: jobs.Conversation, said: bytes) -> bool:
    return any(conversation.feed(said[start : start + (1 << 16)]) for start in range(0, len(said), 1 << 16))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"x" * (3 << 20), "too large"),
        (b'{"ok":true,"result":[' + b"[]," * 150_000 + b"[]]}\n", "too many values"),
    ],
)
def test_an_answer_that_would_take_the_daemons_memory_is_refused(said: bytes, why: str) -> None:
    with pytest.raises(HostError, match=why):
        in_pieces(jobs.Conversation(None), said)


def test_what_a_program_of_ours_printed_may_be_larger() -> None:
    said = protocol.encode({"printed": "QUJD" * (1 << 20)})
    assert in_pieces(jobs.Conversation(None, protocol.ANSWER_LIMIT), said)
