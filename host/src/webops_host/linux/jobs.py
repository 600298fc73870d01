"""Work that touches what is not ours, in a transient unit: another user, the sandbox, a time limit.

The daemon starts it, hands one request to its standard input, passes its lines on and reads its answer, which it checks
like any other input: the program runs as the deployment's user and may have been tampered with by the project's code.
Cancelling stops the unit, and with it everything that was started in it, whatever became of it.

A unit and an interpreter take longer than most of the work, so some jobs stay for a moment: what is asked next of the
same deployment, user and files is asked of them. One in which the project's own code ran never does. And one that will
be asked soon can be begun before that.
"""

from __future__ import annotations

import base64
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from webops_host import codec, runner
from webops_host.command import Command
from webops_host.daemon import protocol
from webops_host.errors import CommandFailed, CommandTimedOut, HostError
from webops_host.linux import sandbox, systemd
from webops_host.linux.units import Surroundings
from webops_host.names import DeploymentName
from webops_host.operations import Operation, Values
from webops_host.values import Console, Limits

Answer = dict[str, codec.Json]
Key = tuple[DeploymentName, str]  # whom a job waits for, and for what

PROGRAMS = Path("/opt/webops/current/host")
PYTHON = "/usr/bin/python3"
OWN_MIB = 64  # what the job's own interpreter takes beside the work
SUMMARY = (
    "Running as unit", "Press ^]", "Finished with result", "Main processes terminated", "Service runtime",
    "CPU time consumed", "Memory peak", "IP traffic", "IO bytes",
)  # fmt: skip
"""How systemd-run's own lines begin."""
ANSWER_LIMIT = 2 << 20  # bytes of what an operation says; it may be the project's code that says it
SLACK = 60.0  # seconds after the work's own time limit
STAYS = 5.0  # seconds within which one that stayed is asked again; it leaves by itself a while later
AHEAD = 12.0  # seconds for which one waits that was begun before it is needed
FAREWELL = 10.0  # seconds that a job gets to leave when nothing more is asked of it


@dataclass(frozen=True, slots=True)
class Place:
    """As whom a job runs, what it sees and may write, whether it may use the network, and for how long.

    One with a word to `stay` for waits a moment for more work of that word on the deployment.
    """

    user: str
    deployment: DeploymentName
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    network: bool = False
    shares: bool = False  # whether every deployment may read what it makes
    machine: bool = False  # whether /proc tells of the machine: npm begins nothing where it finds no processor
    limits: Limits = field(default_factory=lambda: Limits(memory_mib=1024, cpu_percent=200, tasks=512))
    seconds: float = 1800.0
    stay: str = ""

    @property
    def key(self) -> Key:
        return self.deployment, self.stay


@dataclass(slots=True)
class _Job:
    """A running unit, and who speaks with it."""

    unit: str
    key: Key
    partner: runner.Partner
    since: float = 0.0  # when it began to wait
    asked: bool = False
    ended: runner.Result = runner.Result(0, "")

    @property
    def is_late(self) -> bool:
        """Whether it has waited for so long that it may be about to leave."""
        return time.monotonic() - self.since > (STAYS if self.asked else AHEAD)

    def ask(self, request: bytes, console: Console | None, most: int) -> Answer | None:
        """Its answer; None when it left without one. Whatever comes between ends it."""
        self.asked = True
        conversation = Conversation(console, most)
        try:
            self.partner.ask(request, conversation.feed, console)
        except BaseException:
            self.stop()
            raise
        return conversation.answer

    def stop(self) -> None:
        """Gone, whatever it does just now."""
        runner.run(systemd.systemctl("stop", "--", f"{self.unit}.service"), check=False)
        self.ended = self.partner.end(FAREWELL)

    def leave(self) -> None:
        """Gone, with all that it started."""
        self.ended = self.partner.end(FAREWELL)
        if self.ended.status < 0:  # it did not heed
            runner.run(systemd.systemctl("stop", "--", f"{self.unit}.service"), check=False)


