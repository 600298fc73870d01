"""Tests and reloads the running nginx, and sees in its processes whether the new configuration is what answers.

The daemon that asks has no network and few rights, so the test runs in a transient unit: as root, like nginx itself,
but with a network of its own in which every port is free, and a view of the disk that it can not write. Never is text
tested that somebody else wrote: a test opens the logs and reads the keys that the text names.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from webops_host import runner
from webops_host.command import Command
from webops_host.errors import HostError
from webops_host.linux import systemd
from webops_host.linux.layout import ServerLayout
from webops_host.linux.nginx_parts import Flavour

NGINX = "/usr/sbin/nginx"
CONFIGURATION = Path("/etc/nginx/nginx.conf")
PATIENCE = 30.0  # seconds; a thousand certificates are read in two
LOOK = 0.01
SAID = re.compile(r"\[(?:emerg|crit|alert|error)\] (?:\d+#\d+: )?(.*)")


class Nginx(Protocol):
    """What a change of sites needs of nginx."""

    def test(self, staged: Path) -> None:
        """Have the whole configuration read with this folder of sites in place of the live one. Changes nothing.
        Raises HostError with what nginx said."""

    def reload(self) -> None:
        """Have the configuration on disk in use: returns when new workers answer and old ones take no more requests.
        Raises HostError when the old ones stay."""


class NginxControl:
    """Satisfies `Nginx` with systemd."""

    def __init__(
        self,
        layout: ServerLayout,
        *,
        run: Callable[..., runner.Result] = runner.run,
        proc: Path = Path("/proc"),
        pid_file: Path = Path("/run/nginx.pid"),
        patience: float = PATIENCE,
    ) -> None:
        self._layout, self._run, self._patience = layout, run, patience
        self._proc, self._pid_file = proc, pid_file

    def test(self, staged: Path) -> None:
        result = self._run(tested(staged, self._layout), check=False)
        if result.status != 0:
            raise refused(result.output)

    def reload(self) -> None:
        before = self._workers()
        self._run(systemd.systemctl("reload-or-restart", "nginx.service"))
        deadline = time.monotonic() + self._patience
        while not self._is_new(before):
            if time.monotonic() > deadline:
                raise HostError(
                    "nginx did not take the new configuration.",
                    hint="Look at its log with “journalctl -u nginx” and in /var/log/nginx/error.log.",
                )
            time.sleep(LOOK)

    def _workers(self) -> frozenset[int]:
        return workers(master(self._pid_file), self._proc)

    def _is_new(self, before: frozenset[int]) -> bool:
        """Workers begin only when the whole configuration was taken; those before leave then."""
        now = self._workers()
        return bool(now) and not now & before


def tested(staged: Path, layout: ServerLayout) -> Command:
    """The test as a command: the staged folder lies over the live one, for this one process."""
    live = layout.nginx_sites
    properties = (
        ("PrivateNetwork", "yes"), ("NoNewPrivileges", "yes"), ("ProtectSystem", "strict"), ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"), ("PrivateDevices", "yes"), ("ReadWritePaths", "/var/log/nginx /run"),
        ("BindReadOnlyPaths", f"{staged}:{live}"), ("MemoryMax", "1G"), ("RuntimeMaxSec", "120"),
        ("CapabilityBoundingSet", "CAP_DAC_OVERRIDE CAP_NET_BIND_SERVICE CAP_CHOWN CAP_SETUID CAP_SETGID CAP_FOWNER"),
    )  # fmt: skip
    words = [word for key, value in properties for word in ("--property", f"{key}={value}")]
    argv = (
        "/usr/bin/systemd-run", "--pipe", "--wait", "--collect", "--quiet", "--service-type=exec",
        "--slice=webops-platform.slice", "--description=WebOps: test of the web server's configuration", *words,
        "--", NGINX, "-t", "-q", "-c", str(CONFIGURATION),
    )  # fmt: skip
    return Command(argv, env=systemd.ENV, timeout=150.0)


def refused(output: str) -> HostError:
    """What nginx has against a configuration, in its words."""
    found = SAID.search(output)
    last = found[1] if found else next((line for line in reversed(output.splitlines()) if line.strip()), "")
    return HostError(
        f"nginx refused the configuration: {last[:300]}",
        hint="The site is as it was before. This is a defect of WebOps, or a file of another site is broken.",
        facts={"nginx": last[:300]},
    )


def master(pid_file: Path) -> int:
    """The number of nginx's first process; 0 when it does not run."""
    try:
        return int(pid_file.read_text())
    except (OSError, ValueError):
        return 0


def workers(parent: int, proc: Path = Path("/proc")) -> frozenset[int]:
    """Processes of nginx that take requests. One that is leaving says so in its title."""
    found = set()
    for pid in _children(parent, proc):
        try:
            title = (proc / str(pid) / "cmdline").read_bytes()
        except OSError:
            continue
        if b"worker process" in title and b"shutting down" not in title:
            found.add(pid)
    return frozenset(found)


def _children(parent: int, proc: Path) -> list[int]:
    """By the fourth field of stat (proc(5)); the name before it may hold anything."""
    found: list[int] = []
    if parent <= 0:
        return found
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if len(fields) > 1 and fields[1] == str(parent).encode():
            found.append(int(entry.name))
    return found


@dataclass(frozen=True, slots=True)
class Installed:
    """Where an nginx keeps what tells its abilities."""

    types: Path = Path("/etc/nginx/mime.types")
    modules: Path = Path("/etc/nginx/modules-enabled")
    ipv6: Path = Path("/proc/net/if_inet6")


def flavour(run: Callable[..., runner.Result] = runner.run, installed: Installed | None = None) -> Flavour:
    """What the nginx of this server can do."""
    places = installed or Installed()
    said = run(Command((NGINX, "-v"), env=systemd.ENV)).output
    version = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
    if version is None:
        raise HostError(f"The version of nginx can not be read from {said!r:.80}.")
    listed = places.types.read_text() if places.types.exists() else ""
    modules = [entry.name for entry in places.modules.iterdir()] if places.modules.is_dir() else []
    return Flavour(
        version=tuple(int(part) for part in version.groups()),
        brotli=sum("brotli" in name for name in modules) >= 2,  # one compresses, one sends what is compressed
        addresses=("", "[::]:") if places.ipv6.exists() else ("",),
        known=frozenset(re.findall(r"(?<=\s)\w+(?=[\s;])", listed)),
    )
