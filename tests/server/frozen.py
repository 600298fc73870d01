"""The platform is installed once for each suite; each file of tests starts from that state in seconds.

The state stays in the cache until a commit changes what is installed. $WEBOPS_LAB_STATE, the end of a label that
`python -m tests.server.lab list` shows, holds on to an older one while you work. What `setup.sh` itself does is tested
on bare servers, in test_setup.py.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from tests.server.installed import ROOT, Installed
from tests.server.lab import disk, record
from tests.server.lab.lab import Lab
from tests.server.lab.places import fingerprint, locked
from tests.server.lab.server import Server

DECISIONS = "/etc/webops/host.toml"
PREFIX = "installed"
PARTS = ("setup.sh", "install", "host", "control-panel", "cli", "requirements.lock", "requirements-certbot.lock")


@dataclass(frozen=True)
class Frozen:
    """`address` and `address6` are those of the server that was installed; each later one has others."""

    label: str
    address: str
    address6: str

    def boot(self, lab: Lab) -> Installed:
        server = lab.server(state=self.label)
        try:
            self._move(server)
            installed = Installed(server, (disk.snapshots() / self.label / "said").read_text())
            installed.sign_in()
        except BaseException:
            server.close()
            raise
        return installed

    def _move(self, server: Server) -> None:
        """Tell the platform where it is now, as an administrator does after a move."""
        before = server.read(DECISIONS)
        after = before.replace(f'"{self.address}"', f'"{server.address}"')
        after = after.replace(f'"{self.address6}"', f'"{server.address6}"')
        if after != before:
            server.write(DECISIONS, after)
            server.run(("systemctl", "try-restart", "webops-hostd.service"))


def install_once(lab: Lab, suite: str) -> Frozen:
    """By one session at a time: the next one finds it done."""
    label = f"{PREFIX}-{suite}-{os.environ.get('WEBOPS_LAB_STATE') or _product()}"
    place = disk.snapshots() / label
    with locked(f"{PREFIX}-{suite}"):
        if not (place / "said").exists():
            disk.forget(label)
            _forget_others(suite)
            _install(lab, suite, label)
        address, address6 = (place / "address").read_text().split()
    return Frozen(label, address, address6)


def _product() -> str:
    """What a commit installs, whatever else is in it."""
    names = (f"HEAD:{part}" for part in PARTS)
    done = subprocess.run(("git", "-C", str(ROOT), "rev-parse", *names), capture_output=True, check=True, text=True)
    return fingerprint(done.stdout)


def _install(lab: Lab, suite: str, label: str) -> None:
    server = lab.server(suite)
    try:
        installed = Installed.install(server)
        installed.sign_up()
        installed.close()
        place = disk.snapshots() / label
        server.freeze(label)
        (place / "address").write_text(f"{server.address} {server.address6}")
        (place / "said").write_text(installed.said)
    finally:
        server.close()


def _forget_others(suite: str) -> None:
    """States of other commits, unless a server stands on them now."""
    used = " ".join(lower for server in record.servers() for lower in server.lowers)
    for label in disk.labels():
        if label.startswith(f"{PREFIX}-{suite}-") and f"/{label}/" not in used:
            disk.forget(label)
