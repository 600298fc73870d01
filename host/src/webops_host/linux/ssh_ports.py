"""Which ports the server's own SSH is reached at, so that the firewall locks nobody out.

The settings say one thing, a socket unit may say another, a session that is open now is the proof. All of them count:
a port too many at which nothing listens harms nobody.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from webops_host import runner
from webops_host.command import Command
from webops_host.errors import HostError

SETTINGS = Path("/etc/ssh/sshd_config")
PROGRAMS = ("sshd", "dropbear", "tinysshd")
ESTABLISHED, LISTENING = "01", "0A"  # proc(5), /proc/net/tcp: the column `st`
SOCKET_UNITS = Command(
    ("/usr/bin/systemctl", "show", "--property=Listen", "--value", "ssh.socket", "sshd.socket"), timeout=10
)


@dataclass(frozen=True, slots=True)
class Socket:
    inode: str
    address: str  # as the kernel prints it, in hexadecimal
    port: int
    state: str


def found(environ: Mapping[str, str] = os.environ) -> set[int]:
    """Every port that says it is SSH's, by whatever can be read now."""
    return {
        *of_settings(SETTINGS),
        *of_socket_units(_socket_units()),
        *of_session(environ),
        *of_programs(Path("/proc")),
    }


def of_settings(file: Path, depth: int = 4) -> Iterator[int]:
    """`Port`, and ports in `ListenAddress`, of sshd_config(5) and of what it includes."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        key, value = _setting(line)
        if key == "include" and depth > 0:
            for included in (path for word in value.split() for path in _matching(file.parent, word)):
                yield from of_settings(included, depth - 1)
        elif key == "port" and value.isdigit():
            yield int(value)
        elif key == "listenaddress" and (match := re.fullmatch(r"(?:\[[^\]]*\]|[^:\s]*):(\d+)(?:\s.*)?", value)):
            yield int(match[1])


def of_socket_units(listing: str) -> Iterator[int]:
    """From lines such as `[::]:22 (Stream)`."""
    return (int(port) for port in re.findall(r":(\d+) \(Stream\)", listing))


def of_session(environ: Mapping[str, str]) -> Iterator[int]:
    """The port this very session came in at: the last of the four words in SSH_CONNECTION (ssh(1))."""
    words = environ.get("SSH_CONNECTION", "").split()
    if len(words) == 4 and words[3].isdigit():
        yield int(words[3])


def of_programs(proc: Path) -> Iterator[int]:
    """Where root's sshd listens, and where its open sessions came in.

    A session's own end of a connection that was forwarded through it has a port the kernel chose: not counted.
    """
    ephemeral = _ephemeral(proc)
    sockets = {socket.inode: socket for name in ("tcp", "tcp6") for socket in _sockets(proc / "net" / name)}
    for inode in _inodes(proc):
        socket = sockets.get(inode)
        if socket is None or _is_loopback(socket.address):
            continue
        if socket.state == LISTENING or (socket.state == ESTABLISHED and socket.port not in ephemeral):
            yield socket.port


def _setting(line: str) -> tuple[str, str]:
    key, _, value = line.strip().replace("=", " ", 1).partition(" ")
    return key.lower(), value.strip().strip('"')


def _matching(folder: Path, pattern: str) -> Iterable[Path]:
    full = folder / pattern  # an absolute pattern stays what it is
    return sorted(full.parent.glob(full.name)) if full.parent.is_dir() else ()


def _socket_units() -> str:
    try:
        return runner.run(SOCKET_UNITS, check=False).output
    except HostError:
        return ""


def _ephemeral(proc: Path) -> range:
    try:
        low, high = (proc / "sys/net/ipv4/ip_local_port_range").read_text().split()
    except (OSError, ValueError):
        return range(32768, 61000)
    return range(int(low), int(high) + 1)


def _sockets(table: Path) -> Iterator[Socket]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        address, _, port = words[1].partition(":")
        yield Socket(words[9], address, int(port, 16), words[3])


def _inodes(proc: Path) -> Iterator[str]:
    """The sockets that SSH's programs hold. A process that ends while we look is none."""
    for folder in proc.iterdir():
        try:
            if not folder.name.isdigit() or not _is_ssh(folder):
                continue
            for link in (folder / "fd").iterdir():
                if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(link)):
                    yield match[1]
        except OSError:
            continue


def _is_ssh(folder: Path) -> bool:
    """Whether a process has the name of one of SSH's programs and is root's, as each is that lets people in.

    Any program may take the name (prctl(2)), and have its folder belong to root; its user it can not choose.
    """
    if not (folder / "comm").read_text().startswith(PROGRAMS):
        return False
    user = re.search(r"^Uid:\s+(\d+)", (folder / "status").read_text(errors="replace"), re.MULTILINE)
    return user is not None and user[1] == "0"


def _is_loopback(address: str) -> bool:
    return address.endswith("7F") if len(address) == 8 else address == "00000000000000000000000001000000"
