"""Two small networks without a server: the machine under test and the world around it, as network namespaces.

`world` has every address that may not be reached, and some that may, and answers at a few ports; so a refusal is the
work of the rules and not of an empty network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

PYTHON = "/usr/bin/python3"
PORTS = (22, 25, 53, 80, 443, 587)
LISTEN = """
import json, selectors, socket, sys
waiting = selectors.DefaultSelector()
for host, port in json.loads(sys.argv[1]):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    door = socket.socket(family)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    door.bind((host, port))
    door.listen(128)
    waiting.register(door, selectors.EVENT_READ, "door")
print("ready", flush=True)
while True:
    for key, _ in waiting.select():
        if key.data == "door":
            waiting.register(key.fileobj.accept()[0], selectors.EVENT_READ, "talk")
            continue
        try:
            said = key.fileobj.recv(4096)
            key.fileobj.sendall(said)
        except OSError:  # it left without a word
            said = b""
        if not said:
            waiting.unregister(key.fileobj)
            key.fileobj.close()
"""
CONNECT = """
import errno, json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def attempt(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as talk:
        talk.settimeout(float(sys.argv[1]))
        try:
            talk.connect((host, port))
            talk.sendall(b"hello")
            return "reached" if talk.recv(5) == b"hello" else "closed"
        except TimeoutError:
            return "silence"
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))
places = json.load(sys.stdin)
with ThreadPoolExecutor(len(places)) as pool:
    print(json.dumps(list(pool.map(attempt, *zip(*places)))))
"""

ECHO = """
import json, socket, sys
(host, port), = json.loads(sys.argv[1])
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as talk:
    talk.bind((host, port))
    print("ready", flush=True)
    while True:
        said, asker = talk.recvfrom(9)
        try:
            talk.sendto(said, asker)
        except OSError:  # it may not answer
            continue
"""
ASK = """
import socket, sys
with socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM) as talk:
    talk.settimeout(float(sys.argv[3]))
    talk.sendto(b"hello", (sys.argv[1], int(sys.argv[2])))
    try:
        print("answered" if talk.recv(9) == b"hello" else "otherwise")
    except TimeoutError:
        print("silence")
"""


def missing() -> str:
    """Why these tests can not run here, or nothing."""
    if os.geteuid() != 0:
        return "they need root"
    absent = [name for name in ("ip", "nft", "setpriv", PYTHON) if shutil.which(name) is None]
    return f"not installed: {' '.join(absent)}" if absent else ""


class Space:
    """One network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", "-n", self.name, *words], check=True, capture_output=True)

    def run(self, *words: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        inside = ["ip", "netns", "exec", self.name, *words]
        return subprocess.run(inside, input=stdin, capture_output=True, text=True, check=check)

    def connect(self, uid: int, places: Sequence[tuple[str, int]], *, patience: float = 1.5) -> list[str]:
        """What a user gets who knocks at each place: reached, silence, or the name of an error."""
        words = (*as_user(uid), PYTHON, "-I", "-c", CONNECT, str(patience))
        return json.loads(self.run(*words, stdin=json.dumps(places)).stdout)

    def ask(self, host: str, port: int, *, patience: float = 1.0) -> str:
        """What comes back of a datagram."""
        return self.run(PYTHON, "-I", "-c", ASK, host, str(port), str(patience)).stdout.strip()

    @contextmanager
    def listening(self, uid: int, *places: tuple[str, int], program: str = LISTEN) -> Iterator[None]:
        """`program` is LISTEN, or ECHO for the datagrams of one place."""
        words = ["ip", "netns", "exec", self.name, *as_user(uid), PYTHON, "-I", "-c", program, json.dumps(places)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
                yield
            finally:
                process.kill()


def as_user(uid: int) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups") if uid else ()


@contextmanager
def pair(addresses: Sequence[str]) -> Iterator[tuple[Space, Space]]:
    """A server and the world it is in. The world has all the addresses, and its doors are open."""
    server, world = (Space(f"wall-{os.getpid()}-{side}") for side in ("server", "world"))
    for space in (server, world):
        subprocess.run(["ip", "netns", "add", space.name], check=True)
    try:
        _wire(server, world)
        for address in addresses:
            world.ip("address", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
        with world.listening(0, *(("::", port) for port in PORTS)):
            yield server, world
    finally:
        for space in (server, world):
            subprocess.run(["ip", "netns", "delete", space.name], check=False)


def _wire(server: Space, world: Space) -> None:
    server.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", world.name)
    for space, last in ((server, "2"), (world, "1")):
        space.run("sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=0", check=False)
        space.ip("address", "add", f"203.0.113.{last}/24", "dev", "eth0")
        space.ip("address", "add", f"2001:db8:77::{last}/64", "dev", "eth0", "nodad")
        for link in ("lo", "eth0"):
            space.ip("link", "set", link, "up")
    server.ip("route", "add", "default", "via", "203.0.113.1")
    server.ip("-6", "route", "add", "default", "via", "2001:db8:77::1")
