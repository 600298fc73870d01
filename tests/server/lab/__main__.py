"""The lab by hand: `python -m tests.server.lab --help`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tests.server.lab import disk, files, record
from tests.server.lab.base import base
from tests.server.lab.lab import CHECKOUT, Lab, find, sweep, take_down
from tests.server.lab.places import SUITES, LabError, locked
from tests.server.lab.registries import environment
from tests.server.lab.server import Server


def up(given: argparse.Namespace) -> None:
    began = time.monotonic()
    server = Lab.by_hand().server(given.suite, given.name, state=given.state)
    _say(server, began)


def run(given: argparse.Namespace) -> None:
    """Become the command, so that its input, output and status are the caller's."""
    words = find(given.name).enter(given.words, user=given.user)
    os.execvpe(words[0], words, environment() | {"TERM": os.environ.get("TERM", "dumb")})


def push(given: argparse.Namespace) -> None:
    files.push(find(given.name), Path(given.source), given.target)


def checkout(given: argparse.Namespace) -> None:
    files.push_checkout(find(given.name), Path(CHECKOUT), given.target)


def pull(given: argparse.Namespace) -> None:
    files.pull(find(given.name), given.source, Path(given.target))


def address(given: argparse.Namespace) -> None:
    print(find(given.name).address)


def down(given: argparse.Namespace) -> None:
    for name in given.names:
        take_down(name)
    if given.all:
        with locked("lab"):
            print("\n".join(sweep()) or "nothing was left behind")


def listing(given: argparse.Namespace) -> None:
    for one in record.servers():
        server = Server(one)
        print(one.name, one.suite, server.address, "running" if server.running else "off", sep="\t")
    for label in disk.labels():
        print(f"state {label}")


def snapshot(given: argparse.Namespace) -> None:
    server = find(given.name)
    if given.replace:
        disk.forget(given.label)
    server.freeze(given.label)
    began = time.monotonic()
    server.boot()
    _say(server, began)


def forget(given: argparse.Namespace) -> None:
    disk.forget(given.label)


def kill(given: argparse.Namespace) -> None:
    find(given.name).power_cut()


def boot(given: argparse.Namespace) -> None:
    server, began = find(given.name), time.monotonic()
    server.boot()
    _say(server, began)


def reboot(given: argparse.Namespace) -> None:
    server, began = find(given.name), time.monotonic()
    server.reboot()
    _say(server, began)


def make_base(given: argparse.Namespace) -> None:
    print(base(given.suite))


def _say(server: Server, began: float) -> None:
    failed = f", but failed: {' '.join(server.failed_units)}" if server.failed_units else ""
    print(f"{server.name} ({server.suite}) at {server.address}, {time.monotonic() - began:.1f} s{failed}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.server.lab", description="Booted Debian servers.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(word: str, what: object, said: str, *names: str) -> argparse.ArgumentParser:
        made = commands.add_parser(word, help=said)
        made.set_defaults(what=what)
        for name in names:
            made.add_argument(name)
        return made

    upper = command("up", up, "a fresh server, or one from a frozen state", "name")
    upper.add_argument("--suite", choices=SUITES, default="bookworm")
    upper.add_argument("--from", dest="state", default="", metavar="LABEL")
    runner = command("run", run, "run NAME [--user U] -- words …", "name")
    runner.add_argument("--user", default="")
    runner.add_argument("words", nargs="+")
    command("push", push, "copy a file or the content of a folder in", "name", "source", "target")
    command("pull", pull, "copy a file or a folder out", "name", "source", "target")
    command("checkout", checkout, "copy this working tree in, without what git ignores", "name", "target")
    command("address", address, "where the server is", "name")
    command("list", listing, "servers and frozen states")
    lower = command("down", down, "remove servers; --all: what dead sessions left")
    lower.add_argument("names", nargs="*")
    lower.add_argument("--all", action="store_true")
    freezer = command("snapshot", snapshot, "freeze the state of a server, then go on", "name", "label")
    freezer.add_argument("--replace", action="store_true")
    command("forget", forget, "delete a frozen state", "label")
    command("kill", kill, "cut the power", "name")
    command("boot", boot, "switch on again", "name")
    command("reboot", reboot, "shut down and boot", "name")
    command("base", make_base, "make the base of a suite and say where it is", "suite")
    return parser


def main() -> int:
    given = _parser().parse_args()
    try:
        given.what(given)
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
