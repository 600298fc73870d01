"""A host behind a Unix socket: checks who speaks and what is asked, then calls the port in this process.

Each connection carries one conversation and has a thread of its own. Calls are logged with who, what and outcome, and
without any value. Who may ask for what is decided by the user that the kernel names.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from webops_host import files, ports
from webops_host.daemon import protocol
from webops_host.daemon.alarm import Alarm
from webops_host.daemon.answers import Answers
from webops_host.errors import BadValue, Forbidden, HostError, full_disk_told
from webops_host.fences import LAST, Fences
from webops_host.names import DeploymentName
from webops_host.operations import Operation, Values, deployment_of, perform
from webops_host.values import Console

log = logging.getLogger("webops.host")

CONVERSATIONS = 256
LARGE = 1 << 16  # bytes; of requests above this only a few are read at once, and one is taken apart
LARGE_AT_ONCE = 4
PATIENCE = 30.0  # seconds for a request to arrive whole, and for a reader that does not read
LOOK = 0.5  # seconds between looks at whether to stop

Policy = Callable[[int], Callable[[Operation], bool] | None]
"""What the user of a number may ask for; None for one who may not even speak."""


def same_user(uid: int) -> Callable[[Operation], bool] | None:
    """Everything for the user that the daemon runs as, nothing for others."""
    return (lambda operation: True) if uid == os.getuid() else None


class Server:
    """Serves `host` at `path`. `refused` counts by operation what was not let through."""

    def __init__(
        self,
        host: ports.Host,
        path: Path,
        fences: Fences,
        policy: Policy = same_user,
        answers: Answers | None = None,
        alarm: Alarm | None = None,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._alarm = alarm or Alarm()
        self._host, self._path, self._fences, self._policy = host, path, fences, policy
        self._turn = threading.Lock()
        self._turn_over = threading.Condition(self._turn)
        self._active, self._quiet_since = 0, time.monotonic()
        self._answers = answers or Answers()
        self._room = threading.BoundedSemaphore(CONVERSATIONS)
        self._large, self._taking_apart = threading.BoundedSemaphore(LARGE_AT_ONCE), threading.Lock()
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._own = False  # whether the socket is ours to end

    def start(self) -> None:
        """Listen and answer in the background. A socket file left by a dead process is replaced."""
        files.private_folder(self._path.parent)
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        self._path.chmod(0o600)
        listener.listen(128)
        self._own = True
        self.serve(listener)

    def serve(self, listener: socket.socket) -> None:
        """Answer in the background on a socket that listens already, such as one that systemd handed over."""
        listener.setblocking(False)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="host-accept", daemon=True).start()

    def leave_if_idle(self, seconds: float) -> bool:
        """True when nobody has spoken for so long; then nobody is heard any more, and whoever knocks waits for the
        next daemon on the same socket."""
        with self._turn:
            if self._active or time.monotonic() - self._quiet_since < seconds:
                return False
            self._stopping.set()
            return True

    def stop(self) -> None:
        """Take no more requests and cancel those under way. Again: nothing."""
        if self._listener is None:
            return
        self._stopping.set()
        if self._own:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._path.unlink(missing_ok=True)
        self._listener.close()
        self._listener = None

    def wait(self, seconds: float) -> bool:
        """Until nobody is answered any more. False when the time ran out."""
        with self._turn:
            return self._turn_over.wait_for(lambda: self._active == 0, seconds)

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                if not select.select([listener], [], [], LOOK)[0]:
                    continue
                connection = self._accepted(listener)
            except (OSError, ValueError):
                self.refused["room"] += 1
                self._stopping.wait(0.05)  # out of descriptors, of which some will come back; or we are to leave
                continue
            if connection is not None:
                self._room.acquire()
                self._begin(connection)

    def _accepted(self, listener: socket.socket) -> socket.socket | None:
        """The next caller, unless it was decided to leave: then it stays in the queue for somebody else."""
        with self._turn:
            if self._stopping.is_set():
                return None
            connection, _ = listener.accept()
            self._active += 1
            return connection

    def converse(self, connection: socket.socket) -> None:
        """Hear one request, answer it, and close."""
        try:
            with connection:
                connection.settimeout(PATIENCE)
                answer = self._hear(connection)
                if answer is not None:
                    connection.sendall(answer)
        except OSError:  # the caller went away
            self.refused["gone"] += 1

    def _begin(self, connection: socket.socket) -> None:
        try:
            threading.Thread(target=self._converse, args=(connection,), name="host-call", daemon=True).start()
        except RuntimeError:  # the system gives us no more threads; the caller may ask again
            connection.close()
            self._end()

    def _converse(self, connection: socket.socket) -> None:
        try:
            self.converse(connection)
        finally:
            self._end()

    def _end(self) -> None:
        self._room.release()
        with self._turn:
            self._active -= 1
            self._quiet_since = time.monotonic()
            self._turn_over.notify_all()

    def _hear(self, connection: socket.socket) -> bytes | None:
        """The answer to the connection's request; None when there never was a whole one."""
        uid = _peer_uid(connection)
        may = self._policy(uid)
        if may is None:
            return self._refuse("peer", uid, Forbidden(f"User {uid} may not speak to this host."))
        try:
            line = _read_line(connection, self._large)
            if line is None:
                self.refused["half"] += 1
                return None
            with self._taking_apart if len(line) > LARGE else contextlib.nullcontext():
                request = protocol.parse(line)
        except (BadValue, RecursionError) as error:  # what is just not too deep to be read is too deep to be shown
            told = error if isinstance(error, BadValue) else BadValue("The request is nested too deeply.")
            return self._refuse("request", uid, told)
        if not may(request.operation):
            return self._refuse("policy", uid, Forbidden(f"User {uid} may not ask for {request.operation.name}."))
        return self._answer(request, line, connection)

    def _refuse(self, what: str, uid: int, error: HostError) -> bytes:
        self.refused[what] += 1
        told = "".join(letter if letter.isprintable() else "?" for letter in error.message[:300])
        log.warning("refused %s: %s", what, told)
        self._alarm.refused(uid, told)
        return protocol.refusal(error)

    def _answer(self, request: protocol.Request, line: bytes, connection: socket.socket) -> bytes:
        if request.operation.changes and not request.operation.streams:
            return self._answers.once(request.id, line, lambda: self._perform(request, connection))
        return self._perform(request, connection)

    def _perform(self, request: protocol.Request, connection: socket.socket) -> bytes:
        began = time.monotonic()
        operation, name = request.operation, deployment_of(request.values)
        values = dict(request.values)
        if operation.streams:
            values["console"] = _Remote(connection, self._stopping).console()
        try:
            answer, outcome = self._act(request, name, values)
        except Exception as error:  # the outer edge: a defect of ours must not end the daemon
            log.exception("%s broke", operation.name)
            answer = protocol.refusal(HostError(f"The host broke: {type(error).__name__}.", hint="See its log."))
            outcome = "broke"
        level = logging.INFO if operation.changes or outcome != "ok" else logging.DEBUG
        log.log(level, "%s %s %s %.3fs", operation.name, name or "-", outcome, time.monotonic() - began)
        return answer

    def _act(self, request: protocol.Request, name: DeploymentName | None, values: Values) -> tuple[bytes, str]:
        """The answer, and how it went in a word."""
        operation = request.operation
        try:
            if operation.changes and request.fence is not None and name is not None:
                self._fences.pass_through(name, request.fence)
            with full_disk_told():
                answer = protocol.answer(operation, perform(self._host, operation, values))
            if operation.name in LAST and name is not None:
                self._fences.forget(name)
            return answer, "ok"
        except HostError as error:
            self.refused[f"{operation.name}:{error.code}"] += 1
            return protocol.refusal(error), error.code