class Jobs:
    """`around` is what all units of this server have; `programs` holds `job.py`."""

    def __init__(self, around: Surroundings, programs: Path = PROGRAMS) -> None:
        self._around, self._programs = around, programs
        self._lock = threading.Lock()
        self._waiting: dict[Key, _Job] = {}

    def run(self, operation: Operation, values: Values, place: Place, console: Console | None = None) -> Any:
        """Perform the operation there; its result. Raises what it raised, CommandFailed with `oom`, CommandTimedOut."""
        request = protocol.ask(secrets.token_hex(12), None, operation, values)
        answer = self._of_one_that_waits(place, request, console)
        if answer is None:  # nobody waited, or it had left: every operation may be repeated
            job = self._begun(place)
            answer = self._answer(job, place, request, console)
            if answer is None or (
                "error" in answer and _ran_out(job.ended)
            ):  # it may yet tell what became of a program
                raise _no_answer(operation, place, job.ended)
        return protocol.result_of(operation, answer)

    def printed(self, command: Command, place: Place) -> bytes:
        """What a short program prints there, as it is. Its environment holds no secret. Raises CommandFailed."""
        answer = self._of_one_that_waits(place, to_print(command), None, protocol.ANSWER_LIMIT)
        if answer is not None:
            return what_was_printed(answer)
        words = [f"--setenv={key}={value}" for key, value in command.env.items()]
        whole = (*self._start(_new_unit(), place), "--quiet", *words, "--", *command.argv)
        return runner.run_binary(replace(command, argv=whole, cwd=None, env=systemd.ENV))

    def prepare(self, place: Place) -> None:
        """Begin the job that will be asked for soon. Nothing happens when one waits already."""
        with self._lock:
            waits = place.key in self._waiting
        if not waits:
            self._keep(self._begun(place))

    def let_go(self, name: DeploymentName) -> None:
        """Have nothing of the deployment wait any more; each is gone, or soon will be."""
        for job in self._taken(lambda job: job.key[0] == name):
            _leave_behind(job)

    def end(self, name: DeploymentName) -> None:
        """Have nothing of the deployment wait any more, and be gone."""
        for job in self._taken(lambda job: job.key[0] == name):
            job.leave()

    # --- those that stay ---------------------------------------------------------------------------------------

    def _of_one_that_waits(
        self, place: Place, request: bytes, console: Console | None, most: int = ANSWER_LIMIT
    ) -> Answer | None:
        """What the deployment's job that waits for this answers. One that waits for more of what it did before has
        waited in vain."""
        found = None
        for job in self._taken(lambda job: job.key == place.key or (job.key[0] == place.deployment and job.asked)):
            if job.key == place.key and not job.is_late:
                found = job
            else:
                _leave_behind(job)
        return self._answer(found, place, request, console, most) if found is not None else None

    def _begun(self, place: Place) -> _Job:
        unit = _new_unit()
        command = Command(self._words(unit, place), env=systemd.ENV, timeout=place.seconds + 2 * SLACK)
        return _Job(unit, place.key, runner.Partner(command))

    def _answer(
        self, job: _Job, place: Place, request: bytes, console: Console | None, most: int = ANSWER_LIMIT
    ) -> Answer | None:
        answer = job.ask(request, console, most)
        if answer is not None and place.stay:
            self._keep(job)
        else:
            job.leave()
        return answer

    def _keep(self, job: _Job) -> None:
        job.since = time.monotonic()
        for one in self._taken(lambda other: other.key == job.key or other.is_late, instead=job):
            _leave_behind(one)

    def _taken(self, which: Callable[[_Job], bool], *, instead: _Job | None = None) -> list[_Job]:
        """Those that wait no longer: they are the caller's now."""
        with self._lock:
            taken = [self._waiting.pop(job.key) for job in list(self._waiting.values()) if which(job)]
            if instead is not None:
                self._waiting[instead.key] = instead
        return taken

    # --- words -------------------------------------------------------------------------------------------------

    def _words(self, unit: str, place: Place) -> tuple[str, ...]:
        return (*self._start(unit, place), "--", PYTHON, "-I", "-S", str(self._programs / "job.py"))

    def _start(self, unit: str, place: Place) -> tuple[str, ...]:
        properties = [word for key, value in self._properties(place) for word in ("--property", f"{key}={value}")]
        return (
            "/usr/bin/systemd-run", "--pipe", "--wait", "--collect", "--service-type=exec", f"--unit={unit}",
            "--slice=webops-builds.slice", "--description=WebOps: a job", *properties,
        )  # fmt: skip

    def _properties(self, place: Place) -> Iterator[sandbox.Property]:
        around = self._around
        memory = min(place.limits.memory_mib, max(around.most.memory_mib, 2048)) + OWN_MIB
        yield "User", place.user
        yield "Group", place.user
        yield "EnvironmentFile", f"-{around.layout.settings / 'packages.env'}"
        yield "RuntimeMaxSec", str(int(place.seconds + SLACK))
        yield "BindsTo", "webops-hostd.service"
        yield "TimeoutStopSec", "2"
        yield from sandbox.LOCKED
        if place.shares:
            yield "UMask", "0022"
        if place.machine:
            yield "ProcSubset", "all"
        yield "MemoryMax", f"{memory}M"
        yield "MemorySwapMax", "0"
        yield "CPUQuota", f"{place.limits.cpu_percent}%"
        yield "TasksMax", str(max(place.limits.tasks, 512))
        if place.network:
            yield "Requires", "webops-firewall.service"
            yield "After", "webops-firewall.service"
            yield from sandbox.network(around.resolvers, around.allowed())
        else:
            yield from sandbox.NO_NETWORK
        yield from sandbox.view(around.layout.root, readable=place.readable, writable=place.writable)


