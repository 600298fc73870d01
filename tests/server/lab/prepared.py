"""A layer over the base with the package files that a set-up asks for: downloaded, not installed.

So a set-up in the lab works as on a new machine, and downloads nothing that another one downloaded this week.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

from tests.server.lab.base import base
from tests.server.lab.places import LabError, cache, fingerprint, host, locked

WANTED = """
    nginx libnginx-mod-http-brotli-filter libnginx-mod-http-brotli-static postgresql redis-server git nftables
    python3-venv python3-pip python3-dev build-essential pkg-config libpq-dev nodejs npm fail2ban unattended-upgrades
    python3-systemd systemd-timesyncd certbot rsync zstd jq openssl acl logrotate cron gettext
"""
ENTER = (
    "systemd-nspawn",
    "--quiet",
    "--register=no",
    "--keep-unit",
    "--pipe",
    "--resolv-conf=copy-host",
    "--directory",
)


def prepared(suite: str) -> Path:
    """The layer of this week for a suite; made when it is not there yet."""
    below = base(suite)
    year, week, _ = date.today().isocalendar()
    mark = fingerprint(below.name, WANTED, f"{year}-{week}")
    folder = cache() / "prepared" / f"{suite}-{mark}"
    with locked(f"prepared-{suite}"):
        if not folder.exists():
            _make(folder, below)
    return folder


def _make(folder: Path, below: Path) -> None:
    part = folder.with_name(folder.name + ".part")
    root, upper, work = part / "root", part / "upper", part / "work"
    if root.is_mount():
        host(("umount", str(root)))
    shutil.rmtree(part, ignore_errors=True)
    for made in (root, upper, work):
        made.mkdir(parents=True)
    host(("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={below},upperdir={upper},workdir={work}", str(root)))
    try:
        _download(root)
    finally:
        host(("umount", str(root)))
    _keep_only(upper, ("var/cache/apt/archives", "var/lib/apt/lists"))
    upper.rename(folder)
    shutil.rmtree(part)


def _download(root: Path) -> None:
    enter = (*ENTER, f"--machine={root.parent.name.replace('.', '-')}", "--directory", str(root))
    apt = (*enter, "apt-get", "-o", "Acquire::Retries=3", "-q")
    host((*apt, "update"))
    known = set(host((*enter, "apt-cache", "pkgnames")).split())
    wanted = [name for name in WANTED.split() if name in known]
    if "nginx" not in wanted:
        raise LabError("the mirror of this machine offers no nginx, so its package lists are not whole")
    host((*apt, "install", "--download-only", "--yes", "--no-install-recommends", *wanted), timeout=3600)


def _keep_only(upper: Path, kept: tuple[str, ...]) -> None:
    """Delete all that was written but these folders, so that nothing else differs from the base."""
    for path in sorted(upper.rglob("*"), key=lambda path: len(path.parts), reverse=True):
        name = str(path.relative_to(upper))
        if any(name.startswith(folder) or folder.startswith(name) for folder in kept):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
