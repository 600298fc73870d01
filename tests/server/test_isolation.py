"""The walls between deployments on a server: the self-test, that it sees a wall that is gone, and each wall by itself.

Every refusal has a control: the same attempt by somebody who is on the right side of that wall.
"""

from __future__ import annotations

import json
import re

import pytest
from tests.server.lab.lab import Lab
from tests.server.lab.server import Server
from tests.server.walls import Walled
from tests.server.walls import walled as made_walled
from tests.support.waiting import until

pytestmark = pytest.mark.server

HOME, ALFA = "/srv/webops/alfa", "wo-alfa--1-web-1"
NOT_IN_A_LAB = {
    "kernel-module", "clock", "kernel-settings", "cgroup-write", "memory-device", "disks", "perf", "realtime", "limits",
    "system-calls",
}  # fmt: skip
"""What root itself may not do in a lab, whose kernel is this machine's."""
OTHERS = {"postgres-roles"}
"""What has its control elsewhere: root is no role of PostgreSQL."""
BOMB = """
import os, time
made = 0
for _ in range(2000):
    try:
        if os.fork() == 0:
            time.sleep(30); os._exit(0)
        made += 1
    except BlockingIOError:
        break
print(made)
"""
FOREVER = {
    "tasks": """
import os, time
while True:
    try:
        if os.fork() == 0:
            time.sleep(10**6)
    except BlockingIOError:
        time.sleep(0.001)
""",
    "memory": """
import os
while True:
    if os.fork() == 0:
        open("/proc/self/oom_score_adj", "w").write("1000")
        held = []
        while True: held.append(b"x" * (8 << 20))
    os.wait()
""",
    "cpu": """
import os
for _ in range(3):
    os.fork()
while True: pass
""",
    "lines": "while True: print('x' * 100)",
}
"""Attacks that go on until they are stopped, at the limit all the while."""
PRESSED = {
    "tasks": ("pids.events", "max (\\d+)"),
    "memory": ("memory.events memory.failcnt", "^(?:max )?(\\d+)$"),
    "cpu": ("cpu.stat", "nr_throttled (\\d+)"),
}
"""Where the kernel counts how often a control group was at its limit."""
GREEDY = "held = []\nfor _ in range(64):\n    held.append(b'x' * (64 << 20))\nprint('had it')"
BUSY = """
import os, time
for _ in range(3):
    os.fork()
end = time.monotonic() + 3
while time.monotonic() < end: pass
"""
WAITING = """
import contextlib
with contextlib.suppress(ChildProcessError):
    while True: os.wait()
"""
LINES = 200_000
LOUD = f"for number in range({LINES}): print(number, 'x' * 100)"
LATENCY = """
import http.client, socket, sys, time
class Door(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
def once():
    began = time.perf_counter()
    door = Door("site")
    door.request("GET", "/")
    assert door.getresponse().read() == b"beta"
    door.close()
    return time.perf_counter() - began
once()
times = sorted(once() for _ in range(1000))
print([times[500], times[-11]])
"""


@pytest.fixture
def walls(lab: Lab, suite: str) -> Walled:
    return made_walled(lab, suite)


@pytest.fixture
def server(walls: Walled) -> Server:
    return walls.server


def wrong(result: dict) -> set[str]:
    """The names of all that a self-test found wrong."""
    actions = {each["id"] for each in result["actions"] if each["outcome"] in ("allowed", "unclear")}
    layers = {each["id"] for each in result["layers"] if not each["holds"]}
    return actions | layers | {each["unit"] for each in result["units"]}


# --- the self-test ---------------------------------------------------------------------------------------------


def test_iso_01_a_deployment_is_refused_everything_that_is_tried(walls: Walled) -> None:
    result = walls.selftest()
    assert (result["ok"], result["error"], wrong(result)) == (True, "", set())
    assert result["counts"]["blocked"] >= 45
    assert walls.server.run("stat -c %a /var/lib/webops/selftest.json").stdout.strip() == "644"


