"""The rules at work, in network namespaces: who reaches what, in every spelling, with and without them."""

from __future__ import annotations

import ipaddress
import subprocess
from collections.abc import Iterator

import pytest
from tests.support import namespaces
from tests.support.namespaces import Space

from webops_host.linux import firewall
from webops_host.linux.firewall import Rules
from webops_host.linux.uids import BUILD_UID, CANARY_UID, FETCH_UID, FIRST_UID, UIDS

pytestmark = pytest.mark.skipif(bool(namespaces.missing()), reason=f"no network namespaces: {namespaces.missing()}")

APP, OTHER_APP = FIRST_UID, FIRST_UID + 1
WALLED = (FETCH_UID, BUILD_UID, CANARY_UID, APP, UIDS[1])
OURS = (0, 999, UIDS[0] - 1, UIDS[1] + 1)
PANEL = 997
OWN, OTHERS, UNRESERVED = 31000, 31001, 31002
PRIVATE = ("10.1.2.3", 443)

PUBLIC = ("8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "203.0.113.1")
DENIED = (
    "169.254.169.254", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "64:ff9b::a9fe:a9fe", "fd00:ec2::254",
    "168.63.129.16", "::ffff:168.63.129.16", "10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "172.16.0.1",
    "192.168.7.7", "100.64.0.9", "192.0.0.192", "198.18.0.1", "2002:7f00:1::1", "2001:0:7f00:1::1", "64:ff9b:1::1",
    "fd77::1", "fec0::1",
)  # fmt: skip
HERE = (
    "127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "203.0.113.2",
    "::ffff:203.0.113.2", "2001:db8:77::2",
)  # fmt: skip
"""Spellings of the server itself."""
WORLD = {text.removeprefix("::ffff:") for text in (*PUBLIC, *DENIED) if "::ffff:a9fe" not in text} - {"203.0.113.1"}


@pytest.fixture(scope="module")
def spaces() -> Iterator[tuple[Space, Space]]:
    with namespaces.pair([f"{text}/{128 if ':' in text else 32}" for text in WORLD]) as both:
        yield both


@pytest.fixture
def server(spaces) -> Iterator[Space]:
    """Without rules at first."""
    yield spaces[0]
    spaces[0].run("nft", "flush", "ruleset")


@pytest.fixture
def world(spaces) -> Space:
    return spaces[1]


@pytest.fixture
def walled(server: Space) -> Space:
    load(server)
    return server


def load(server: Space, *, tcp_ports: tuple[int, ...] = (), udp_ports: tuple[int, ...] = ()) -> None:
    ours = ((APP, OWN), (OTHER_APP, OTHERS))
    resolvers = (ipaddress.ip_address("10.1.2.3"), ipaddress.ip_address("fd77::1"))
    rules = Rules(
        resolvers, ((ipaddress.ip_address(PRIVATE[0]), PRIVATE[1]),), ours, (22, 2222), tcp_ports, udp_ports, (PANEL,)
    )
    command = firewall.load(firewall.render(rules))
    server.run("nft", *command.argv[1:], stdin=command.stdin.decode())


def counted(server: Space) -> dict[str, int]:
    return firewall.counted(server.run("nft", *firewall.show().argv[1:]).stdout.encode())


def at(port: int, hosts: tuple[str, ...]) -> list[tuple[str, int]]:
    return [(host, port) for host in hosts]


def test_the_control_without_rules_everything_is_reached(server: Space):
    places = at(80, PUBLIC + DENIED)
    assert dict(zip(places, server.connect(APP, places), strict=True)) == dict.fromkeys(places, "reached")


@pytest.mark.parametrize("uid", WALLED)
def test_net_01_no_spelling_of_an_inner_address_is_reached(walled: Space, uid: int):
    places = at(80, DENIED)
    answers = dict(zip(places, walled.connect(uid, places), strict=True))
    assert set(answers.values()) <= {"EHOSTUNREACH", "EACCES"}, answers
    assert walled.connect(uid, at(80, PUBLIC)) == ["reached"] * len(PUBLIC)


@pytest.mark.parametrize("uid", OURS)
def test_users_outside_the_range_are_not_held(walled: Space, uid: int):
    assert walled.connect(uid, at(80, PUBLIC + DENIED)) == ["reached"] * len(PUBLIC + DENIED)


def test_net_01_the_platforms_own_users_are_kept_from_the_metadata_alone(walled: Space):
    metadata = ("169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "168.63.129.16")
    assert set(walled.connect(PANEL, at(80, metadata))) <= {"EHOSTUNREACH", "EACCES"}
    assert walled.connect(PANEL, at(80, ("10.1.2.3", "8.8.8.8", "fd77::1"))) == ["reached"] * 3


def test_ssrf_06_what_is_refused_is_counted(walled: Space):
    before = counted(walled)
    walled.connect(FETCH_UID, [("169.254.169.254", 80), ("::ffff:10.1.2.3", 80), ("127.0.0.1", 6379), ("8.8.8.8", 25)])
    rise = {name: number - before[name] for name, number in counted(walled).items()}
    assert rise == {
        "to_metadata": 1, "to_inner": 2, "to_this_machine": 0, "to_mail": 1, "serving": 0, "from_outside": 0,
    }  # fmt: skip


def test_no_spelling_of_this_machine_is_reached(server: Space):
    with server.listening(0, ("::", 6379)):
        assert server.connect(APP, at(6379, HERE)) == ["reached"] * len(HERE)
        load(server)
        answers = server.connect(APP, at(6379, HERE))
        assert set(answers) <= {"EHOSTUNREACH", "EACCES"}, answers
        assert server.connect(0, at(6379, HERE)) == ["reached"] * len(HERE)


def test_mail_is_not_sent_directly_but_may_be_handed_in(walled: Space):
    assert walled.connect(APP, [("8.8.8.8", 25), ("2606:4700::1111", 25)]) == ["EHOSTUNREACH", "EACCES"]
    assert walled.connect(APP, [("8.8.8.8", 587)]) == ["reached"]


def test_names_are_asked_of_the_servers_that_are_named_alone(walled: Space):
    assert walled.connect(APP, [("10.1.2.3", 53), ("fd77::1", 53), ("::ffff:10.1.2.3", 53)]) == ["reached"] * 3
    assert walled.connect(APP, [("192.168.7.7", 53)]) == ["EHOSTUNREACH"]


def test_a_named_private_place_is_for_fetches_and_builds(walled: Space):
    for uid, answer in ((FETCH_UID, "reached"), (BUILD_UID, "reached"), (APP, "EHOSTUNREACH")):
        assert walled.connect(uid, [PRIVATE]) == [answer]
    assert walled.connect(FETCH_UID, [(PRIVATE[0], 80)]) == ["EHOSTUNREACH"]


def test_a_loopback_port_is_its_owners(server: Space):
    with server.listening(APP, ("::", OWN), ("127.0.0.1", UNRESERVED)), server.listening(OTHER_APP, ("::", OTHERS)):
        everything = [("127.0.0.1", OWN), ("::1", OWN), ("127.0.0.1", UNRESERVED), ("127.0.0.1", OTHERS)]
        assert server.connect(APP, everything) == ["reached"] * 4
        load(server)
        assert server.connect(APP, everything) == ["reached", "reached", "EHOSTUNREACH", "EHOSTUNREACH"]
        assert server.connect(OTHER_APP, [("127.0.0.1", OWN), ("::1", OWN)]) == ["EHOSTUNREACH", "EACCES"]
        assert server.connect(OTHER_APP, [("203.0.113.2", OTHERS)]) == ["EHOSTUNREACH"]


def test_who_has_no_port_reserved_answers_nobody(server: Space):
    """Else a program could sit on the port of another and be taken for it."""
    with server.listening(APP, ("127.0.0.1", OTHERS), ("127.0.0.1", OWN)):
        assert server.connect(0, [("127.0.0.1", OTHERS)]) == ["reached"]
        load(server)
        assert server.connect(0, [("127.0.0.1", OTHERS), ("127.0.0.1", OWN)], patience=0.5) == ["silence", "reached"]
        assert counted(server)["serving"] > 0


def test_a_port_is_given_and_taken_while_the_table_stays(walled: Space):
    with walled.listening(APP, ("127.0.0.1", UNRESERVED)):
        walled.run("nft", *firewall.permit(APP, UNRESERVED).argv[1:])
        assert walled.connect(APP, [("127.0.0.1", UNRESERVED)]) == ["reached"]
        walled.run("nft", *firewall.forbid(APP, UNRESERVED).argv[1:])
        assert walled.connect(APP, [("127.0.0.1", UNRESERVED)]) == ["EHOSTUNREACH"]


def test_net_02_from_outside_only_the_web_and_ssh_are_reached(server: Space, world: Space):
    ports = (22, 80, 443, 2222, 8080)
    with server.listening(0, *(("::", port) for port in ports)):
        places = [(host, port) for port in ports for host in ("203.0.113.2", "2001:db8:77::2")]
        assert world.connect(0, places) == ["reached"] * 10
        load(server)
        assert world.connect(0, places, patience=0.5) == ["reached"] * 8 + ["silence"] * 2
        assert counted(server)["from_outside"] > 0


def test_a_port_that_was_opened_is_reached_by_its_protocol(server: Space, world: Space):
    places = [(host, 8443) for host in ("203.0.113.2", "2001:db8:77::2")]
    tunnel = server.listening(0, ("::", 51820), program=namespaces.ECHO)
    with server.listening(0, ("::", 8443), ("::", 51820)), tunnel:
        load(server)
        assert world.connect(0, places, patience=0.5) == ["silence"] * 2
        assert world.ask("203.0.113.2", 51820) == "silence"
        load(server, tcp_ports=(8443,), udp_ports=(51820,))
        assert world.connect(0, places) == ["reached"] * 2
        assert [world.ask(host, 51820) for host, _ in places] == ["answered"] * 2
        assert world.connect(0, [("203.0.113.2", 51820)], patience=0.5) == ["silence"]


def test_net_02_no_deployment_answers_at_a_port_that_was_opened(server: Space, world: Space):
    """Not even where a port is reserved for it: who comes from outside comes through the web server."""
    door, port = ("203.0.113.2", OWN), ("::", 51820)
    with server.listening(APP, ("::", OWN)), server.listening(APP, port, program=namespaces.ECHO):
        assert world.connect(0, [door]) == ["reached"]
        assert world.ask("203.0.113.2", 51820) == "answered"
        load(server, tcp_ports=(OWN,), udp_ports=(51820,))
        assert world.connect(0, [door], patience=0.5) == ["silence"]
        assert world.ask("203.0.113.2", 51820) == "silence"
        assert counted(server)["serving"] >= 2
        assert server.connect(0, [("127.0.0.1", OWN)]) == ["reached"]


def test_what_was_open_before_goes_on(server: Space, world: Space):
    """A download, or a session at a port that nobody knows of, survives the first load."""
    talk = (
        "import socket, sys; s = socket.create_connection(('203.0.113.2', 8080), 5); print('open', flush=True);"
        "sys.stdin.readline(); s.sendall(b'more'); print(s.recv(9).decode())"
    )
    words = ["ip", "netns", "exec", world.name, namespaces.PYTHON, "-I", "-c", talk]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with server.listening(0, ("::", 8080)), subprocess.Popen(words, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        load(server)
        assert process.communicate("\n", timeout=10)[0] == "more\n"


def test_loading_again_changes_nobody_elses_table(walled: Space):
    walled.run("nft", "add", "table", "inet", "theirs")
    before = walled.run("nft", "-j", "list", "table", "inet", "webops").stdout.encode()
    load(walled)
    after = walled.run("nft", "-j", "list", "table", "inet", "webops").stdout.encode()
    assert firewall.fingerprint(before) == firewall.fingerprint(after)
    assert "table inet theirs" in walled.run("nft", "list", "tables").stdout


def test_a_rule_that_was_taken_out_is_noticed(walled: Space):
    before = walled.run("nft", "-j", "list", "table", "inet", "webops").stdout.encode()
    walled.run("nft", "flush", "chain", "inet", "webops", "wall")
    after = walled.run("nft", "-j", "list", "table", "inet", "webops").stdout.encode()
    assert firewall.fingerprint(before) != firewall.fingerprint(after)
