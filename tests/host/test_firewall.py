"""The firewall as text, and the facts it is made from."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.host.test_addresses import CLASSES, PUBLIC, SPELLINGS

from webops_host.errors import BadValue
from webops_host.linux import firewall, firewall_load, platform, resolvers, ssh_ports
from webops_host.linux.firewall import Rules
from webops_host.linux.platform import Destination

RULES = Rules(
    resolvers=tuple(map(ipaddress.ip_address, ("127.0.0.53", "10.0.0.2", "fe80::1"))),
    private=((ipaddress.ip_address("10.1.2.3"), 8443), (ipaddress.ip_address("fd00::7"), 443)),
    own_ports=((20010, 31000), (20011, 31001)),
    ssh_ports=(22, 2222),
    tcp_ports=(8443, 443),
    udp_ports=(51820,),
    ours=(998, 997),
)
SETS = """\
	set resolvers_v4 { type ipv4_addr; elements = { 127.0.0.53, 10.0.0.2 } }
	set private_v4 { type ipv4_addr . inet_service; elements = { 10.1.2.3 . 8443 } }
	set resolvers_v6 { type ipv6_addr; elements = { fe80::1 } }
	set private_v6 { type ipv6_addr . inet_service; elements = { fd00::7 . 443 } }
	set own_ports { type uid . inet_service; elements = { 20010 . 31000, 20011 . 31001 } }
	set open_ports { type inet_service; elements = { 22, 80, 443, 2222, 8443 } }
	set open_udp_ports { type inet_service; elements = { 51820 } }
"""
WALL = """\
	chain output {
		type filter hook output priority filter; policy accept;
		meta skuid 20000-29999 jump wall
		meta skuid { 998, 997 } jump metadata
	}
	chain metadata {
		ip daddr { 169.254.0.0/16, 168.63.129.16 } counter name to_metadata reject with icmpx admin-prohibited
		ip6 daddr { fd00:ec2::254, fd20:ce::254 } counter name to_metadata reject with icmpx admin-prohibited
	}
	chain wall {
		tcp flags & (fin | syn | rst | ack) == (syn | ack) meta skuid . tcp sport != @own_ports \
counter name serving drop
		oifname != "lo" tcp flags & (fin | syn | rst | ack) == (syn | ack) counter name serving drop
		oifname != "lo" meta l4proto udp ct direction reply counter name serving drop
		ct state established,related counter accept
		meta l4proto { tcp, udp } ip daddr @resolvers_v4 th dport 53 counter accept
		meta l4proto { tcp, udp } ip6 daddr @resolvers_v6 th dport 53 counter accept
		ip daddr 127.0.0.1 meta skuid . tcp dport @own_ports counter accept
		ip6 daddr ::1 meta skuid . tcp dport @own_ports counter accept
		meta skuid 20000-20001 ip daddr . tcp dport @private_v4 counter accept
		meta skuid 20000-20001 ip6 daddr . tcp dport @private_v6 counter accept
		jump metadata
		ip daddr @inner_v4 counter name to_inner reject with icmpx admin-prohibited
		ip6 daddr != { 2000::/3, 64:ff9b::/96 } counter name to_inner reject with icmpx admin-prohibited
		ip6 daddr @inner_v6 counter name to_inner reject with icmpx admin-prohibited
		fib daddr type { local, broadcast, anycast, multicast } counter name to_this_machine reject with icmpx \
admin-prohibited
		tcp dport 25 counter name to_mail reject with icmpx admin-prohibited
	}
"""
PROC_TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:08AE 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 501 1 0 100 0 0 10 0
   1: 0100007F:177A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 502 1 0 100 0 0 10 0
   2: 02007B0A:0457 05007B0A:D431 01 00000000:00000000 00:00000000 00000000     0        0 503 1 0 100 0 0 10 0
   3: 02007B0A:C001 0808080A:01BB 01 00000000:00000000 00:00000000 00000000     0        0 504 1 0 100 0 0 10 0
   4: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 505 1 0 100 0 0 10 0
"""
"""sshd listens at 2222 and, for somebody's tunnel, at 127.0.0.1:6010; a session came in at 1111 and forwards one."""


def test_the_table_is_replaced_in_one_transaction():
    text = firewall.render(RULES)
    assert text.splitlines()[1:4] == ["table inet webops", "delete table inet webops", "table inet webops {"]
    assert "flush" not in text