def test_iso_01_the_control_outside_of_the_walls_the_same_attempts_succeed(walls: Walled) -> None:
    """Root, without a sandbox, in mounts and names of its own: nothing of the server is changed."""
    settings = ("PrivateMounts=yes", "PrivateUsers=no")
    program = (
        f"import sys; sys.path.insert(0, '/opt/webops/current/host')\n"
        f"from webops_host.linux import selftest, selftest_targets\n"
        f"from webops_host.linux.layout import ServerLayout\n"
        f"import json\n"
        f"with selftest_targets.prepared(ServerLayout(), 20002) as (groups, nest):\n"
        f"    groups['own-release-write'] = [str(nest / 'release')]\n"
        f"    properties = [tuple(each.split('=')) for each in {settings!r}]\n"
        f"    print(json.dumps(selftest._probe(properties, groups, nest / 'shared')))\n"
    )
    free = json.loads(walls.server.run(("python3", "-I", "-"), input=program).stdout)
    held = {each["id"] for each in walls.selftest()["actions"] if each["outcome"] == "blocked"}
    still = {each["id"] for each in free if each["outcome"] in ("blocked", "absent")} & held
    assert still <= NOT_IN_A_LAB | OTHERS, [each for each in free if each["id"] in still]


def test_iso_02_rules_that_are_gone_are_noticed_and_come_back(walls: Walled) -> None:
    walls.server.run(("nft", "delete", "table", "inet", "webops"))
    result = walls.selftest()
    assert not result["ok"]
    assert {"firewall-table", "firewall-apps", "firewall-fetches", "firewall-builds", "this-machine"} <= wrong(result)
    assert walls.server.run("systemctl is-failed webops-selftest.service").stdout.strip() == "failed"
    walls.reload()
    assert wrong(walls.selftest()) == set()


def test_iso_02_a_rule_that_was_changed_by_hand_is_noticed(walls: Walled) -> None:
    walls.server.run("nft insert rule inet webops wall tcp dport 25 accept")
    assert wrong(walls.selftest()) == {"firewall-table", "mail", "firewall-apps", "firewall-fetches", "firewall-builds"}
    walls.reload()
    assert wrong(walls.selftest()) == set()


def test_iso_02_a_firewall_that_sweeps_ours_away_does_so_for_a_moment(walls: Walled) -> None:
    """Debian's own unit begins by flushing every table."""
    walls.server.run(("systemctl", "restart", "nftables.service"))
    until(lambda: "webops" in walls.server.run("nft list tables").stdout, "the table to be back")
    walls.server.run(("systemctl", "stop", "nftables.service"))
    walls.reload()


@pytest.mark.parametrize("setting", ["NoNewPrivileges=no", "IPAddressDeny="])
def test_iso_02_a_drop_in_that_loosens_a_unit_is_noticed(walls: Walled, setting: str) -> None:
    folder = f"/etc/systemd/system/{ALFA}.service.d"
    walls.server.write(f"{folder}/loose.conf", f"[Service]\n{setting}\n")
    again = f"systemctl daemon-reload; systemctl restart {ALFA}.service"
    walls.server.run(again)
    try:
        assert wrong(walls.selftest()) == {f"{ALFA}.service"}
    finally:
        walls.server.run(f"rm -r {folder}; {again}")
    assert wrong(walls.selftest()) == set()


def test_iso_02_no_program_starts_where_the_firewall_can_not(walls: Walled) -> None:
    settings = walls.server.read("/etc/webops/host.toml")
    walls.server.run(f"systemctl stop webops-firewall.service {ALFA}.service {ALFA}.proxy.service")
    walls.server.write("/etc/webops/host.toml", "this is no setting")
    try:
        started = walls.server.run(("systemctl", "start", f"{ALFA}.service"), check=False)
        assert started.returncode != 0
        assert "ependency" in started.stderr
        assert walls.pid("alfa") == 0
        assert "firewall-unit" in wrong(walls.selftest())
    finally:
        walls.server.write("/etc/webops/host.toml", settings)
        walls.server.run(("systemctl", "reset-failed"))
        for name in ("beta", "alfa"):
            walls.start(name)
    assert wrong(walls.selftest()) == set()


def test_iso_02_a_machine_that_does_not_enforce_ip_filters_is_told_apart(walls: Walled) -> None:
    """Without BPF systemd starts everything as if `IPAddressDeny=` did not exist."""
    server = walls.server
    for bpf, expected in ((False, {"ip-filter"}), (True, set())):
        server.stop()
        server.has_bpf = bpf
        server.boot()
        for name in ("alfa", "beta"):
            walls.start(name)
        assert wrong(walls.selftest()) == expected


# --- one deployment and another --------------------------------------------------------------------------------


