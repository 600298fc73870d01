"""The lab itself: what the other tests of a server rely on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.server.lab import disk, record
from tests.server.lab.lab import CHECKOUT, Lab, find, sweep
from tests.server.lab.places import LabError, cache, locked
from tests.server.lab.server import Server
from tests.support.waiting import until

pytestmark = pytest.mark.server

TOO_MUCH = "memory = b'x' * 200_000_000; print('had it')"
REACH = "import socket; socket.create_connection(('127.0.0.1', 22), 2); print('reached')"
FORK = """
import os, time
for number in range(20):
    try:
        if os.fork() == 0:
            time.sleep(60)
    except BlockingIOError:
        print(number); break
"""
SPIN = "import time; end = time.monotonic() + 1.5\nwhile time.monotonic() < end: pass\nprint(time.process_time())"


@pytest.fixture
def server(bare: Server) -> Server:
    return bare


def limited(server: Server, program: str, *properties: str) -> str:
    """What a program prints as a unit with these properties."""
    chosen = [word for one in properties for word in ("-p", one)]
    words = ("systemd-run", "--quiet", "--pipe", "--wait", "--collect", *chosen, "python3", "-c", program)
    return server.run(words, check=False).stdout.strip()


def test_it_is_a_booted_debian(server: Server, suite: str) -> None:
    assert f"VERSION_CODENAME={suite}" in server.read("/etc/os-release")
    assert server.run(("systemctl", "is-system-running")).stdout.strip() == "running"
    assert server.failed_units == ()
    assert server.run(("cat", "/proc/1/comm")).stdout.strip() == "systemd"


def test_a_command_passes_its_input_output_and_status(server: Server) -> None:
    done = server.run("cat; echo $WORD >&2; exit 7", check=False, input="in", env={"WORD": "err"})
    assert (done.returncode, done.stdout, done.stderr) == (7, "in", "err\n")
    with pytest.raises(LabError, match=r"status 7"):
        server.run("exit 7")
    assert server.run(("id", "-un"), user="www-data").stdout.strip() == "www-data"


def test_a_command_that_takes_too_long_is_stopped(server: Server) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        server.run(("sleep", "4321"), timeout=0.5)
    until(lambda: "4321" not in server.run(("ps", "-eo", "args")).stdout, "the command to be gone")


def test_files_go_in_and_out(server: Server, tmp_path: Path) -> None:
    server.write("/srv/deep/down/file", "content", 0o600)
    assert server.read("/srv/deep/down/file") == "content"
    assert server.run(("stat", "-c", "%a %U", "/srv/deep/down/file")).stdout.strip() == "600 root"


def test_memory_is_limited(server: Server) -> None:
    assert limited(server, TOO_MUCH) == "had it"
    assert limited(server, TOO_MUCH, "MemoryMax=64M") == ""


def test_tasks_are_limited(server: Server) -> None:
    assert limited(server, FORK, "TasksMax=5") == "4"


def test_processor_time_is_limited(server: Server) -> None:
    assert float(limited(server, SPIN, "CPUQuota=20%")) < 0.6


def test_addresses_can_be_denied(server: Server) -> None:
    assert limited(server, REACH) == "reached"
    assert limited(server, REACH, "IPAddressDeny=127.0.0.0/8") == ""


def test_it_has_a_firewall_of_its_own(server: Server) -> None:
    server.run("apt-get -qq install -y --no-install-recommends nftables > /dev/null")
    server.run(("nft", "add", "table", "inet", "inside"))
    assert "inside" in server.run(("nft", "list", "tables")).stdout
    assert "inside" not in subprocess.run(("nft", "list", "tables"), capture_output=True, check=True, text=True).stdout


def test_the_clock_and_the_kernel_of_this_machine_are_out_of_reach(server: Server) -> None:
    """Looked at and never tried: where it fails, everybody on this machine would have another clock."""
    forbidden = 1 << 16 | 1 << 25  # CAP_SYS_MODULE, CAP_SYS_TIME
    sets = server.run("grep -hE 'Cap(Prm|Eff|Bnd)' /proc/1/status /proc/self/status").lines
    assert [line for line in sets if int(line.split()[1], 16) & forbidden] == []


def test_servers_reach_each_other_and_this_machine(lab: Lab, suite: str, server: Server) -> None:
    other = lab.server(suite)
    try:
        probe = "import socket, sys; socket.create_connection((sys.argv[1], 22), 5); print('reached')"
        for address in (server.address, server.address6):
            assert other.run(("python3", "-c", probe, address)).stdout == "reached\n"
        assert other.run(("cat", "/etc/machine-id")).stdout != server.run(("cat", "/etc/machine-id")).stdout
    finally:
        other.close()


def test_the_package_registries_answer(server: Server) -> None:
    server.run(("apt-get", "-q", "update"))
    server.run("apt-get -qq install -y --no-install-recommends python3-venv > /dev/null")
    server.run("python3 -m venv /opt/venv && /opt/venv/bin/pip download -q --no-deps -d /opt/got idna")
    assert server.run("ls /opt/got").stdout.startswith("idna-")


def test_a_reboot_keeps_files(server: Server) -> None:
    server.write("/srv/kept", "here")
    server.write("/run/lost", "here")
    server.reboot()
    assert server.read("/srv/kept") == "here"
    assert server.run(("test", "-e", "/run/lost"), check=False).returncode == 1
    assert limited(server, TOO_MUCH, "MemoryMax=64M") == "", "limits hold after a reboot too"


def test_a_power_cut_asks_nobody(server: Server) -> None:
    server.write("/srv/kept", "here")
    server.run("systemd-run --quiet --unit=last -p 'ExecStop=touch /srv/told' sleep infinity")
    server.power_cut()
    assert not server.running
    server.boot()
    assert server.read("/srv/kept") == "here"
    assert server.run(("test", "-e", "/srv/told"), check=False).returncode == 1


def test_a_reboot_from_inside_is_followed(server: Server) -> None:
    before = server.leader
    server.run(("systemctl", "reboot"), check=False)
    server.comes_back()
    assert server.leader != before
    assert limited(server, TOO_MUCH, "MemoryMax=64M") == ""


def test_a_frozen_state_is_where_others_start(lab: Lab, suite: str) -> None:
    label = f"test-{lab.network.number}-{suite}"
    first = lab.server(suite)
    first.write("/srv/installed", "once")
    first.freeze(label)
    first.close()
    try:
        second, third = lab.server(state=label), lab.server(state=label)
        second.write("/srv/installed", "changed")
        assert (second.suite, third.read("/srv/installed")) == (suite, "once")
        second.close()
        third.close()
    finally:
        disk.forget(label)


def test_nothing_is_left_of_a_server(lab: Lab, suite: str) -> None:
    server = lab.server(suite)
    leader = server.leader
    server.run("systemd-run --quiet sleep infinity; setsid sleep infinity > /dev/null 2>&1 &")
    server.close()
    assert record.birth(leader) == ""
    assert server.groups.gone()
    assert not server.disk.folder.exists()
    assert not Path(f"/run/netns/{server.space}").exists()
    assert str(server.disk.folder) not in Path("/proc/mounts").read_text()
    with pytest.raises(LabError, match="there is no server"):
        find(server.name)


def test_what_a_dead_session_left_is_swept_up(lab: Lab, suite: str) -> None:
    program = f"""