def test_the_wall_as_it_is_loaded():
    text = firewall.render(RULES)
    assert SETS in text
    assert WALL in text
    assert text.endswith(firewall.INPUT + "}\n")


def test_every_rule_counts():
    rules = [line.strip() for line in firewall.render(RULES).splitlines() if line.startswith("\t\t")]
    silent = [
        rule for rule in rules if " counter" not in f" {rule}" and "jump" not in rule and not rule.startswith("type ")
    ]
    assert silent == []


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nft")
@pytest.mark.parametrize("rules", [RULES, Rules()], ids=["full", "empty"])
def test_the_kernel_takes_it(rules: Rules):
    command = firewall.check(firewall.render(rules))
    subprocess.run(["unshare", "-n", "nft", *command.argv[1:]], input=command.stdin, check=True)


@pytest.mark.parametrize("text", [word for word in (*SPELLINGS, *CLASSES) if word[0] in "0123456789f:" and word != "0"])
def test_what_may_not_be_fetched_from_is_behind_the_wall(text: str):
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return  # a spelling of IPv4 that only resolvers read
    assert _is_walled(address) or _is_documentation(address)


@pytest.mark.parametrize("text", ["8.8.8.8", "140.82.121.3", "2606:4700::1111", "64:ff9b::808:808"])
def test_what_is_public_is_not(text: str):
    assert text in (*PUBLIC, "64:ff9b::808:808")
    assert not _is_walled(ipaddress.ip_address(text))


def test_a_port_is_permitted_by_numbers_alone():
    assert firewall.permit(20010, 31000).argv[-2:] == ("own_ports", "{ 20010 . 31000 }")
    with pytest.raises(ValueError, match="format code 'd'"):
        firewall.permit("20010 . 1, 0", 31000)  # type: ignore[arg-type]


# --- facts -----------------------------------------------------------------------------------------------------


def test_name_servers_as_resolv_conf_names_them(tmp_path: Path):
    (tmp_path / "resolv.conf").write_text(
        "# nameserver 9.9.9.9\nsearch a.test\nnameserver 127.0.0.53\nnameserver fe80::1%eth0\nnameserver nonsense\n"
    )
    assert resolvers.read(tmp_path / "resolv.conf") == ("127.0.0.53", "fe80::1")
    assert resolvers.read(tmp_path / "none") == ()


def test_private_places_by_all_their_addresses_and_unknown_ones_stay_closed():
    def resolver(host: str, port: int) -> list[str]:
        if host == "gone.internal":
            raise OSError("no such name")
        return ["10.1.2.3", "fd00::7"]

    places = [Destination("git.internal", 8443), Destination("gone.internal", 443)]
    found = [(str(address), port) for address, port in firewall_load.resolved(places, resolver)]
    assert found == [("10.1.2.3", 8443), ("fd00::7", 8443)]


def test_the_ports_that_were_decided_are_open_by_their_protocols():
    decided = {"platform": {"domain": "apps.test", "open_ports": ["8443/tcp", "51820/udp", "53/tcp", "53/udp"]}}
    rules = firewall_load.facts(platform.parse(decided))
    assert (rules.tcp_ports, rules.udp_ports) == ((8443, 53), (51820, 53))


def test_reserved_ports_are_read_from_hostds_record():
    assert list(firewall_load.own_ports('{"20011": [31001], "20010": [31000, 31002]}')) == [
        (20010, 31000),
        (20010, 31002),
        (20011, 31001),
    ]
    assert list(firewall_load.own_ports("")) == []


@pytest.mark.parametrize("text", ["[", "[1]", '{"x": [1]}', '{"0": [31000]}', '{"20010": [80]}', '{"20010": 5}'])
def test_a_record_that_can_not_be_trusted_opens_nothing(text: str):
    with pytest.raises(BadValue):
        list(firewall_load.own_ports(text))


def test_ports_of_ssh_by_its_settings(tmp_path: Path):
    (tmp_path / "sshd_config.d").mkdir()
    (tmp_path / "sshd_config.d/50-port.conf").write_text("Port 2200\nListenAddress [fd00::1]:2201\n")
    main = tmp_path / "sshd_config"
    main.write_text(
        "#Port 22\nInclude sshd_config.d/*.conf\nport=22\nListenAddress 10.0.0.1:2202\nListenAddress ::\n"
        "ListenAddress 0.0.0.0\nPermitRootLogin no\n"
    )
    assert set(ssh_ports.of_settings(main)) == {22, 2200, 2201, 2202}
    assert set(ssh_ports.of_settings(tmp_path / "none")) == set()


