"""What the canary is sent to: places that are really there, so that a refusal is the wall's and not an empty room's.

Some are made for the time of the test, and open to everybody as far as their own modes go: a neighbour's files, a file
in `/tmp` and one in shared memory, and a program that listens on every address of the machine.
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from webops_host import runner
from webops_host.command import Command
from webops_host.errors import HostError
from webops_host.linux.layout import ServerLayout

Groups = dict[str, list[Any]]

MOST = 4  # of each kind: the newest deployments are as good a sample as any
ROOT, NEIGHBOUR = "{root}", ".neighbour"
FILES: Mapping[str, tuple[str, ...]] = {
    "sibling-source": ("{root}/[a-z]*/releases/*/source/*",),
    "sibling-folder": ("{root}/[a-z]*/releases", "{root}/[a-z]*/envs", "{root}/[a-z]*/repo.git"),
    "sibling-data": ("{root}/[a-z]*/shared/*",),
    "sibling-variables": ("/etc/webops/units/*.env",),
    "sibling-units": ("/etc/systemd/system/wo-*.service",),
    "sibling-socket": ("/run/webops/*/*.sock",),
    "outside-write": ("{root}", "/var/lib", "/opt/webops", "/var", "{root}/.host"),
    "platform-settings": ("/etc/webops",),
    "platform-keys": ("/etc/webops/panel.env",),
    "platform-tls": ("/etc/webops/tls/.platform/privkey.pem", "/etc/webops/tls/*/privkey.pem", "/etc/ssl/private/*"),
    "platform-data": ("/var/lib/webops", "/var/backups/webops"),
    "hostd-socket": ("/run/webops/hostd.sock",),
    "pgd-socket": ("/run/webops/pgd.sock",),
    "panel-socket": ("/run/webops/panel.sock",),
    "redis-socket": ("/run/webops/redis.sock", "/run/redis/*.sock"),
    "dbus": ("/run/dbus/system_bus_socket",),
    "systemd-socket": ("/run/systemd/private",),
    "shadow": ("/etc/shadow", "/etc/gshadow"),
    "homes": ("/root", "/home"),
    "journal": ("/var/log/journal/*/*.journal", "/run/log/journal/*/*.journal", "/var/log/syslog", "/var/log/auth.log"),
    "web-server": ("/var/log/nginx", "/etc/nginx"),
    "postgres-files": ("/var/lib/postgresql",),
    "system-write": ("/usr/bin", "/usr/local/bin", "/usr/lib/python3/dist-packages"),
    "settings-write": ("/etc", "/etc/systemd/system", "/etc/cron.d"),
    "kernel-settings": ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"),
    "cgroup-write": ("/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/*/cgroup.procs"),
    "kernel-log": ("/dev/kmsg", "/proc/kmsg"),
    "kernel-keys": ("/proc/keys",),
    "memory-device": ("/dev/mem", "/dev/port", "/proc/kcore"),
    "disks": ("/dev/sd?", "/dev/vd?", "/dev/nvme?n?", "/dev/loop-control", "/dev/fuse"),
}
"""By action: what to look for; `{root}` is the install root."""

METADATA = (
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "2852039166",
    "0xa9fea9fe",
    "168.63.129.16",
)
METADATA_V6 = ("fd00:ec2::254", "64:ff9b::a9fe:a9fe", "::169.254.169.254", "2002:a9fe:a9fe::1")
HERE = ("127.0.0.1", "127.0.0.2", "127.1", "2130706433", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1")  # noqa: S104
PLACES: Mapping[str, tuple[tuple[str, int], ...]] = {
    "metadata": tuple((host, 80) for host in METADATA),
    "metadata-v6": tuple((host, 80) for host in METADATA_V6),
    "metadata-datagram": (("169.254.169.254", 123),),
    "private": tuple((host, 443) for host in ("10.0.0.1", "172.16.0.1", "192.168.0.1", "fd00::1", "fec0::1")),
    "carrier": (("100.64.0.1", 443),),
    "mail": (("192.0.2.25", 25), ("2001:db8::25", 25)),  # documentation: it leads nowhere where the wall is open
}
LOOPBACK_PORTS = {"redis-port": 6379, "postgres-port": 5432}
ADDRESSES = Command(("/usr/sbin/ip", "-json", "address"), timeout=10)


@contextmanager
def prepared(layout: ServerLayout, canary: int) -> Iterator[tuple[Groups, Path]]:
    """What there is to try, by action, and the canary's own folder."""
    with ExitStack() as stack:
        groups: Groups = {name: list(_existing(layout.root, patterns)) for name, patterns in FILES.items()}
        port = stack.enter_context(listening())
        groups |= {name: [list(place) for place in places] for name, places in PLACES.items()}
        groups["this-machine"] = [[host, port] for host in HERE]
        groups["own-address"] = [[address, port] for address in own_addresses()]
        groups |= {name: [["127.0.0.1", port]] for name, port in LOOPBACK_PORTS.items() if _answers(port)}
        groups["postgres-roles"] = [list(place) for place in _roles()]
        groups["sibling-source"].append(str(stack.enter_context(_neighbour(layout.root))))
        for name, folder in (("others-tmp", "/tmp"), ("others-memory", "/dev/shm")):  # noqa: S108
            groups[name] = [str(stack.enter_context(_left_about(Path(folder))))]
        yield groups, _nest(layout.root, canary)