def secrets_of_alfa(walls: Walled) -> list[tuple[str, object]]:
    pid = walls.pid("alfa")
    return [
        ("read", f"{HOME}/releases/1/source/app.py"),
        ("listing", f"{HOME}/releases/1/source"),
        ("read", f"{HOME}/releases/1/public/index.html"),
        ("read", f"{HOME}/shared/data/secret"),
        ("listing", f"{HOME}/shared"),
        ("write", f"{HOME}/shared/data"),
        ("look_at", pid),
        ("read", f"/proc/{pid}/environ"),
        ("read", f"/proc/{pid}/root/tmp/secret"),
        ("signal_to", pid),
        ("reach", ["127.0.0.1", 10000]),
    ]


def test_iso_03_nothing_of_a_neighbour_is_seen_or_touched(walls: Walled) -> None:
    attempts = secrets_of_alfa(walls)
    assert walls.tries_as("root", *attempts) == ["allowed"] * len(attempts)
    assert walls.tries("beta", *attempts) == ["blocked"] * len(attempts)


def test_iso_03_users_alone_keep_them_apart_where_the_sandbox_would_not(walls: Walled) -> None:
    """The first of the two layers: owners, modes, the firewall. Names of processes are seen without the second."""
    attempts = [each for each in secrets_of_alfa(walls) if each[0] not in ("look_at",)]
    assert walls.tries_as("wo-beta", *attempts) == ["blocked"] * len(attempts)


def test_iso_03_each_has_its_own(walls: Walled) -> None:
    own = [
        ("read", f"{HOME}/releases/1/source/app.py"),
        ("write", f"{HOME}/shared/data"),
        ("reach", ["127.0.0.1", 10000]),
    ]
    assert walls.tries("alfa", *own) == ["allowed"] * 3


def test_iso_03_temporary_files_and_shared_memory_are_each_ones_own(walls: Walled) -> None:
    """Both programs have written `secret` there when they began."""
    root = f"/proc/{walls.pid('alfa')}/root"
    for folder in ("/tmp", "/dev/shm"):
        assert walls.server.read(f"{root}{folder}/secret") == "the secret of alfa"
        look = f"import os; print(os.path.exists('{folder}/secret'), os.listdir('{folder}'))"
        assert walls.inside("beta", look).stdout.startswith("False")
        assert walls.server.run(f"test -e {folder}/secret", check=False).returncode != 0


def test_iso_03_variables_and_sockets_are_the_systems(walls: Walled) -> None:
    variables, socket = f"/etc/webops/units/{ALFA}.env", "/run/webops/alfa/1-web-1.sock"
    assert walls.tries_as("root", ("read", variables), ("speak", socket)) == ["allowed"] * 2
    assert walls.tries_as("www-data", ("read", variables), ("speak", socket)) == ["blocked", "allowed"]
    for who in ("alfa", "beta"):
        assert walls.tries(who, ("read", variables), ("speak", socket)) == ["blocked"] * 2
        assert walls.tries_as(f"wo-{who}", ("read", variables), ("speak", socket)) == ["blocked"] * 2


def test_iso_03_what_a_neighbour_runs_is_not_read(walls: Walled) -> None:
    """Command lines stand in unit files, which systemd wants to be readable."""
    attempts = [("read", f"/etc/systemd/system/{ALFA}{kind}") for kind in (".service", ".socket", ".proxy.service")]
    assert walls.tries_as("wo-beta", *attempts) == ["allowed"] * 3, "the control: users alone do not keep it away"
    assert walls.tries("beta", *attempts, ("listing", "/etc/systemd/system")) == ["blocked"] * 4


def test_iso_03_nobody_answers_on_a_neighbours_port(walls: Walled) -> None:
    """Beta sits down on the port that is reserved for alfa while alfa is away."""
    sit = (
        "import socket, threading; door = socket.create_server(('127.0.0.1', 10000)); print('sits', flush=True);"
        "threading.Event().wait()"
    )
    walls.server.run(f"systemctl stop {ALFA}.service {ALFA}.proxy.service")
    try:
        walls.server.run(f'systemd-run --quiet --unit=squatter -p User=wo-beta /usr/bin/python3 -I -c "{sit}"')
        until(lambda: ":10000 " in walls.server.run(("ss", "-tln")).stdout, "the port to be taken")
        connect = "import socket; socket.create_connection(('127.0.0.1', 10000), 1.5)"
        assert walls.server.run(("python3", "-c", connect), check=False).returncode != 0
        assert walls.counted()["serving"] > 0
    finally:
        walls.server.run(("systemctl", "stop", "squatter"))
        walls.start("alfa")


