"""systemd's files: units, slices, timers, what to make at boot. Copied as they are in the repository."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from webops_install import systemd
from webops_install.change import Change, file, folder
from webops_install.errors import SetupError
from webops_install.machine import Machine
from webops_install.step import Setup, Step

UNITS = "/etc/systemd/system"
TMPFILES = "/etc/tmpfiles.d/webops.conf"
"""Written before units change, removed when systemd has read them: a run that was broken off goes on here."""
PENDING = "/var/lib/webops/setup/reload"
ENABLED = (
    "webops-redis.service",
    "webops-firewall.service",
    "webops-hostd.socket",
    "webops-pgd.socket",
    "webops-panel.socket",
    "webops-panel.service",
    "webops-worker.service",
    "webops-apps.target",
    "webops-renew.timer",
    "webops-selftest.timer",
    "webops-idle.timer",
)


def files(folder: Path) -> dict[str, str]:
    """Unit files, by their places."""
    found = {}
    for path in sorted((folder / "install/units").rglob("*")):
        if path.is_file() and path.name != "tmpfiles.conf":
            found[f"{UNITS}/{path.relative_to(folder / 'install/units')}"] = path.read_text()
    return found


def _plan(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    changes = []
    for place, text in files(setup.source.folder).items():
        if not machine.at(place).parent.is_dir():
            changes += list(folder(machine, Path(place).parent))
        changes += list(file(machine, place, text))
    if changes or machine.exists(PENDING):
        yield Change("note that systemd must read its files again", lambda: machine.at(PENDING).write_text(""))
        yield from changes
        yield Change("let systemd read its files", lambda: _reload(machine))
    yield from _tmpfiles(setup)


def _reload(machine: Machine) -> None:
    systemd.reload(machine)
    machine.at(PENDING).unlink(missing_ok=True)


def _tmpfiles(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    text = (setup.source.folder / "install/units/tmpfiles.conf").read_text()
    changes = list(file(machine, TMPFILES, text))
    yield from changes
    if changes or not machine.exists("/run/webops"):
        yield Change("make /run/webops", lambda: machine.run("systemd-tmpfiles", "--create", TMPFILES))


def enable(setup: Setup, names: tuple[str, ...] = ENABLED) -> Iterator[Change]:
    """Turned on at boot, those that there are."""
    machine = setup.machine
    there = files(setup.source.folder)
    for name in names:
        if f"{UNITS}/{name}" in there and not systemd.is_enabled(machine, name):
            yield Change(f"turn {name} on at boot", partial(_enable, machine, name))


def _enable(machine: Machine, name: str) -> None:
    machine.run("systemctl", "enable", "--quiet", name)


def _verify(setup: Setup) -> None:
    for place in files(setup.source.folder):
        if setup.machine.text(place) is None:
            raise SetupError(f"{place} was not written.")


STEP = Step("units", _plan, _verify)