class _Remote:
    """The caller's console, as far as the socket reaches: lines go out, a closed far side means stop."""

    def __init__(self, connection: socket.socket, stopping: threading.Event) -> None:
        self._connection, self._stopping = connection, stopping
        self._lock = threading.Lock()
        self._gone = False

    def console(self) -> Console:
        return Console(self._emit, self._cancelled)

    def _emit(self, line: str) -> None:
        if self._gone:
            return
        try:
            with self._lock:
                self._connection.sendall(protocol.encode({"line": line}))
        except OSError:
            self._gone = True

    def _cancelled(self) -> bool:
        if not self._gone:
            self._gone = self._stopping.is_set() or _is_closed(self._connection)
        return self._gone


def _is_closed(connection: socket.socket) -> bool:
    readable, _, _ = select.select([connection], [], [], 0)
    if not readable:
        return False
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def _read_line(connection: socket.socket, large: threading.Semaphore) -> bytes | None:
    """The request's line, or None when the connection ended first or took too long. Raises BadValue when it is too
    long, or there are too many of its size."""
    parts: list[bytes] = []
    size = 0
    deadline = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as held:
        while time.monotonic() < deadline:
            chunk = connection.recv(1 << 16)
            if not chunk:
                return None
            parts.append(chunk)
            if size <= LARGE < size + len(chunk):
                if not large.acquire(timeout=PATIENCE):
                    raise BadValue("Too many large requests are under way.", hint="Ask again.")
                held.callback(large.release)
            size += len(chunk)
            if size > protocol.REQUEST_LIMIT:
                raise BadValue("The request is larger than 4 MiB.")
            if b"\n" in chunk:
                line, rest = b"".join(parts).split(b"\n", 1)
                if rest:
                    raise BadValue("One connection carries one request.")
                return line
    return None


def _peer_uid(connection: socket.socket) -> int:
    """Who is at the other end, as the kernel says (unix(7): SO_PEERCRED; getpeereid where that is missing)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return os.getuid()  # the folder is closed to everybody else
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", packed)
    return int(uid)
