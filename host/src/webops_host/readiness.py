"""Waits until a candidate answers a real request, and says why when it does not."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from webops_host.errors import BadValue, Cancelled, NotReady
from webops_host.programs import Door
from webops_host.usage import describe_end
from webops_host.values import Console, HealthCheck, Ready, UnitRef, UnitState, UnitStatus

EVERY = 0.005
WARM_UP = 3.0  # seconds for which a bad answer may still become a good one
LOCKED = (401, 403)  # a page behind a password answers
BODY_SHOWN = 300
MOST_HOPS = 4
ANSWER_LIMIT = 1 << 16


class Keeper(Protocol):
    """Whoever keeps the candidate running, and can say how it is."""

    def status(self) -> UnitStatus: ...

    @property
    def ran_out_of_memory(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    ref: UnitRef
    door: Door | None
    keeper: Keeper


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str
    over: str
    onward: str = ""  # where a redirect leads


class _Silent(Exception):
    """It took the connection and did not answer."""


def wait(candidate: Candidate, check: HealthCheck, console: Console) -> Ready:
    """The first good answer. Raises NotReady, Cancelled."""
    if candidate.door is None:
        raise BadValue(f"{candidate.ref} serves no requests.", hint="Check the web process.")
    began = time.monotonic()
    deadline, was_bound = began + check.timeout, False
    bad: Answer | None = None  # its last answer that was not good
    path = check.path
    while True:
        _still_there(candidate, console)
        try:
            answer, path = _visit(candidate.door, check, lambda: _still_there(candidate, console), deadline)
        except _Silent:
            answer, was_bound = None, True
        now = time.monotonic()
        if answer is not None and _is_good(answer.status, check, followed=path != check.path):
            return Ready(answer.status, round(now - began, 3), answer.over)
        if answer is not None:
            deadline = deadline if bad is not None else min(deadline, now + WARM_UP)
            bad = answer
        if now > deadline:
            raise _too_late(candidate.ref, check, was_bound) if bad is None else _bad_status(candidate.ref, path, bad)
        time.sleep(EVERY if answer is None else EVERY * 10)


def _visit(door: Door, check: HealthCheck, look: Callable[[], None], deadline: float) -> tuple[Answer | None, str]:
    """Ask for the page, and for what it redirects to within the site; the last answer and its path. Raises _Silent."""
    path = check.path
    for _ in range(MOST_HOPS):
        answer = _ask(door, _request(check, path), look, deadline)
        onward = _local(answer.onward, check) if answer is not None else ""
        if not onward:
            break
        path = onward
    return answer, path


def _is_good(status: int, check: HealthCheck, *, followed: bool) -> bool:
    """A page that was only redirected to proves enough unless it fails: nobody chose it."""
    return status < 400 or status in LOCKED or (status == 404 and check.missing_ok) or (followed and status < 500)


def _local(onward: str, check: HealthCheck) -> str:
    """The path of a redirect that stays on this very site; empty when it leads elsewhere."""
    try:
        parts = urlsplit(onward)
    except ValueError:
        return ""
    own = (("https" if check.secure else "http"), check.host)
    if (parts.scheme or parts.netloc) and (parts.scheme, parts.netloc) != own:
        return ""
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return path if path.startswith("/") and path.isascii() and path.isprintable() and " " not in path else ""


def _request(check: HealthCheck, path: str) -> bytes:
    path = path if path.startswith("/") else f"/{path}"
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {check.host}",
        f"X-Forwarded-Proto: {'https' if check.secure else 'http'}",
        "X-Forwarded-For: 127.0.0.1",
        "User-Agent: WebOps-health",
        "Accept: */*",
        "Connection: close",
    )
    if not all(line.isascii() and line.isprintable() for line in lines) or " " in path:
        raise BadValue("That is not a path to check.", hint="Use a path such as “/health/”.")
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _still_there(candidate: Candidate, console: Console) -> None:
    if console.cancelled():
        raise Cancelled("Stopped because somebody asked for it.")
    status = candidate.keeper.status()
    if status.state is UnitState.RUNNING:
        return
    oom = candidate.keeper.ran_out_of_memory
    if status.exit_status is None:
        raise NotReady(f"{candidate.ref} is not running.", facts={"reason": "exited", "oom": oom})
    how = "ran out of memory" if oom else describe_end(status.exit_status)
    raise NotReady(
        f"The program {how} before it answered.",
        hint="Raise the memory limit." if oom else "Its last lines say why.",
        facts={"reason": "exited", "exit": status.exit_status, "oom": oom},
    )


def _ask(door: Door, request: bytes, look: Callable[[], None], deadline: float) -> Answer | None:
    """Its answer over the socket or else the port, if it has one; None when nothing listens. Raises _Silent."""
    for over, family, address in (
        ("socket", socket.AF_UNIX, str(door.socket)),
        ("port", socket.AF_INET, ("127.0.0.1", door.port)),
    ):
        if family == socket.AF_INET and not door.port:  # hostd may open no socket of the internet's
            break
        with socket.socket(family) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(address)
            except OSError:
                continue
            return _converse(connection, request, over, look, deadline)
    return None


def _converse(
    connection: socket.socket, request: bytes, over: str, look: Callable[[], None], deadline: float
) -> Answer:
    received = b""
    connection.settimeout(0.1)
    try:
        connection.sendall(request)
        while len(received) < ANSWER_LIMIT:
            if time.monotonic() > deadline:
                raise _Silent
            try:
                chunk = connection.recv(1 << 14)
            except TimeoutError:
                look()
                continue
            received += chunk
            head, found, body = received.partition(b"\r\n\r\n")
            if not chunk or (found and (_status(head) < 400 or len(body) >= BODY_SHOWN)):
                break
    except OSError:
        pass  # a server may reset when it has said everything
    head, _, body = received.partition(b"\r\n\r\n")
    status = _status(head)
    if status == 0:
        raise _Silent
    onward = _location(head) if 300 <= status < 400 else ""
    return Answer(status, body.decode(errors="replace")[:BODY_SHOWN], over, onward)


def _location(head: bytes) -> str:
    fields = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return next((value.strip().decode("latin-1") for name, _, value in fields if name.lower() == b"location"), "")


def _status(head: bytes) -> int:
    words = head.split(b"\r\n", 1)[0].split(b" ")
    good = len(words) >= 2 and words[0].startswith(b"HTTP/1.") and len(words[1]) == 3 and words[1].isdigit()
    return int(words[1]) if good else 0


def _bad_status(ref: UnitRef, path: str, answer: Answer) -> NotReady:
    return NotReady(
        f"The app answered {answer.status} to GET {path}.",
        hint="Open that page on your own machine with the same settings, or name another path to check.",
        facts={"reason": "status", "status": answer.status, "over": answer.over, "body": answer.body},
    )


def _too_late(ref: UnitRef, check: HealthCheck, was_bound: bool) -> NotReady:
    if was_bound:
        return NotReady(
            f"The app took connections but did not answer GET {check.path} within {check.timeout:g} s.",
            hint="Something in the request waits: a database, another service, a lock.",
            facts={"reason": "timeout"},
        )
    return NotReady(
        f"The program runs, but after {check.timeout:g} s nothing listens on its socket or on $PORT.",
        hint="Let the web process listen on 127.0.0.1:$PORT.",
        facts={"reason": "never_bound"},
    )
