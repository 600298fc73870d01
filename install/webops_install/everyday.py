"""What an administrator asks for now and then: a way in, logs, the self-test; and what all such commands begin with."""

from __future__ import annotations

import argparse
import os
import sys

from webops_host.names import DeploymentName
from webops_install import journal, panel, settings
from webops_install.errors import SetupError
from webops_install.journal import Journal
from webops_install.machine import Machine
from webops_install.steps.release import PYTHON

SELFTEST = "/opt/webops/current/host/selftest.py"
PARTS = ("panel", "worker", "hostd", "pgd", "redis", "firewall", "selftest", "renew", "upgrade", "nginx", "postgresql")
OTHERS = {"nginx": "nginx.service", "postgresql": "postgresql@*.service"}
FOREVER = 10.0 * 365 * 86_400


def begun(*signs: str) -> tuple[Machine, Journal]:
    """The machine and the log. Raises SetupError unless this is root on a server that was set up, of which any of the
    `signs` tells; usually the decisions."""
    if os.geteuid() != 0:
        raise SetupError("This must run as root.", hint="Run it with sudo.")
    talk = Journal(journal.LOG)
    machine = Machine(log=talk.note)
    if not any(machine.exists(sign) for sign in signs or (settings.HOST,)):
        raise SetupError("The platform is not set up on this server.", hint="Run sudo ./setup.sh in a checkout.")
    return machine, talk


def agreed(question: str, *, without_asking: bool) -> None:
    """Raises SetupError unless the person types yes."""
    if without_asking:
        return
    if not sys.stdin.isatty():
        raise SetupError("Nobody is there to be asked.", hint="With --yes nothing is asked.")
    if input(f"{question} Type yes to go on: ").strip() != "yes":
        raise SetupError("Nothing was changed.")


def sign_in_link(options: argparse.Namespace) -> int:
    machine, talk = begun()
    words = [options.username] if options.username else []
    talk.show(panel.manage(machine, "sign_in_link", "--no-color", *words, quiet=True))
    return 0


def selftest(options: argparse.Namespace) -> int:
    machine, talk = begun()
    status = machine.asks(PYTHON, "-I", SELFTEST, timeout=400, show=talk.show).status
    if status == 0:
        talk.show("Every wall around deployments is closed.")
    return status


def logs(options: argparse.Namespace) -> int:
    """To the end, or until Ctrl-C."""
    machine, talk = begun()
    units = [f"--unit={unit}" for unit in _units(options.part)]
    follow = ["--follow"] if options.follow else []
    words = ("journalctl", "--no-pager", f"--lines={options.lines}", *follow, *units)
    return machine.asks(*words, timeout=FOREVER, show=talk.show).status


def _units(part: str) -> list[str]:
    if not part:
        return ["webops-*"]
    if part in PARTS:
        return [OTHERS.get(part, f"webops-{part}.service")]
    return [f"wo-{DeploymentName(part)}--*"]