def test_settings_that_include_themselves_end(tmp_path: Path):
    (tmp_path / "sshd_config").write_text("Include sshd_config\nPort 2022\n")
    assert set(ssh_ports.of_settings(tmp_path / "sshd_config")) == {2022}


def test_ports_of_ssh_by_socket_units():
    assert list(ssh_ports.of_socket_units("0.0.0.0:22 (Stream)\n[::]:2222 (Stream)\n/run/x (Datagram)")) == [22, 2222]


def test_the_port_of_this_session():
    assert list(ssh_ports.of_session({"SSH_CONNECTION": "198.51.100.7 50000 203.0.113.2 2022"})) == [2022]
    assert list(ssh_ports.of_session({"SSH_CONNECTION": "nonsense"})) == []
    assert list(ssh_ports.of_session({})) == []


def process(proc: Path, pid: int, name: str, inodes: Iterable[int], uid: int = 0) -> None:
    """One in `proc` that holds sockets."""
    (proc / "net").mkdir(exist_ok=True)
    (proc / "net/tcp").write_text(PROC_TCP)
    folder = proc / str(pid)
    (folder / "fd").mkdir(parents=True)
    (folder / "comm").write_text(f"{name}\n")
    (folder / "status").write_text(f"Name:\t{name}\nState:\tS\nUid:\t{uid}\t0\t0\t0\nGid:\t0\t0\t0\t0\n")
    for number, inode in enumerate(inodes):
        (folder / "fd" / str(number)).symlink_to(f"socket:[{inode}]")


def test_ports_of_ssh_by_its_programs(tmp_path: Path):
    process(tmp_path, 1, "systemd", ())
    process(tmp_path, 10, "sshd", (501, 502))
    process(tmp_path, 11, "sshd-session", (503, 504))
    process(tmp_path, 12, "nginx", (505,))
    assert set(ssh_ports.of_programs(tmp_path)) == {2222, 1111}


def test_net_02_a_program_that_takes_the_name_of_sshd_opens_no_port(tmp_path: Path):
    process(tmp_path, 10, "sshd", (503,))
    process(tmp_path, 11, "sshd", (501, 505), uid=20010)
    process(tmp_path, 12, "sshd", (505,))
    (tmp_path / "12/status").unlink()  # it ended meanwhile
    assert set(ssh_ports.of_programs(tmp_path)) == {1111}


# --- reading the rendered sets again ---------------------------------------------------------------------------


def _is_walled(address: firewall.Address) -> bool:
    """What the rules say of an address, which are read from the text and not from what made it."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_walled(address.ipv4_mapped)  # a socket to it sends IPv4
        if not any(address in ipaddress.ip_network(text) for text in ("2000::/3", "64:ff9b::/96")):
            return True
        return _in_set(address, "inner_v6")
    return _in_set(address, "inner_v4") or str(address) == "168.63.129.16" or str(address).startswith("169.254.")


def _in_set(address: firewall.Address, name: str) -> bool:
    line = next(line for line in firewall.render(RULES).splitlines() if f"set {name} " in line)
    elements = line.partition("elements = { ")[2].removesuffix(" } }").split(", ")
    return any(address in ipaddress.ip_network(element) for element in elements)


def _is_documentation(address: firewall.Address) -> bool:
    """They lead nowhere, or to a mirror that somebody put there on purpose; ISATAP is a name in a public address."""
    ranges = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
    return any(address in ipaddress.ip_network(text) for text in ranges) or ":5efe:" in str(address)


def test_a_fingerprint_sees_rules_and_not_what_they_counted():
    listing = {"nftables": [{"rule": {"handle": 3, "expr": [{"counter": {"packets": 0, "bytes": 0}}, {"drop": None}]}}]}
    later = json.loads(json.dumps(listing).replace("0", "7").replace("3", "9"))
    other = json.loads(json.dumps(listing).replace("drop", "accept"))
    first, second, third = (firewall.fingerprint(json.dumps(each).encode()) for each in (listing, later, other))
    assert first == second != third