def test_sec_03_the_system_bus_is_out_of_reach_and_holds_no_secret(walls: Walled) -> None:
    bus = ("speak", "/run/dbus/system_bus_socket")
    assert walls.tries_as("wo-alfa", bus) == ["allowed"], "the control: users alone do not keep it away"
    assert walls.tries("alfa", bus, ("speak", "/run/systemd/private")) == ["blocked"] * 2
    shown = walls.server.run(("systemctl", "show", f"{ALFA}.service"), user="nobody").stdout
    assert f"/etc/webops/units/{ALFA}.env" in shown
    assert "the secret of alfa" not in shown


# --- resources -------------------------------------------------------------------------------------------------


def beside(walls: Walled, attack: str) -> None:
    """While the attack goes on in alfa's sandbox, beta's answers get at most twice as slow, and it goes on."""
    usual, pid = latency(walls), walls.pid("beta")
    unit = walls.leave(FOREVER[attack], "alfa")
    try:
        until(lambda: pressed(walls, unit, attack), "the attack to be at its limit")
        before = pressed(walls, unit, attack)
        meanwhile = latency(walls)
        assert pressed(walls, unit, attack) > before, "the attack went on all the while"
    finally:
        walls.server.run(("systemctl", "stop", unit), check=False)
    for now, then, least in zip(meanwhile, usual, (0.005, 0.05), strict=True):
        assert now < max(2 * then, least), (meanwhile, usual)
    assert walls.pid("beta") == pid


def pressed(walls: Walled, unit: str, attack: str) -> int:
    """How often it was stopped by its limit so far; 0 when it does not run any more."""
    shown = walls.server.run(("systemctl", "show", "--property=ActiveState,ControlGroup", unit)).stdout
    state = dict(line.split("=", 1) for line in shown.splitlines())
    if state["ActiveState"] != "active":
        return 0
    if attack == "lines":
        counted = f"cat /proc/$(systemctl show --property=MainPID --value {unit})/io"
        found = re.search(r"^wchar: (\d+)$", walls.server.run(counted).stdout, re.MULTILINE)
    else:
        files, pattern = PRESSED[attack]
        places = (
            f"/sys/fs/cgroup{part}{state['ControlGroup']}/{file}" for part in ("", "/*") for file in files.split()
        )
        counted = walls.server.run(f"cat {' '.join(places)} 2>/dev/null", check=False).stdout
        found = re.search(pattern, counted, re.MULTILINE)
    assert found is not None
    return int(found[1])


def latency(walls: Walled) -> tuple[float, float]:
    """How long beta takes to answer, in seconds: usually, and once in a hundred times."""
    words = ("python3", "-c", LATENCY, "/run/webops/beta/1-web-1.sock")
    usual, slow = json.loads(walls.server.run(words).stdout)
    return usual, slow


def test_iso_04_a_fork_bomb_ends_at_the_limit_of_tasks(walls: Walled) -> None:
    beside(walls, "tasks")
    made = int(walls.inside("alfa", BOMB).lines[0])
    assert 10 < made < 48


def test_iso_04_memory_ends_at_its_limit(walls: Walled) -> None:
    assert walls.outside("nobody", GREEDY).stdout.strip() == "had it"
    beside(walls, "memory")
    done = walls.inside("alfa", GREEDY, check=False)
    assert done.returncode != 0
    assert "had it" not in done.stdout


def test_iso_04_the_processor_is_shared(walls: Walled) -> None:
    beside(walls, "cpu")
    telling = f"{BUSY}print(sum(os.times()[:2]) / 3, flush=True)\n{WAITING}"
    shares = [float(line) for line in walls.inside("alfa", telling).lines]
    assert len(shares) == 8
    assert sum(shares) < 0.75, "half a processor was given"


def test_iso_04_a_flood_of_lines_is_cut(walls: Walled) -> None:
    beside(walls, "lines")
    unit = walls.leave(LOUD, "alfa")
    until(lambda: walls.server.run(("systemctl", "is-active", unit), check=False).lines == ["inactive"], "all lines")
    walls.server.run(("journalctl", "--sync"))
    kept = walls.server.run(f"journalctl --no-pager -o cat -u {unit} | wc -l").stdout
    assert int(kept) < LINES / 2