@contextmanager
def listening() -> Iterator[int]:
    """A program of root's that takes connections on every address, for a moment; its port."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128) as door:
        ended = threading.Event()
        thread = threading.Thread(target=_serve, args=(door, ended), daemon=True)
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            ended.set()
            thread.join()


def _serve(door: socket.socket, ended: threading.Event) -> None:
    door.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(door, selectors.EVENT_READ)
        while not ended.is_set():
            if selector.select(0.1):
                door.accept()[0].close()


def own_addresses() -> list[str]:
    """The machine's addresses that others know it by."""
    try:
        links = json.loads(runner.run_binary(ADDRESSES))
    except (HostError, ValueError):
        return []
    found = [address for link in links for address in link.get("addr_info", ())]
    return [str(address["local"]) for address in found if address.get("scope") == "global"]


def _existing(root: Path, patterns: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for pattern in patterns:
        words = pattern.replace(ROOT, str(root)).lstrip("/")
        found += [str(path) for path in sorted(Path("/").glob(words), reverse=True)[:MOST]]
    return found


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        return False
    return True


def _roles() -> Iterator[tuple[str, str, str]]:
    for path in Path("/run/postgresql").glob(".s.PGSQL.*[0-9]"):
        yield from ((str(path), role, "postgres") for role in ("postgres", "webops"))


@contextmanager
def _neighbour(root: Path) -> Iterator[Path]:
    """What a careless deployment would look like: its files are anybody's to read."""
    folder = root / NEIGHBOUR
    folder.mkdir(mode=0o755, exist_ok=True)
    file = folder / "source.txt"
    file.write_text("anybody may read this\n")
    file.chmod(0o644)
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
        folder.rmdir()


@contextmanager
def _left_about(folder: Path) -> Iterator[Path]:
    file = folder / f"webops-selftest-{secrets.token_hex(8)}"
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    os.fchmod(handle, 0o644)
    os.close(handle)
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def _nest(root: Path, canary: int) -> Path:
    """The canary's own folder, laid out and owned like a deployment's. No deployment's name begins with a dot."""
    home = root / ".canary"
    for folder, mode, owner in ((home, 0o711, 0), (home / "release", 0o750, canary), (home / "shared", 0o710, canary)):
        folder.mkdir(exist_ok=True)
        os.chown(folder, owner, owner, follow_symlinks=False)
        folder.chmod(mode)
    return home
