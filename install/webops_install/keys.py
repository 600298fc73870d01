"""New keys for the panel. Where it was broken off is seen by the settings: two encryption keys mean half-way."""

from __future__ import annotations

import argparse
import base64
import os
import secrets

from webops_install import everyday, install, panel, settings, systemd
from webops_install.change import write
from webops_install.journal import Journal
from webops_install.machine import Machine
from webops_install.settings import PANEL
from webops_install.steps.decisions import COMMENT, READERS

SERVICES = ("webops-panel.service", "webops-worker.service")


def rotate(options: argparse.Namespace) -> int:
    """A new key in front, what is stored encrypted with it, then the old one away. At each moment all can be read."""
    machine, talk = everyday.begun()
    with install.settled(machine):
        _rotate(machine, talk, sessions=options.sessions)
    return 0


def _rotate(machine: Machine, talk: Journal, *, sessions: bool) -> None:
    told = settings.read_environment(machine.text(PANEL) or "")
    known = told["ENCRYPTION_KEY"].split(",")
    if len(known) == 1:
        known.insert(0, base64.urlsafe_b64encode(os.urandom(32)).decode())
        if sessions:
            told["SECRET_KEY"] = secrets.token_urlsafe(50)
        talk.say("A new key is in front; the old one can still be read.")
        _take(machine, {**told, "ENCRYPTION_KEY": ",".join(known)})
    else:
        talk.say("A rotation was begun before; it goes on.")
    talk.say(panel.manage(machine, "rotate_keys", "--no-color", timeout=3600).strip())
    _take(machine, {**told, "ENCRYPTION_KEY": known[0]})
    talk.say("The old key is gone. Make a backup: an older one holds the old key.")


def _take(machine: Machine, told: dict[str, str]) -> None:
    """Settings in their place, and in use."""
    write(machine, PANEL, settings.render_environment(told, COMMENT), 0o640, READERS)
    for unit in SERVICES:
        systemd.start(machine, unit, "restart")
