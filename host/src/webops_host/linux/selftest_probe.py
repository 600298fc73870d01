"""Tries what a deployment must not be able to do, from inside, and prints what came of it as JSON.

A program of its own: the self-test hands its text to the interpreter in the sandbox, with the targets as its one
argument. Every attempt is harmless where it succeeds. It imports nothing of the platform, which may not be visible.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import resource
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

Targets = dict[str, Any]
Attempt = Callable[[Any], object]

PATIENCE = 3.0
REFUSED = {errno.EHOSTUNREACH, errno.EACCES, errno.EPERM}
NO_WAY = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETDOWN}
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PTRACE_SEIZE, ADDR_NO_RANDOMIZE, MS_BIND = 0x4206, 0x0040000, 4096
SYSCALLS = {"x86_64": {"bpf": 321, "perf_event_open": 298}, "aarch64": {"bpf": 280, "perf_event_open": 241}}
LIBC = ctypes.CDLL(None, use_errno=True)


class Absent(Exception):
    """There is nothing here to try it on."""


class Unclear(Exception):
    """Neither done nor refused."""


# --- ways to try -----------------------------------------------------------------------------------------------


def read(path: str) -> None:
    """Some files of the kernel have nothing to say yet: they were opened, and that counts."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            os.read(handle, 1)
    finally:
        os.close(handle)


def listing(path: str) -> None:
    os.listdir(path)


def write(folder: str) -> None:
    path = os.path.join(folder, f".webops-canary-{os.getpid()}")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(path)


def append(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY))


def speak(path: str) -> None:
    """Connecting is enough: who listens behind it would have to refuse by himself."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_UNIX, kind) as talk:
            try:
                talk.connect(path)
            except OSError as error:
                if error.errno != errno.EPROTOTYPE:
                    raise
            else:
                return


def be_role(place: list[str]) -> None:
    """Start a session as a role, without a secret (PostgreSQL, 55.2.1)."""
    path, role, database = place
    words = b"\x00".join((b"user", role.encode(), b"database", database.encode(), b"", b""))
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(PATIENCE)
        talk.connect(path)
        talk.sendall((len(words) + 8).to_bytes(4, "big") + (196608).to_bytes(4, "big") + words)
        answer = talk.recv(9)
    if answer[:1] != b"R" or answer[5:9] != bytes(4):
        raise PermissionError(errno.EACCES, "refused, or asked for its password")


def reach(place: list[Any]) -> None:
    """An answer, or a refusal by whoever is there, means that nothing stood in between."""
    host, port = place
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as talk:
        talk.settimeout(PATIENCE)
        try:
            talk.connect((host, port))
        except TimeoutError:
            raise Unclear(f"{host}: silence") from None
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                return
            _as_network(error, host)


def datagram(place: list[Any]) -> None:
    host, port = place
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as talk:
        talk.settimeout(0.5)
        try:
            talk.connect((host, port))
            talk.send(b"\x00")
            talk.recv(1)
        except TimeoutError:
            return
        except OSError as error:
            _as_network(error, host)


def _as_network(error: OSError, host: str) -> None:
    if error.errno in NO_WAY:
        raise Absent(f"{host}: no route") from error
    if error.errno not in REFUSED:
        raise Unclear(f"{host}: {_named(error)}") from error
    raise error


def call(name: str, *words: Any) -> None:
    """A function of the C library that says -1 and an error number when it is refused."""
    ctypes.set_errno(0)
    if getattr(LIBC, name)(*words) == -1:
        error = OSError(ctypes.get_errno(), name)
        if error.errno not in (errno.EPERM, errno.EACCES, errno.ENOSYS):
            raise Unclear(f"{name}: {_named(error)}")
        raise error


def system_call(name: str) -> None:
    numbers = SYSCALLS.get(platform.machine())
    if numbers is None:
        raise Absent(platform.machine())
    call("syscall", numbers[name], 0, None, 0, 0, 0)


def open_socket(kind: tuple[int, int, int]) -> None:
    socket.socket(*kind).close()


def bind(place: tuple[str, int]) -> None:
    with socket.socket() as door:
        door.bind(place)


def set_id_bit(folder: str) -> None:
    path = os.path.join(folder, f".webops-canary-{os.getpid()}")
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        os.chmod(path, 0o4700)
    finally:
        os.unlink(path)


def hard_link(folder: str) -> None:
    path = os.path.join(folder, f".webops-canary-{os.getpid()}-link")
    os.link("/etc/passwd", path)
    os.unlink(path)


def device(folder: str) -> None:
    path = os.path.join(folder, f".webops-canary-{os.getpid()}-device")
    os.mknod(path, 0o20600, os.makedev(1, 1))
    os.unlink(path)


def look_at(pid: int) -> None:
    """Its folder in /proc: even the name says too much."""
    os.listdir(f"/proc/{pid}")


def see_others(_: object) -> None:
    """Any process in sight that is another user's."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and folder.stat().st_uid != os.getuid():
            return
    raise PermissionError(errno.EACCES, "only our own")


