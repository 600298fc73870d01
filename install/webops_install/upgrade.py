"""From one version to another, and back by itself when that fails. Sites never notice: nothing of theirs is touched.

The new release is made beside the old one. Then a unit of its own takes over, so that a lost connection breaks nothing
off. It writes down what it is about to do, takes a dump of the panel's database, and goes through the steps with the
new version. Whatever ends it, systemd then calls `go_back`, which does nothing once the record is gone. After a power
cut the same happens at the next boot.

Going back is a setup with the old release's own installer, after the dump is put in the database's place, and nginx's
files, which that installer may not know how to write.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from webops_install import database, hold, panel, systemd
from webops_install.change import point, write
from webops_install.errors import SetupError
from webops_install.journal import Journal
from webops_install.machine import Machine
from webops_install.steps import release, services, web
from webops_install.steps.release import PYTHON
from webops_install.steps.services import WORKER

RECORD = "/var/lib/webops/setup/upgrade.json"
FAILED = "/var/lib/webops/setup/upgrade-failed"
RELEASES = Path("/opt/webops/releases")
CURRENT = Path("/opt/webops/current")
UNIT = "webops-upgrade"
PATIENCE = 600.0  # seconds for releases that run
KEPT = 2
"""Releases that stay: the live one, and the one to go back to."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is under way: from which version to which, and the dump, while tables may differ from it by the upgrade."""

    old: str
    new: str
    dump: str = ""


def live(machine: Machine) -> str:
    """The name of the live release; empty when there is none, or it is not whole."""
    place = machine.at(CURRENT)
    name = os.path.basename(os.readlink(place)) if place.is_symlink() else ""
    return name if name and release.is_whole(machine, RELEASES / name) else ""


def under_way(machine: Machine) -> Record | None:
    text = machine.text(RECORD)
    return Record(**json.loads(text)) if text else None


def is_running(machine: Machine) -> bool:
    """Whether the unit of an upgrade is there, be it that it goes back already."""
    asked = machine.asks("systemctl", "show", "--property=ActiveState", "--value", f"{UNIT}.service")
    return asked.output.strip() in ("activating", "active", "deactivating")


def in_own_unit(machine: Machine, new: str, talk: Journal) -> None:
    """Run the guarded part in a unit that outlives this terminal. Raises SetupError when it went back."""
    program = RELEASES / new / "src/install/webops-admin"
    machine.at(FAILED).unlink(missing_ok=True)
    talk.say("  The rest goes on in the background, whatever becomes of this terminal.")
    words = (
        "systemd-run", f"--unit={UNIT}", "--collect", "--quiet", "--wait", "--pipe", "--service-type=exec",
        f"--property=ExecStopPost={PYTHON} -I {program} go-back --guarded", "--property=TimeoutStopSec=600",
        "--setenv=PYTHONUNBUFFERED=1", PYTHON, "-I", program, "setup", "--guarded",
    )  # fmt: skip
    try:
        machine.run(*words, timeout=3600, show=talk.show)
    except SetupError as error:
        why = machine.text(FAILED) or error.message
        hint = f"{_how_it_stands(machine)} What was said: journalctl -u {UNIT}, and {talk.path}"
        raise SetupError(f"The upgrade to {new} failed. {why.strip()}", hint=hint) from error


def _how_it_stands(machine: Machine) -> str:
    """After an upgrade that failed."""
    record = under_way(machine)
    if record is None:
        return "The version before serves again."
    return f"Going back to {record.old} failed too. Mend the cause, then go on with it: webops-admin go-back."


def begin(machine: Machine, old: str, new: str, talk: Journal) -> None:
    """Wait for releases that run, write down what is about to happen, stop worker and panel, take the dump: from here
    on nothing is saved that going back would lose."""
    _wait_for_releases(machine, talk)
    _write(machine, Record(old, new))
    machine.run("systemctl", "stop", WORKER, timeout=180)
    hold.on(machine)
    web.keep(machine)
    talk.say("  Taking a dump of the panel's database")
    dump = database.dump(machine, f"before-{new}.dump")
    _write(machine, Record(old, new, str(dump)))


def conclude(machine: Machine, talk: Journal) -> None:
    """It is live and well: from here on nothing leads back by itself."""
    machine.at(RECORD).unlink(missing_ok=True)
    web.let_go(machine)
    prune(machine, talk)


def go_back(machine: Machine, talk: Journal, why: str = "") -> bool:
    """Undo an upgrade that was broken off. False when there is none. Raises SetupError when that can not be done."""
    record = under_way(machine)
    if record is None:
        return False
    talk.say(f"  Going back to {record.old}")
    machine.asks("systemctl", "stop", WORKER, timeout=180)
    hold.on(machine)
    if record.dump:
        database.restore(machine, Path(record.dump))
        web.put_back(machine)
        _write(machine, Record(record.old, record.new))  # what is saved from here on stays, whatever fails below
    _switch_back(machine, record.old)
    program = RELEASES / record.old / "src/install/webops-admin"
    machine.run(PYTHON, "-I", machine.at(program), "setup", "--going-back", timeout=900)
    write(machine, FAILED, f"{why or 'It was broken off, or did not come up well.'}\n")
    machine.at(RECORD).unlink(missing_ok=True)
    web.let_go(machine)
    talk.say(f"  {record.old} serves again")
    return True


def _switch_back(machine: Machine, old: str) -> None:
    """Whoever starts the panel from here on, starts the old one, which finds its own database."""
    point(machine, CURRENT, f"releases/{old}")
    for unit in (hold.PANEL, WORKER):
        services.forget(machine, unit)
    systemd.ready()  # at boot panel and worker wait for this
    hold.off(machine)


def prune(machine: Machine, talk: Journal) -> None:
    """Releases before the last two go, and dumps that belong to them."""
    keep = live(machine)
    names = [name for name in machine.names(RELEASES) if name != keep]
    names.sort(key=lambda name: machine.at(RELEASES / name).stat().st_mtime, reverse=True)
    for name in names[KEPT - 1 :]:
        talk.note(f"removing {RELEASES / name}")
        machine.run("rm", "-rf", "--one-file-system", "--", machine.at(RELEASES / name))
        machine.at(database.DUMPS / f"before-{name}.dump").unlink(missing_ok=True)


def _wait_for_releases(machine: Machine, talk: Journal) -> None:
    """The worker finishes what it has begun; longer than PATIENCE it is not waited for: what it cuts short is gone on
    with, or undone, after the upgrade."""
    deadline = time.monotonic() + PATIENCE
    said = False
    while systemd.is_active(machine, WORKER) and _is_busy(machine):
        if not said:
            talk.say("  Waiting for releases that run now")
            said = True
        if time.monotonic() > deadline:
            talk.say("  They take too long, and are gone on with afterwards")
            return
        time.sleep(1.0)


def _is_busy(machine: Machine) -> bool:
    """What a version that can not tell says, counts as no."""
    said = panel.manage_says(machine, "busy", "--no-color")
    return said.status == 1 and "Unknown command" not in said.output and "Traceback" not in said.output


def _write(machine: Machine, record: Record) -> None:
    write(machine, RECORD, json.dumps(asdict(record)) + "\n", 0o600)
