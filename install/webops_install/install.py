"""`setup.sh`: from a bare server to the platform, or from one that differs back to what it should be.

With another version's files on a server that runs, it is an upgrade.
"""

from __future__ import annotations

import argparse
import dataclasses
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from webops_host.linux import ssh_ports
from webops_install import (
    answers,
    engine,
    everyday,
    everything,
    facts,
    journal,
    listening,
    preflight,
    settings,
    source,
    systemd,
    upgrade,
)
from webops_install.answers import Answers
from webops_install.errors import SetupError
from webops_install.facts import Facts
from webops_install.journal import Journal
from webops_install.machine import Machine
from webops_install.step import Setup

LOCK = Path("/run/webops-setup.lock")
OWN = Path(__file__).resolve().parents[2]
"""The tree that this program is part of: a checkout, or a release."""


UNASKED = argparse.Namespace(source=None, guarded=False, going_back=False, dry_run=False, unattended=True, answers=None)
"""As if somebody had typed `webops-admin setup --unattended`."""


def run(options: argparse.Namespace) -> int:
    is_root = os.geteuid() == 0
    talk = Journal(journal.LOG if is_root and not options.dry_run else None)
    return carry_out(prepare(Machine(log=talk.note), options, talk), options, talk, is_root=is_root)


def carry_out(setup: Setup, options: argparse.Namespace, talk: Journal, *, is_root: bool = True) -> int:
    """The way back from an upgrade is taken whatever this machine looks like by now: there is no other."""
    took = journal.seconds()
    if not options.going_back:
        look(setup, talk, is_root=is_root)
    if options.dry_run:
        count = engine.rehearse(everything.STEPS, setup, talk.say)
        talk.say(f"{count} changes would be made. Nothing was changed.")
        return 0
    if options.guarded or options.going_back:
        return _inside(setup, options, talk)
    with alone(setup.machine):
        outcome = _outside(setup, talk)
    _conclude(setup, talk, outcome, took())
    return 0


def look_over(machine: Machine, talk: Journal) -> None:
    """All steps once more, after files and database were replaced. Whether they may be, is looked at before that."""
    took = journal.seconds()
    setup = prepare(machine, UNASKED, talk)
    _conclude(setup, talk, _outside(setup, talk), took())


def _outside(setup: Setup, talk: Journal) -> int:
    """All steps; on a server where another version is live, those that touch nothing of it, and then the upgrade."""
    machine, new = setup.machine, setup.source.version
    if upgrade.under_way(machine) is not None:
        talk.say("An upgrade was broken off here.")
        upgrade.go_back(machine, talk)
    old = upgrade.live(machine)
    if old in ("", new):
        return engine.run(everything.STEPS, setup, talk)
    talk.say(f"  {old} is live; this is the upgrade to {new}")
    made = engine.run(everything.BESIDE, setup, talk)
    upgrade.in_own_unit(machine, new, talk)
    return made + 1


def _inside(setup: Setup, options: argparse.Namespace, talk: Journal) -> int:
    """The part of an upgrade that leads back when it fails; or that way back, with the old version's files."""
    if options.guarded:
        upgrade.begin(setup.machine, upgrade.live(setup.machine), setup.source.version, talk)
    engine.run(everything.STEPS, setup, talk)
    if options.guarded:
        upgrade.conclude(setup.machine, talk)
        _say_what_is_left(setup, talk)
    return 0


def go_back(options: argparse.Namespace) -> int:
    """What systemd calls after an upgrade ended, however it ended: within its unit, or at the next boot."""
    machine, talk = everyday.begun()
    with nullcontext() if options.guarded else alone(machine):  # the unit's lock is with whoever waits for it
        upgrade.go_back(machine, talk)
    systemd.ready()
    return 0


@contextmanager
def alone(machine: Machine) -> Iterator[None]:
    """Only one of these runs at a time, and none beside an upgrade, whose terminal may be gone. Raises SetupError."""
    with machine.at(LOCK).open("w") as mine:
        try:
            fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = "A setup, upgrade, backup or restore runs on this server."
            raise SetupError(message, hint="Wait for it to end.") from None
        if upgrade.is_running(machine):
            raise SetupError("An upgrade runs on this server.", hint=f"Follow it: journalctl -f -u {upgrade.UNIT}")
        yield


@contextmanager
def settled(machine: Machine) -> Iterator[None]:
    """`alone`, and no upgrade is to be gone back from: the database that then returns is read with the keys of its
    time, and without what came after it. Raises SetupError."""
    with alone(machine):
        if upgrade.under_way(machine) is not None:
            raise SetupError("An upgrade was broken off on this server.", hint="First: webops-admin go-back")
        yield


def prepare(machine: Machine, options: argparse.Namespace, talk: Journal) -> Setup:
    found = facts.gather(machine)
    decided = _answers(machine, options, found)
    machine = dataclasses.replace(machine, env=decided.packages)
    ports = tuple(sorted({*decided.ssh_ports, *ssh_ports.found()})) or (22,)
    what = source.read(machine, (options.source or OWN).resolve())
    talk.say(f"WebOps {what.version} on {found.system.pretty}")
    talk.say(f"  The panel at https://{decided.panel}/, sites at *.{decided.domain}")
    return Setup(machine, decided, found, what, ports)


def _answers(machine: Machine, options: argparse.Namespace, found: Facts) -> Answers:
    typed = {name: getattr(options, name, None) for name in answers.NAMES}
    told = {
        **settings.told_before(machine),
        **(answers.from_file(options.answers) if options.answers else {}),
        **answers.from_environment(os.environ),
        **{name: ",".join(value) if isinstance(value, list) else value for name, value in typed.items() if value},
    }
    is_asked = not (options.unattended or options.dry_run or options.guarded or options.going_back)
    if is_asked and sys.stdin.isatty():
        told = answers.ask(told, found.addresses[0], _question)
    return answers.parse(told, found.addresses)


def _question(text: str, default: str) -> str:
    try:
        return input(f"{text} [{default}]: ").strip() or default
    except EOFError:
        return default


def look(setup: Setup, talk: Journal, *, is_root: bool = True) -> None:
    """Raises SetupError when this machine can not become the platform, or be mended now."""
    seen = preflight.Look(
        facts=setup.facts,
        answers=setup.answers,
        listeners=listening.listeners(setup.machine),
        leads_to=facts.resolve([setup.answers.panel]),
        newest=max((setup.source.folder / name).stat().st_mtime for name in setup.source.files[:200]),
        now=time.time(),
        is_root=is_root,
        is_booted=setup.machine.exists("/run/systemd/system"),
        ssh_ports=setup.ssh_ports,
    )
    found = preflight.findings(setup.machine, seen)
    for finding in found:
        talk.say(f"  {'Stop' if finding.stops else 'Note'}: {finding.text} {finding.hint}".rstrip())
    if any(finding.stops for finding in found):
        raise SetupError("Nothing was changed.")


def _say_what_is_left(setup: Setup, talk: Journal) -> None:
    for sentence in setup.skipped:
        talk.say(f"  SKIPPED: {sentence}")
    for sentence in setup.told:
        talk.show(sentence)


def _conclude(setup: Setup, talk: Journal, changes: int, took: str) -> None:
    if changes == 0:
        talk.say(f"Nothing was changed: everything was as it should be ({took}).")
    else:
        talk.say(f"Done: {changes} changes in {took}.")
    _say_what_is_left(setup, talk)
    talk.say(f"\nThe panel: https://{setup.answers.panel}/")