def signal_to(pid: int) -> None:
    os.kill(pid, 0)


def is_held(line: str) -> None:
    """What the kernel says of ourselves: refused means that it says so."""
    status = Path("/proc/self/status").read_text().splitlines()
    if [line.split()] == [found.split() for found in status if found.split()[0] == line.split()[0]]:
        raise PermissionError(errno.EPERM, line)


def realtime(_: object) -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def more_files(_: object) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard + 1))
    except ValueError as error:  # so it says for EPERM
        raise PermissionError(errno.EPERM, str(error)) from error


# --- what is tried ---------------------------------------------------------------------------------------------

OF_FILES: tuple[tuple[str, str, Attempt], ...] = (
    ("sibling-source", "read another deployment's source", read),
    ("sibling-folder", "list another deployment's folders", listing),
    ("sibling-data", "list another deployment's shared data", listing),
    ("sibling-variables", "read another unit's variables", read),
    ("sibling-units", "read what another deployment runs", read),
    ("sibling-socket", "open another deployment's socket", speak),
    ("own-release-write", "change its own release", write),
    ("outside-write", "write outside its shared folder", write),
    ("platform-settings", "list /etc/webops", listing),
    ("platform-keys", "read the panel's keys", read),
    ("platform-tls", "read a private key of TLS", read),
    ("platform-data", "list the platform's data and backups", listing),
    ("hostd-socket", "speak to the root daemon", speak),
    ("pgd-socket", "speak to the database daemon", speak),
    ("panel-socket", "speak to the panel past the web server", speak),
    ("redis-socket", "speak to Redis", speak),
    ("dbus", "open the system bus", speak),
    ("systemd-socket", "speak to systemd", speak),
    ("shadow", "read the password hashes", read),
    ("homes", "list home folders", listing),
    ("journal", "read the system's journal", read),
    ("web-server", "list the web server's logs and settings", listing),
    ("postgres-files", "list PostgreSQL's files", listing),
    ("postgres-roles", "be another role of PostgreSQL", be_role),
    ("others-tmp", "read a file in the /tmp of others", read),
    ("others-memory", "read the shared memory of others", read),
    ("system-write", "write among the system's programs", write),
    ("settings-write", "write in /etc", write),
    ("kernel-settings", "change how core dumps are handled", append),
    ("cgroup-write", "write in the control groups", append),
    ("kernel-log", "read the kernel's log", read),
    ("kernel-keys", "list the kernel's keys", read),
    ("memory-device", "read the machine's memory", read),
    ("disks", "read a disk", read),
)  # fmt: skip
OF_PLACES: tuple[tuple[str, str, Attempt], ...] = (
    ("metadata", "reach the cloud's metadata", reach),
    ("metadata-v6", "reach the cloud's metadata over IPv6, in every form", reach),
    ("metadata-datagram", "send a datagram to the cloud's metadata", datagram),
    ("private", "reach private networks", reach),
    ("carrier", "reach the carrier's shared addresses", reach),
    ("this-machine", "reach a program that listens on this machine, in every spelling", reach),
    ("own-address", "reach this machine by its own address", reach),
    ("redis-port", "reach the port of Redis", reach),
    ("postgres-port", "reach the port of PostgreSQL", reach),
    ("mail", "send mail directly", reach),
)