import os, signal
from tests.server.lab.lab import Lab
print(Lab().server({suite!r}).name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run((sys.executable, "-c", program), cwd=CHECKOUT, capture_output=True, text=True, check=False)
    left = find(done.stdout.strip())
    assert left.running, done.stderr
    with locked("lab"):
        assert left.name in sweep()
    assert record.birth(left.leader) == ""
    assert left.groups.gone()
    assert not os.path.lexists(f"/sys/class/net/{left.network.bridge}")
    tables = subprocess.run(("nft", "list", "tables"), capture_output=True, check=True, text=True).stdout
    assert f"ip {left.network.bridge}\n" not in tables


def test_two_sessions_have_two_networks(lab: Lab) -> None:
    with Lab() as other:
        assert other.network.subnet != lab.network.subnet
        assert Path(f"/sys/class/net/{other.network.bridge}").exists()
    assert not Path(f"/sys/class/net/{other.network.bridge}").exists()


def test_the_next_server_at_an_address_is_found_at_once(lab: Lab) -> None:
    """Nothing listens there: who is found refuses, and who is looked for at an old hardware address is silent."""
    network, index = lab.network, 238
    neighbour, space = (f"wo-net-{network.number}-{number}" for number in (1, 2))
    network.plug(neighbour, index + 1)  # with nobody else there, this machine forgets whom it knew
    try:
        for _ in range(3):
            network.plug(space, index)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((network.address(index), 9), timeout=5)
            network.unplug(space, index)
    finally:
        network.unplug(space, index)
        network.unplug(neighbour, index + 1)


def test_the_cache_lies_outside_of_the_checkout() -> None:
    assert not cache().resolve().is_relative_to(CHECKOUT)
