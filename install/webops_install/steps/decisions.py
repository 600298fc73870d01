"""What was decided, as files: `host.toml`, `packages.env`, and the panel's settings with its keys, made once."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Iterator

from webops_install import settings
from webops_install.change import ROOT, Change, Owner, file, write
from webops_install.errors import SetupError
from webops_install.settings import HOST, PACKAGES, PANEL
from webops_install.step import Setup, Step
from webops_install.steps import web

READERS = Owner("root", "webops-rpc")
COMMENT = "Settings and keys of panel and worker: docs/settings.md. Share it with nobody."
CURRENT = "/opt/webops/current"
REDIS_KEY = "/etc/webops/redis.key"


def _plan(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    shares = web.serves_others(machine)
    host = settings.render_host(setup.answers, _limits(setup), setup.ssh_ports, shares_nginx=shares)
    if not settings.same_platform(machine.text(HOST), host):
        yield Change(f"write {HOST}", lambda: write(machine, HOST, host))
    packages = settings.render_environment(
        setup.answers.packages, "Where packages come from. Read by setup and builds."
    )
    if settings.read_environment(machine.text(PACKAGES) or "") != dict(setup.answers.packages):
        yield Change(f"write {PACKAGES}", lambda: write(machine, PACKAGES, packages, 0o600))
    else:
        yield from file(machine, PACKAGES, machine.text(PACKAGES) or packages, 0o600)
    if machine.text(REDIS_KEY) is None:
        yield Change(
            f"make {REDIS_KEY}", lambda: write(machine, REDIS_KEY, secrets.token_urlsafe(32) + "\n", 0o600, ROOT)
        )
    yield from _panel(setup)


def _limits(setup: Setup) -> dict[str, int]:
    """The most that one deployment may get: as decided before, else three quarters of the machine."""
    before = settings.read_host(setup.machine).get("limits", {})
    facts = setup.facts
    most = {
        "memory_mib": max(256, facts.memory_mib * 3 // 4),
        "cpu_percent": facts.cores * 100,
        "tasks": 1024,
    }
    return {name: value for name, value in {**most, **before}.items() if name in most}


def _panel(setup: Setup) -> Iterator[Change]:
    """What is there stays as it is, keys before all; what is missing is added."""
    machine = setup.machine
    there = settings.read_environment(machine.text(PANEL) or "")
    if not there.get("ENCRYPTION_KEY") and (there or machine.exists(CURRENT)):
        raise SetupError(
            f"{PANEL} has no ENCRYPTION_KEY, and another one can not read the secrets that are there.",
            hint="Put back the line that was there, from a backup say, and run this again.",
        )
    wanted = {**_made(there), **there, **_addresses(setup)}
    text = settings.render_environment(
        wanted, "Settings and keys of panel and worker: docs/settings.md. Never share it."
    )
    if there != wanted:
        what = "add settings to" if there else "make the keys in"
        yield Change(f"{what} {PANEL}", lambda: write(machine, PANEL, text, 0o640, READERS))
    else:
        yield from file(machine, PANEL, machine.text(PANEL) or text, 0o640, READERS)


def _made(there: dict[str, str]) -> dict[str, str]:
    """Keys that are not there yet, and settings that follow from the layout of a server."""
    return {
        "SECRET_KEY": there.get("SECRET_KEY") or secrets.token_urlsafe(50),
        "ENCRYPTION_KEY": there.get("ENCRYPTION_KEY") or base64.urlsafe_b64encode(os.urandom(32)).decode(),
        "WEBOPS_MODE": "production",
        "WEBOPS_VAR": "/var/lib/webops/panel",
        "WEBOPS_INSTALL_PATH": "/srv/webops",
        "DATABASE_URL": "postgres://webops@/webops?host=/run/postgresql",
    }


def _addresses(setup: Setup) -> dict[str, str]:
    key = (setup.machine.text(REDIS_KEY) or "").strip()
    return {
        "WEBOPS_PANEL_HOST": setup.answers.panel,
        "REDIS_URL": f"unix://:{key}@/run/webops/redis.sock?db=0",
    }


STEP = Step("decisions", _plan)