def of_itself(targets: Targets) -> Iterator[tuple[str, str, Attempt, Any]]:
    shared, pid = targets["shared"], targets["pid"]
    yield "become-root", "become root", os.setuid, 0
    yield "set-id-bit", "make a program that runs as its owner", set_id_bit, shared
    yield "hard-link", "link to a file of root", hard_link, shared
    yield "device-node", "make a device", device, shared
    yield "mount", "mount a folder", lambda at: call("mount", at, at, None, MS_BIND, None), shared.encode()
    yield "raw-socket", "make packets by hand", open_socket, (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    yield "packet-socket", "listen to the network", open_socket, (socket.AF_PACKET, socket.SOCK_RAW, 0)
    yield "netlink", "ask the kernel for its network", open_socket, (socket.AF_NETLINK, socket.SOCK_RAW, 0)
    yield "low-port", "listen at a web server's port", bind, ("127.0.0.1", 81)
    yield "kernel-module", "load a kernel module", lambda _: call("init_module", b"", 0, b""), None
    yield "bpf", "load a program into the kernel", system_call, "bpf"
    yield "perf", "watch the kernel's counters", system_call, "perf_event_open"
    yield "ptrace", "trace its parent", lambda to: call("ptrace", PTRACE_SEIZE, to, None, None), pid
    yield "personality", "switch off the randomness of memory", lambda bit: call("personality", bit), ADDR_NO_RANDOMIZE
    yield "others-process", "look at a process of root", look_at, pid
    yield "others-processes", "see processes of other users", see_others, None
    yield "signal", "signal a process of root", signal_to, pid
    yield "clock", "set the clock", lambda _: time.clock_settime(time.CLOCK_REALTIME, time.time()), None
    yield "hostname", "rename the machine", lambda _: socket.sethostname(socket.gethostname()), None
    yield "realtime", "take the processor for itself", realtime, None
    yield "limits", "raise its own limits", more_files, None
    yield "new-privileges", "gain privileges from a program", is_held, "NoNewPrivs: 1"
    yield "capabilities", "keep a capability within reach", is_held, "CapBnd: 0000000000000000"
    yield "system-calls", "make any system call", is_held, "Seccomp: 2"
    yield "user-namespace", "open a user namespace", lambda flag: call("unshare", flag), CLONE_NEWUSER
    yield "network-namespace", "open a network namespace", lambda flag: call("unshare", flag), CLONE_NEWNET
    yield "chroot", "change the root folder", os.chroot, "/"


def outcomes(targets: Targets) -> Iterator[dict[str, str]]:
    """One for each action, the worst of its targets. Places come first: a namespace needs a process without threads."""
    groups = targets["groups"]
    with ThreadPoolExecutor(24) as pool:
        waiting = [
            (each, [pool.submit(_try, each[2], place) for place in groups.get(each[0], ())]) for each in OF_PLACES
        ]
        for (name, action, _), tries in waiting:
            yield _worst(name, action, [future.result() for future in tries])
    if targets["network_only"]:
        return
    for name, action, attempt in OF_FILES:
        yield _worst(name, action, [_try(attempt, path) for path in groups.get(name, ())])
    for name, action, attempt, target in of_itself(targets):
        yield _worst(name, action, [_try(attempt, target)])


def _try(attempt: Attempt, target: object) -> tuple[str, str]:
    try:
        attempt(target)
    except Absent as reason:
        return "absent", str(reason)
    except Unclear as reason:
        return "unclear", str(reason)
    except OSError as error:
        return "blocked", _named(error)
    return "allowed", str(target)


def _worst(name: str, action: str, tries: Iterable[tuple[str, str]]) -> dict[str, str]:
    order = ("allowed", "unclear", "blocked", "absent")
    outcome, detail = min(tries, key=lambda found: order.index(found[0]), default=("absent", "nothing to try it on"))
    return {"id": name, "action": action, "outcome": outcome, "detail": detail}


def _named(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


if __name__ == "__main__":
    print(json.dumps(list(outcomes(json.loads(sys.argv[1])))))  # noqa: T201 - its answer
