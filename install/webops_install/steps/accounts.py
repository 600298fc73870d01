"""Users and groups. Those that run what is not ours have fixed numbers, which the firewall goes by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from webops_host.linux.uids import BUILD_UID, CANARY_UID, FETCH_UID
from webops_install.change import Change
from webops_install.errors import SetupError
from webops_install.machine import Machine
from webops_install.step import Setup, Step

RPC = "webops-rpc"


@dataclass(frozen=True, slots=True)
class Wanted:
    name: str
    uid: int | None = None
    groups: tuple[str, ...] = ()


ACCOUNTS = (
    Wanted("webops", groups=(RPC,)),
    Wanted("webops-worker", groups=(RPC,)),
    Wanted("webops-fetch", FETCH_UID),
    Wanted("webops-build", BUILD_UID),
    Wanted("webops-canary", CANARY_UID),
)


def _plan(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    if machine.group(RPC) is None:
        yield Change(f"make the group {RPC}", lambda: machine.run("groupadd", "--system", RPC))
    for wanted in ACCOUNTS:
        yield from _account(machine, wanted)


def _account(machine: Machine, wanted: Wanted) -> Iterator[Change]:
    there = machine.user(wanted.name)
    if there is None:
        yield Change(f"make the user {wanted.name}", lambda: machine.run(*_useradd(wanted)))
    elif wanted.uid is not None and there.uid != wanted.uid:
        raise SetupError(
            f"The user {wanted.name} is there with the number {there.uid}; it must be {wanted.uid}.",
            hint=f"Remove it (userdel {wanted.name}) when it is left over, then run this again.",
        )
    for group in wanted.groups:
        if wanted.name not in machine.members(group):
            yield Change(f"add {wanted.name} to {group}", partial(machine.run, "usermod", "-aG", group, wanted.name))


def _useradd(wanted: Wanted) -> tuple[str, ...]:
    options = ("--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", "--user-group")
    number = ("--system",) if wanted.uid is None else ("--uid", str(wanted.uid), "--key", "UID_MAX=29999")
    return ("useradd", *options, *number, wanted.name)


STEP = Step("accounts", _plan)
