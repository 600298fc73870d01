"""Where the lab keeps its things: a cache outside the checkout, a record of what is alive, and the locks of both."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PREFIX = "wol"
ALIVE = Path("/run/webops-lab")
SUITES = ("bookworm", "trixie")
SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOOLS = ("debootstrap", "systemd-nspawn", "nsenter", "setpriv", "nft", "ip", "pebble", "pebble-challtestsrv")


class LabError(Exception):
    """The lab could not do what was asked; says why."""


def cache() -> Path:
    """The folder that outlives sessions. $WEBOPS_LAB_CACHE names another one."""
    folder = Path(os.environ.get("WEBOPS_LAB_CACHE") or Path.home() / ".cache" / "webops-lab")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def store() -> Path:
    """Where servers keep what they downloaded from the registries, for the next one."""
    folder = cache() / "downloads"
    folder.mkdir(exist_ok=True, mode=0o700)
    return folder


def host(words: Sequence[str], *, check: bool = True, timeout: float = 900, text: str = "") -> str:
    """Run a program of this machine; returns what it printed, or says what it said when it failed."""
    environment = {"PATH": SEARCH, "LC_ALL": "C", "HOME": str(cache()), "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        tuple(words), input=text, capture_output=True, text=True, check=False, timeout=timeout, env=environment
    )
    if check and done.returncode:
        raise LabError(f"{' '.join(words)}: status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


@contextmanager
def locked(name: str) -> Iterator[None]:
    """One process at a time, of all checkouts on this machine."""
    ALIVE.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (ALIVE / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fingerprint(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def missing() -> tuple[str, ...]:
    """What there would have to be for a lab: empty when there can be one."""
    if os.geteuid() != 0:
        return ("root",)
    found = [f"program {tool}" for tool in TOOLS if not shutil.which(tool, path=SEARCH)]
    if (
        not found
        and subprocess.run(("unshare", "--mount", "--net", "true"), capture_output=True, check=False).returncode
    ):
        found.append("right to make namespaces")
    if "overlay" not in Path("/proc/filesystems").read_text():
        found.append("overlay file system in the kernel")
    if not os.access("/sys/fs/cgroup", os.W_OK):
        found.append("control groups that may be written")
    return tuple(found)
