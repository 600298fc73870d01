"""What is looked at before anything is changed, and who listens where."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.install.machines import BOOKWORM, machine

from webops_host.linux.uids import FIRST_UID
from webops_host.runner import Result
from webops_install import facts, listening, preflight
from webops_install.answers import Answers
from webops_install.facts import Facts, System
from webops_install.listening import Listener
from webops_install.preflight import Look

GOOD = Look(
    facts=Facts(BOOKWORM, "x86_64", 2048, 2, 20_000, ("192.0.2.7",), False),
    answers=Answers("apps.test", "panel.apps.test", addresses=("192.0.2.7",)),
    listeners=[Listener(22, "sshd", 1), Listener(80, "nginx", 2)],
    leads_to={"panel.apps.test": {"192.0.2.7"}},
    newest=1_000_000_000.0,
    now=1_000_000_100.0,
    is_root=True,
    is_booted=True,
)
JAMMY = System("ubuntu", "22.04", "Ubuntu 22.04.5 LTS")
NOBLE = System("ubuntu", "24.04", "Ubuntu 24.04.3 LTS")


def stops(tmp_path: Path, look: Look) -> list[str]:
    found = preflight.findings(machine(tmp_path)[0], look)
    return [finding.text for finding in found if finding.stops]


def of(**changed: object) -> Look:
    return dataclasses.replace(GOOD, facts=dataclasses.replace(GOOD.facts, **changed))


def test_a_good_machine_is_taken_without_a_word(tmp_path: Path) -> None:
    assert preflight.findings(machine(tmp_path)[0], GOOD) == []
    assert preflight.findings(machine(tmp_path)[0], of(system=NOBLE, architecture="aarch64")) == []


@pytest.mark.parametrize(
    ("look", "says"),
    [
        (dataclasses.replace(GOOD, is_root=False), "root"),
        (dataclasses.replace(GOOD, is_booted=False), "systemd"),
        (of(system=JAMMY), "Python 3.10"),
        (of(system=System("fedora", "43", "Fedora Linux 43")), "Fedora Linux 43"),
        (of(architecture="armv7l"), "armv7l"),
        (of(memory_mib=256), "256 MiB of memory"),
        (of(disk_mib=900), "900 MiB of free disk"),
        (dataclasses.replace(GOOD, listeners=[Listener(443, "apache2", 77)]), "apache2"),
        (dataclasses.replace(GOOD, now=500_000_000.0), "1985-11-05"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_stops_it(tmp_path: Path, look: Look, says: str) -> None:
    (said,) = stops(tmp_path, look)
    assert says in said


@pytest.mark.parametrize("leads", [set(), {"198.51.100.1"}])
def test_a_name_that_leads_elsewhere_is_said_with_the_record_to_set(tmp_path: Path, leads: set[str]) -> None:
    look = dataclasses.replace(GOOD, leads_to={"panel.apps.test": leads})
    (finding,) = preflight.findings(machine(tmp_path)[0], look)
    assert not finding.stops
    assert "*.apps.test. A 192.0.2.7" in finding.hint


@pytest.mark.parametrize(
    ("listener", "door"),
    [
        (Listener(8443, "nginx", 2), "8443/tcp"),
        (Listener(51820, protocol="udp"), "51820/udp"),
        (Listener(443, "nginx", 2, "udp"), "443/udp"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_will_not_be_reached_any_more_is_said_with_what_leaves_it_open(
    tmp_path: Path, listener: Listener, door: str
) -> None:
    look = dataclasses.replace(GOOD, listeners=[*GOOD.listeners, listener])
    (finding,) = preflight.findings(machine(tmp_path)[0], look)
    assert not finding.stops
    assert door in finding.text
    assert listener.program in finding.text
    assert f"--open-port {door}" in finding.hint
    decided = dataclasses.replace(look, answers=dataclasses.replace(look.answers, open_ports=(door,)))
    assert preflight.findings(machine(tmp_path)[0], decided) == []


def test_what_is_not_reached_from_outside_anyway_is_not_worth_a_word(tmp_path: Path) -> None:
    listeners = [
        Listener(5432, "postgres", 3, is_local=True),
        Listener(2222, "sshd", 4),
        Listener(68, "dhclient", 5, "udp"),
        Listener(8000, "gunicorn", 6, uid=FIRST_UID),
    ]
    look = dataclasses.replace(GOOD, listeners=listeners, ssh_ports=(22, 2222))
    assert preflight.findings(machine(tmp_path)[0], look) == []


def test_an_nginx_that_is_broken_already_is_not_built_on(tmp_path: Path) -> None:
    made, programs = machine(tmp_path)
    (tmp_path / "usr/sbin").mkdir(parents=True)
    (tmp_path / "usr/sbin/nginx").touch()
    programs.do_nginx = lambda words: Result(1, "nginx: [emerg] unknown directive")  # type: ignore[attr-defined]
    (finding,) = preflight.findings(made, GOOD)
    assert finding.stops
    assert "unknown directive" in finding.text


def test_systems_are_told_by_their_own_file() -> None:
    text = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n'
    assert facts.system(text) == System("debian", "13", "Debian GNU/Linux 13 (trixie)")
    assert not facts.system("").is_supported
    assert facts.memory_mib("MemTotal:        2014848 kB\n") == 1967


def test_listeners_are_found_with_their_programs(tmp_path: Path) -> None:
    made, _ = machine(tmp_path)
    net, process = tmp_path / "proc/net", tmp_path / "proc/41"
    net.mkdir(parents=True)
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("apache2\n")
    (process / "fd/3").symlink_to("socket:[777]")
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    listening_ = "   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 777 1\n"
    open_ = "   1: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000 0 0 778 1\n"
    local = "   2: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000 110 0 779 1\n"
    (net / "tcp").write_text(head + listening_ + open_ + local)
    mapped = "   0: 0000000000000000FFFF00000100007F:0CEB 0:0 0A 00000000:00000000 00:00000000 00000000 0 0 780 1\n"
    own = "   1: 00000000000000000000000001000000:0CEC 0:0 0A 00000000:00000000 00:00000000 00000000 0 0 781 1\n"
    all_ = "   2: 00000000000000000000000000000000:0CED 0:0 0A 00000000:00000000 00:00000000 00000000 0 0 782 1\n"
    (net / "tcp6").write_text(head + mapped + own + all_)
    tunnel = "  10: 00000000:CA6C 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 783 2 0\n"
    asking = "  11: 0700000A:CA6D 08080808:0035 01 00000000:00000000 00:00000000 00000000 0 0 784 2 0\n"
    (net / "udp").write_text(head + tunnel + asking)
    assert listening.listeners(made) == [
        Listener(80, "apache2", 41),
        Listener(3306, uid=110, is_local=True),
        Listener(3307, is_local=True),
        Listener(3308, is_local=True),
        Listener(3309),
        Listener(51820, protocol="udp"),
    ]
