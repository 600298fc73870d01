"""systemd's files: units, slices, timers, what to make at boot. Copied as they are in the repository."""

from __future__ import annotations

import re
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
PENDING = "/var/lib/webops/setup/reload"
"""There while units were changed and systemd has not read them yet: a run that was broken off goes on here."""
OURS = re.compile(r"webops-[a-z-]+\.(service|socket|timer|path|target)")
LASTING = ("webops-redis.service", "webops-firewall.service", "webops-panel.service", "webops-worker.service")
"""Services that always run. Others come and go: by a socket, a timer, or at boot."""
FIRST = (*LASTING[:2], "webops-hostd.socket", "webops-pgd.socket", "webops-panel.socket", *LASTING[2:])
EXPECTED = (*FIRST, "webops-apps.target", "webops-renew.timer", "webops-selftest.timer")


def files(tree: Path) -> dict[str, str]:
    """Unit files of a tree, by their places."""
    found = {}
    for path in sorted((tree / "install/units").rglob("*")):
        if path.is_file() and path.name != "tmpfiles.conf":
            found[f"{UNITS}/{path.relative_to(tree / 'install/units')}"] = path.read_text()
    return found


def enabled(tree: Path) -> list[str]:
    """Units that are turned on at boot, in the order in which they are started now."""
    names = [Path(place).name for place, text in files(tree).items() if "\n[Install]\n" in text]
    return sorted(names, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))


def running(tree: Path) -> list[str]:
    return [name for name in enabled(tree) if not name.endswith(".service") or name in LASTING]


def _plan(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    changes = []
    wanted = files(setup.source.folder)
    for place, text in wanted.items():
        if not machine.at(place).parent.is_dir():
            changes += list(folder(machine, Path(place).parent))
        changes += list(file(machine, place, text))
    for name in machine.names(UNITS):
        if OURS.fullmatch(name) and f"{UNITS}/{name}" not in wanted:
            changes.append(Change(f"retire {name}", partial(retire, machine, name)))
    if changes or machine.exists(PENDING):
        yield Change("note that systemd must read its files again", lambda: machine.at(PENDING).write_text(""))
        yield from changes
        yield Change("let systemd read its files", lambda: _reload(machine))
    yield from _tmpfiles(setup)


def retire(machine: Machine, name: str) -> None:
    """Stop a unit and take its file away. Again: nothing."""
    machine.asks("systemctl", "disable", "--now", "--quiet", name, timeout=180)
    machine.at(f"{UNITS}/{name}").unlink(missing_ok=True)


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


def turned_on(setup: Setup) -> Iterator[Change]:
    for name in enabled(setup.source.folder):
        if not systemd.is_enabled(setup.machine, name):
            enable = partial(setup.machine.run, "systemctl", "enable", "--quiet", name)
            yield Change(f"turn {name} on at boot", enable)


def _verify(setup: Setup) -> None:
    for place in files(setup.source.folder):
        if setup.machine.text(place) is None:
            raise SetupError(f"{place} was not written.")


STEP = Step("units", _plan, _verify)
