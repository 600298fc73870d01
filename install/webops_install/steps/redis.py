"""Redis for the doorbell of the queue: an instance of our own, reached through a socket only, with a password."""

from __future__ import annotations

from collections.abc import Iterator

from webops_install.change import Change, Owner, file
from webops_install.step import Setup, Step
from webops_install.steps import packages
from webops_install.steps.decisions import REDIS_KEY

CONFIGURATION = "/etc/webops/redis.conf"
OF_THE_PACKAGE = "redis-server.service"


def render(key: str) -> str:
    """Nothing is kept on disk: rows are the truth, a message is a doorbell."""
    return f"""\
# The doorbell of the platform's queue. Written by setup.sh.
port 0
unixsocket /run/webops-redis/redis.sock
unixsocketperm 770
requirepass {key}
supervised systemd
daemonize no
logfile ""
loglevel warning
databases 1
hz 1
dynamic-hz no
activerehashing no
save ""
appendonly no
maxmemory 32mb
maxmemory-policy noeviction
maxclients 200
timeout 0
tcp-keepalive 0
enable-debug-command no
enable-module-command no
"""


def _plan(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    key = (machine.text(REDIS_KEY) or "").strip()
    if machine.group("redis") is None:
        yield Change(f"write {CONFIGURATION}", lambda: None)
        return
    yield from file(machine, CONFIGURATION, render(key), 0o640, Owner("root", "webops-rpc"))
    if "redis-server" in packages.ours(machine) and machine.says_yes("systemctl", "is-enabled", "-q", OF_THE_PACKAGE):
        yield Change(
            f"turn off {OF_THE_PACKAGE}, which listens on TCP",
            lambda: machine.run("systemctl", "disable", "--now", OF_THE_PACKAGE),
        )


STEP = Step("Redis", _plan)