def to_print(command: Command) -> bytes:
    """What asks a job that stays for the output of a short program."""
    said = {"argv": list(command.argv), "env": dict(command.env), "stdin": base64.b64encode(command.stdin).decode()}
    return protocol.encode({"print": said, "timeout": command.timeout})


def what_was_printed(answer: Answer) -> bytes:
    """Raises what the job's answer tells."""
    if "printed" not in answer:
        raise protocol.error_from(answer.get("error"))
    return base64.b64decode(str(answer["printed"]))


def _new_unit() -> str:
    return f"webops-job-{secrets.token_hex(8)}"


def _leave_behind(job: _Job) -> None:
    """Nobody waits for it to be gone."""
    threading.Thread(target=job.leave, name="job-leaves", daemon=True).start()


class Conversation:
    """Lines as they come, and the answer at the end. No line is longer than `most` bytes."""

    def __init__(self, console: Console | None, most: int = ANSWER_LIMIT) -> None:
        self.answer: Answer | None = None
        self._console, self._most = console, most
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> bool:
        """Whether the answer is there."""
        *whole, last = chunk.split(b"\n")
        for line in whole:
            self._take(b"".join((*self._rest, line)))
            self._rest, self._size = [], 0
        self._rest.append(last)
        self._size += len(last)
        if self._size > self._most:
            raise HostError("The job's answer is too large.")
        return self.answer is not None

    def _take(self, line: bytes) -> None:
        if protocol.has_too_many_values(line):
            raise HostError("The job's answer holds too many values.")
        data = protocol.decode(line)
        if not isinstance(data, dict):
            raise HostError("The job's answer could not be read.")
        if "line" not in data:
            self.answer = data
        elif self._console is not None:
            self._console.emit(str(data["line"]))


def _ran_out(ended: runner.Result) -> bool:
    """Whether the system ended something in the unit for the memory it took, as systemd-run tells."""
    return "oom-kill" in ended.output


def _no_answer(operation: Operation, place: Place, ended: runner.Result) -> HostError:
    """It was ended from outside: by its memory limit, its time limit, or a signal."""
    facts: dict[str, str | int | bool] = {"program": operation.name, "status": ended.status, "oom": False}
    if _ran_out(ended):
        return CommandFailed(
            f"It needed more than its {place.limits.memory_mib} MiB of memory and was stopped.",
            hint="Raise the memory limit of the deployment, or make the build need less.",
            facts={**facts, "oom": True},
        )
    if "result: timeout" in ended.output:
        return CommandTimedOut(f"It took longer than {place.seconds:g} s and was stopped.", facts=facts)
    own = [line for line in ended.output.splitlines() if line.strip() and not line.startswith(SUMMARY)]
    last = own[-1] if own else ""
    return CommandFailed(f"{operation.name} ended without an answer.", hint=last[:300], facts=facts)
