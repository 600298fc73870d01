"""The words that a person types: `setup.sh …` and `webops-admin …`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from webops_install import install
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
    except SetupError as error:
        status = 1
        _explain(error)
    except KeyboardInterrupt:
        status = 130
        _tell("Stopped. " + RETRY)
    sys.exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="webops-admin", description="Sets up and keeps the platform on this server.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _setup(commands.add_parser("setup", help="make this server the platform; running it again mends what differs"))
    commands.add_parser("go-back").set_defaults(run=install.go_back)
    return parser


def _setup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--guarded", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--going-back", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--unattended", action="store_true", help="ask nothing: what was not said has its default")
    parser.add_argument("--answers", type=Path, metavar="FILE", help="NAME=VALUE lines, or TOML")
    parser.add_argument("--domain", help="sites get names under it; without one: <address>.sslip.io")
    parser.add_argument("--panel", help="name of the panel (panel.<domain>)")
    parser.add_argument("--email", help="for notices about certificates")
    parser.add_argument("--acme-server", help="directory of the certificate authority (Let's Encrypt)")
    parser.add_argument(
        "--acme-ca", metavar="FILE", help="certificates that vouch for that server, when it is a private one"
    )
    parser.add_argument(
        "--private", metavar="HOST:PORT", action="append", help="a private place that fetches and builds may reach"
    )
    parser.set_defaults(run=install.run)


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
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is a program for a terminal
