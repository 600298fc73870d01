"""What programs on the server reach, and what of them is reached: with the walls, and for comparison without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.server.lab.lab import Lab
from tests.server.lab.server import Server
from tests.server.walls import Walled
from tests.server.walls import walled as made_walled
from tests.server.walls import world as made_world
from tests.support import namespaces
from tests.support.waiting import until

pytestmark = pytest.mark.server
ASK = """
import socket
servers = [line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver")]
question = bytes.fromhex("2f1a01000001000000000000076578616d706c6503636f6d0000010001")  # the address of example.com
for _ in range(5):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(4)
        asking.sendto(question, (servers[0], 53))
        try:
            print("answered" if asking.recv(512)[:2] == question[:2] else "by another")
            break
        except TimeoutError:
            continue
"""

METADATA = ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "64:ff9b::a9fe:a9fe")
PRIVATE = ("10.20.30.40", "172.20.0.1", "192.168.77.1", "fd77::1", "fec0::77", "2002:7f00:1::1")
PUBLIC = ("8.8.4.4", "2606:4700::1111")
SPELLINGS = ("::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "2852039166", "0xa9fea9fe", "169.254.43518")
HERE = ("127.0.0.1", "127.0.0.2", "127.1", "0.0.0.0", "::ffff:127.0.0.1", "2130706433")
WALLED = ("webops-fetch", "webops-build", "webops-canary", "wo-alfa")
FREE = "nobody"
REDIS = """
bind 127.0.0.1 ::1
daemonize yes
pidfile /run/redis/redis-server.pid
unixsocket /run/redis/redis-server.sock
unixsocketperm 777
dir /var/lib/redis
"""
STAY = "import http.server, sys; http.server.test(port=int(sys.argv[1]), bind='0.0.0.0')"
AS_SSHD = """
import ctypes
ctypes.CDLL(None).prctl(15, b"sshd", 0, 0, 0)  # PR_SET_NAME
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: its folder in /proc is root's from here on
"""


@pytest.fixture
def walls(lab: Lab, suite: str) -> Walled:
    return made_walled(lab, suite)


@pytest.fixture
def server(walls: Walled) -> Server:
    return walls.server


@pytest.fixture
def world(lab: Lab, suite: str) -> Server:
    return made_world(lab, suite, (*METADATA, *PRIVATE, *PUBLIC))


@pytest.fixture
def without_rules(walls: Walled) -> Iterator[None]:
    with opened(walls):
        yield


@contextmanager
def opened(walls: Walled) -> Iterator[None]:
    """For comparison: the firewall is gone for a while."""
    walls.server.run(("nft", "delete", "table", "inet", "webops"))
    try:
        yield
    finally:
        walls.reload()


def at(port: int, hosts: tuple[str, ...]) -> list[tuple[str, list]]:
    return [("reach", [host, port]) for host in hosts]


def test_the_control_who_is_not_walled_reaches_it_all(walls: Walled, world: Server) -> None:
    places = at(80, METADATA + PRIVATE + PUBLIC + SPELLINGS)
    assert walls.tries_as(FREE, *places) == ["allowed"] * len(places)


@pytest.mark.parametrize("user", WALLED)
def test_net_01_no_user_of_ours_reaches_metadata_or_a_private_network(walls: Walled, world: Server, user: str) -> None:
    places = at(80, METADATA + SPELLINGS + PRIVATE)
    assert walls.tries_as(user, *places) == ["blocked"] * len(places)
    assert walls.tries_as(user, *at(80, PUBLIC)) == ["allowed"] * len(PUBLIC)


def test_net_01_nor_does_a_deployment_in_its_sandbox(walls: Walled, world: Server) -> None:
    places = at(80, METADATA + SPELLINGS + PRIVATE)
    assert walls.tries("alfa", *places) == ["blocked"] * len(places)
    assert walls.tries("alfa", *at(443, PUBLIC)) == ["allowed"] * len(PUBLIC)


def test_net_01_the_sandbox_holds_where_the_firewall_is_gone(walls: Walled, world: Server, without_rules: None) -> None:
    """The second layer by itself: packets are dropped, so nobody answers."""
    places = at(80, ("169.254.169.254", "::ffff:169.254.169.254", "10.20.30.40", "fd77::1"))
    assert walls.tries_as("wo-alfa", *places) == ["allowed"] * len(places)
    assert "allowed" not in walls.tries("alfa", *places)


def test_net_01_no_mail_is_sent_directly(walls: Walled, world: Server) -> None:
    assert walls.tries_as(FREE, *at(25, PUBLIC)) == ["allowed"] * 2
    assert walls.tries("alfa", *at(25, PUBLIC)) == ["blocked"] * 2
    assert walls.tries("alfa", *at(587, PUBLIC)) == ["allowed"] * 2


def test_a_deployment_finds_names_and_its_name_server_alone(walls: Walled) -> None:
    assert walls.inside("alfa", ASK).lines == ["answered"]


def test_net_02_a_port_that_a_deployment_opens_is_not_reached(walls: Walled, world: Server) -> None:
    """Neither from outside nor by a neighbour; nor does it answer anybody on this machine but its owner's proxy."""
    here = walls.server
    begin = "systemd-run --quiet --unit=open-port -p User=wo-beta"
    here.run(f'{begin} /usr/bin/python3 -I -c "{STAY}" 8080')
    try:
        with opened(walls):
            until_open(here)
            assert reaches(world, here.address, 8080)
            assert walls.tries("alfa", ("reach", ["127.0.0.1", 8080])) == ["allowed"]
        assert not reaches(world, here.address, 8080)
        assert not reaches(here, "127.0.0.1", 8080)
        assert walls.tries("alfa", ("reach", ["127.0.0.1", 8080])) == ["blocked"]
    finally:
        here.run(("systemctl", "stop", "open-port"))


def test_net_02_ssh_and_the_web_are_reached(walls: Walled, world: Server) -> None:
    here, ports = walls.server, ["22", "80", "443"]
    places = ", ".join(f'["::", {port}]' for port in ports)
    here.write("/usr/local/bin/doors", namespaces.LISTEN)
    here.run(("systemctl", "stop", "ssh.service", "ssh.socket", "nginx.service"), check=False)
    here.run(("systemd-run", "--quiet", "--unit=web", "/usr/bin/python3", "/usr/local/bin/doors", f"[{places}]"))
    try:
        for port in ports:
            until_open(here, int(port))
            assert reaches(world, here.address, int(port))
    finally:
        here.run(("systemctl", "stop", "web"))


def test_net_02_the_port_that_ssh_was_moved_to_is_reached(walls: Walled, world: Server) -> None:
    here = walls.server
    here.write("/etc/ssh/sshd_config", "Port 2022\n")
    walls.reload()
    try:
        assert "2022" in here.run("nft list set inet webops open_ports").stdout
    finally:
        here.run(("rm", "/etc/ssh/sshd_config"))
        walls.reload()


def test_net_02_a_port_that_was_opened_is_reached(walls: Walled, world: Server) -> None:
    here, decisions = walls.server, "/etc/webops/host.toml"
    before = here.read(decisions)
    here.run(f'systemd-run --quiet --unit=theirs /usr/bin/python3 -I -c "{STAY}" 8443')
    try:
        until_open(here, 8443)
        assert not reaches(world, here.address, 8443)
        here.write(decisions, f'{before}open_ports = ["8443/tcp"]\n')
        walls.reload()
        assert reaches(world, here.address, 8443)
    finally:
        here.write(decisions, before)
        here.run(("systemctl", "stop", "theirs"))
        walls.reload()


def test_net_02_a_deployment_that_calls_itself_sshd_opens_no_port(walls: Walled) -> None:
    here, stay = walls.server, AS_SSHD + STAY.replace("sys.argv[1]", "8022")
    sets = "nft list set inet webops open_ports"
    unit = walls.leave(stay, "beta")
    as_root = (
        "systemd-run",
        "--quiet",
        "--unit=real-sshd",
        "/usr/bin/python3",
        "-I",
        "-c",
        stay.replace("8022", "8023"),
    )
    here.run(as_root)
    try:
        for port in (8022, 8023):
            until_open(here, port)
        walls.reload()
        shown = here.run(sets).stdout
        assert "8022" not in shown
        assert "8023" in shown, "the control: root's is found by its name"
    finally:
        here.run(("systemctl", "stop", unit, "real-sshd"))
        walls.reload()


def test_net_03_redis_is_refused(walls: Walled) -> None:
    attempts = [("reach", ["127.0.0.1", 6379]), ("reach", ["::1", 6379]), ("speak", "/run/redis/redis-server.sock")]
    walls.server.write("/etc/redis/redis.conf", REDIS)
    walls.server.run(("systemctl", "restart", "redis-server"))
    until_open(walls.server, 6379)
    assert walls.tries_as(FREE, *attempts) == ["allowed"] * 3
    assert walls.tries("alfa", *attempts) == ["blocked"] * 3
    assert walls.tries_as("webops-build", *attempts[:2]) == ["blocked"] * 2


def test_net_03_postgresql_takes_nobody_for_another_role(walls: Walled) -> None:
    role = ("be_role", ["/run/postgresql/.s.PGSQL.5432", "postgres", "postgres"])
    assert walls.tries_as("postgres", role) == ["allowed"]
    assert walls.tries("alfa", role) == ["blocked"]
    assert walls.tries_as("wo-alfa", role, ("reach", ["127.0.0.1", 5432])) == ["blocked"] * 2


@pytest.mark.parametrize("url", ["http://169.254.169.254/x.git", "git://127.0.0.1:6379/x", "http://10.20.30.40/x.git"])
def test_ssrf_06_git_itself_is_held_where_no_check_came_before(walls: Walled, world: Server, url: str) -> None:
    """The panel would refuse these addresses. Here nobody asked it."""
    words = ("git", "ls-remote", url)
    free = walls.server.run(("runuser", "-u", FREE, "--", "timeout", "10", *words), check=False)
    assert free.returncode != 0
    before = walls.counted()
    held = walls.server.run(("runuser", "-u", "webops-fetch", "--", "timeout", "10", *words), check=False)
    assert held.returncode not in (0, 124)
    assert "connect" in held.stderr.lower()
    risen = {name for name, packets in walls.counted().items() if packets > before[name]}
    assert risen == {"to_metadata" if "169.254" in url else "to_inner"}
    assert free.stderr != held.stderr, "the control got an answer, if not one of Git's"


def reaches(server: Server, host: str, port: int) -> bool:
    program = f"import socket; socket.create_connection(({host!r}, {port}), 1.5).close()"
    return server.run(("python3", "-c", program), check=False).returncode == 0


def until_open(server: Server, port: int = 8080) -> None:
    until(lambda: f":{port} " in server.run(("ss", "-tln")).stdout, f"port {port} to be open")
