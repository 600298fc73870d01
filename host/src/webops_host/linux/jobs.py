"""Work that touches what is not ours, in a transient unit: another user, the sandbox, a time limit.

The daemon starts it, hands one request to its standard input, passes its lines on and reads its answer, which it checks
like any other input: the program runs as the deployment's user and may have been tampered with by the project's code.
Cancelling stops the unit, and with it everything that was started in it, whatever became of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from webops_host import codec, runner
from webops_host.command import Command
from webops_host.daemon import protocol
from webops_host.errors import CommandFailed, CommandTimedOut, HostError
from webops_host.linux import sandbox, systemd
from webops_host.linux.units import Surroundings
from webops_host.operations import Operation, Values
from webops_host.values import Console, Limits

PROGRAMS = Path("/opt/webops/current/host")
PYTHON = "/usr/bin/python3"
OWN_MIB = 64  # what the job's own interpreter takes beside the work
SUMMARY = (
    "Running as unit", "Press ^]", "Finished with result", "Main processes terminated", "Service runtime",
    "CPU time consumed", "Memory peak", "IP traffic", "IO bytes",
)  # fmt: skip
"""How systemd-run's own lines begin."""
SLACK = 60.0  # seconds after the work's own time limit


@dataclass(frozen=True, slots=True)
class Place:
    """As whom a job runs, what it sees and may write, whether it may use the network, and for how long."""

    user: str
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    network: bool = False
    shares: bool = False  # whether every deployment may read what it makes
    limits: Limits = field(default_factory=lambda: Limits(memory_mib=1024, cpu_percent=200, tasks=512))
    seconds: float = 1800.0


class Jobs:
    """`around` is what all units of this server have; `programs` holds `job.py`."""

    def __init__(self, around: Surroundings, programs: Path = PROGRAMS) -> None:
        self._around, self._programs = around, programs

    def run(self, operation: Operation, values: Values, place: Place, console: Console | None = None) -> Any:
        """Perform the operation there; its result. Raises what it raised, CommandFailed with `oom`, CommandTimedOut."""
        unit = f"webops-job-{secrets.token_hex(8)}"
        request = protocol.ask(unit, None, operation, values)
        conversation = _Conversation(console)
        command = Command(self._words(unit, place), env=systemd.ENV, stdin=request, timeout=place.seconds + 2 * SLACK)
        try:
            ended = runner.stream(command, conversation.feed, console)
        except BaseException:
            runner.run(systemd.systemctl("stop", "--", f"{unit}.service"), check=False)
            raise
        if conversation.answer is None:
            raise _no_answer(operation, place, ended)
        return protocol.result_of(operation, conversation.answer)

    def printed(self, command: Command, place: Place) -> bytes:
        """What a short program prints there, as it is. Its environment holds no secret. Raises CommandFailed."""
        unit = f"webops-job-{secrets.token_hex(8)}"
        words = [f"--setenv={key}={value}" for key, value in command.env.items()]
        whole = (*self._start(unit, place), "--quiet", *words, "--", *command.argv)
        return runner.run_binary(replace(command, argv=whole, cwd=None, env=systemd.ENV))

    def _words(self, unit: str, place: Place) -> tuple[str, ...]:
        return (*self._start(unit, place), "--", PYTHON, "-I", str(self._programs / "job.py"))

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


class _Conversation:
    """Lines as they come, and the answer at the end."""

    def __init__(self, console: Console | None) -> None:
        self.answer: dict[str, codec.Json] | None = None
        self._console = console
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> None:
        *whole, last = chunk.split(b"\n")
        for line in whole:
            self._take(b"".join((*self._rest, line)))
            self._rest, self._size = [], 0
        self._rest.append(last)
        self._size += len(last)
        if self._size > protocol.ANSWER_LIMIT:
            raise HostError("The job's answer is too large.")

    def _take(self, line: bytes) -> None:
        data = protocol.decode(line)
        if not isinstance(data, dict):
            raise HostError("The job's answer could not be read.")
        if "line" not in data:
            self.answer = data
        elif self._console is not None:
            self._console.emit(str(data["line"]))


def _no_answer(operation: Operation, place: Place, ended: runner.Result) -> HostError:
    """It was ended from outside: by its memory limit, its time limit, or a signal."""
    facts: dict[str, str | int | bool] = {"program": operation.name, "status": ended.status, "oom": False}
    if "oom-kill" in ended.output:
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
