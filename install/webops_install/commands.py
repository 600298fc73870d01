"""The words that a person types: `setup.sh …` and `webops-admin …`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from webops_host.errors import HostError
from webops_install import backup, doctor, everyday, install, keys, uninstall
from webops_install.engine import StepFailed
from webops_install.errors import SetupError
from webops_install.journal import LOG

Run = Callable[[argparse.Namespace], int]
RETRY = "What is done is kept: mend the cause, then run the same command again."


def main(words: list[str] | None = None) -> None:
    os.umask(0o022)
    options = _parser().parse_args(words)
    run: Run = options.run
    try:
        status = run(options)
    except (SetupError, HostError, OSError) as error:
        status = 1
        _explain(_of_setup(error))
    except KeyboardInterrupt:
        status = 130
        _tell("Stopped. " + RETRY)
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="webops-admin", description="Sets up and keeps the platform on this server.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _setup(commands.add_parser("setup", help="make this server the platform; again: mend what differs"))
    _setup(commands.add_parser("upgrade", help="take over a checkout's version; back by itself when that fails"))
    _doctor(commands.add_parser("doctor", help="look at everything, with a hint for what is wrong"))
    selftest = commands.add_parser("selftest", help="try the walls around deployments")
    selftest.set_defaults(run=everyday.selftest)
    link = commands.add_parser("sign-in-link", help="print a one-time way in for an owner")
    link.add_argument("username", nargs="?", default="", help="whom to let in; without it the first owner")
    link.set_defaults(run=everyday.sign_in_link)
    _keep(commands)
    _uninstall(commands.add_parser("uninstall", help="take the platform off this server"))
    _go_back(commands.add_parser("go-back"))
    return parser


def _keep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    save = commands.add_parser("backup", help="the panel's database, keys and settings, in one file")
    save.add_argument("file", nargs="?", type=_from_here, help="where to; without it a name under /var/backups/webops")
    save.set_defaults(run=backup.save)
    load = commands.add_parser("restore", help="put such a file in the place of what is here")
    load.add_argument("file", type=_from_here)
    load.add_argument("--yes", action="store_true", help="ask nothing")
    load.set_defaults(run=backup.load)
    rotate = commands.add_parser("rotate-keys", help="new keys; what was encrypted is encrypted anew")
    rotate.add_argument("--sessions", action="store_true", help="a new SECRET_KEY too: everybody signs in again")
    rotate.set_defaults(run=keys.rotate)
    logs = commands.add_parser("logs", help="what a part of the platform, or a deployment, says")
    logs.add_argument("part", nargs="?", default="", help=f"{', '.join(everyday.PARTS)}, or a deployment")
    logs.add_argument("-n", "--lines", type=int, default=100)
    logs.add_argument("-f", "--follow", action="store_true")
    logs.set_defaults(run=everyday.logs)


def _from_here(text: str) -> Path:
    """The full path of what somebody names from the folder they are in."""
    return Path(text).absolute()


def _setup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", type=Path, help="the checkout; without it the version that is live")
    parser.add_argument("--guarded", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--going-back", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--unattended", action="store_true", help="ask nothing: what was not said has its default")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="NAME=VALUE lines, or TOML")
    parser.add_argument("--domain", help="sites get names under it; without one: <address>.sslip.io")
    parser.add_argument("--panel", help="name of the panel (panel.<domain>)")
    parser.add_argument("--email", help="for notices about certificates")
    parser.add_argument("--acme-server", help="directory of the certificate authority (Let's Encrypt)")
    parser.add_argument("--acme-ca", metavar="FILE", help="certificates that vouch for a private authority")
    address = "under which the world reaches this server, when it is another than its own; may be repeated"
    parser.add_argument("--address", dest="addresses", action="append", help=address)
    private = "a place on a private network that fetches and builds may reach; may be repeated"
    parser.add_argument("--private", metavar="HOST:PORT", action="append", help=private)
    door = "where something else on this server is reached from outside, such as 8443/tcp; may be repeated"
    parser.add_argument("--open-port", dest="open_ports", metavar="PORT/PROTOCOL", action="append", help=door)
    parser.set_defaults(run=install.run)


def _go_back(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--guarded", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(run=install.go_back)


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=doctor.run)


def _uninstall(parser: argparse.ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--keep-sites", action="store_true", help="sites go on running, without a panel")
    how.add_argument("--all", action="store_true", help="sites, their files and databases go too")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    parser.set_defaults(run=uninstall.run)


def _of_setup(error: SetupError | HostError | OSError) -> SetupError:
    if isinstance(error, SetupError):
        return error
    if isinstance(error, HostError):
        return SetupError(error.message, hint=error.hint)
    return SetupError(f"{error.strerror}: {error.filename}" if error.filename else str(error))


def _explain(error: SetupError) -> None:
    """The step, the command, what it said, and how to go on."""
    lines = [f"\nThe step “{error.step}” failed." if isinstance(error, StepFailed) else "", error.message]
    if error.command:
        lines += [f"  Command: {error.command}"]
    if error.output:
        lines += ["  It said:", *(f"    {line}" for line in error.output.splitlines())]
    if error.hint:
        lines += [error.hint]
    if isinstance(error, StepFailed):
        lines += [f"{RETRY} All that was said: {LOG}"]
    _tell("\n".join(line for line in lines if line))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a program for a terminal
