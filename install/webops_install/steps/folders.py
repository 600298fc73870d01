"""Folders with their exact owners and modes: who may look where is decided here."""

from __future__ import annotations

from collections.abc import Iterator

from webops_install.change import ROOT, Change, Owner, folder
from webops_install.step import Setup, Step

PANEL = Owner("webops", "webops-rpc")
BUILD = Owner("webops-build", "webops-build")
FOLDERS: tuple[tuple[str, int, Owner], ...] = (
    ("/opt/webops", 0o755, ROOT),
    ("/opt/webops/releases", 0o755, ROOT),
    ("/etc/webops", 0o755, ROOT),
    ("/etc/webops/units", 0o700, ROOT),
    ("/etc/webops/tls", 0o700, ROOT),
    ("/etc/webops/tls/.platform", 0o700, ROOT),
    ("/etc/webops/nginx", 0o755, ROOT),
    ("/etc/webops/nginx/sites", 0o755, ROOT),
    ("/var/lib/webops", 0o755, ROOT),
    ("/var/lib/webops/setup", 0o755, ROOT),
    ("/var/lib/webops/hostd", 0o700, ROOT),
    ("/var/lib/webops/acme", 0o755, ROOT),
    ("/var/lib/webops/certbot", 0o700, ROOT),
    ("/var/lib/webops/panel", 0o2770, PANEL),
    ("/var/lib/webops/panel/uploads", 0o2770, PANEL),
    ("/var/log/webops", 0o750, Owner("root", "adm")),
    ("/var/cache/webops", 0o700, ROOT),
    ("/var/backups/webops", 0o711, ROOT),
    ("/srv/webops", 0o755, ROOT),
    ("/srv/webops/.host", 0o755, ROOT),
    ("/srv/webops/.host/envs", 0o755, BUILD),
    ("/srv/webops/.host/pythons", 0o755, BUILD),
    ("/srv/webops/.host/locks", 0o755, BUILD),
    ("/srv/webops/.host/cache", 0o700, BUILD),
)
POSTGRES = Owner("postgres", "postgres")
OF_POSTGRES: tuple[tuple[str, int, Owner], ...] = (
    ("/var/lib/webops/pgd", 0o700, POSTGRES),
    ("/var/backups/webops/panel", 0o700, POSTGRES),
)
"""Those of a user that comes with a package."""


def _plan(setup: Setup) -> Iterator[Change]:
    for path, mode, owner in FOLDERS:
        yield from folder(setup.machine, path, mode, owner)


def _plan_late(setup: Setup) -> Iterator[Change]:
    for path, mode, owner in OF_POSTGRES:
        yield from folder(setup.machine, path, mode, owner)


STEP = Step("folders", _plan)
LATE_STEP = Step("PostgreSQL's folders", _plan_late)
