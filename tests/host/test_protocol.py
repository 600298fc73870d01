"""The host's socket: what is let through, what is refused by name, how a call is cancelled."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.machine import BLOG, QUIET, until, web

from webops_host import ports
from webops_host.daemon import protocol
from webops_host.daemon.client import HostClient
from webops_host.daemon.server import Server
from webops_host.errors import BadValue, Cancelled, HostError, HostUnreachable, NotReady
from webops_host.fake import FakeHost
from webops_host.fences import Fences
from webops_host.names import CommitId, DeploymentName, GitRef
from webops_host.operations import OPERATIONS, PORTS, READS
from webops_host.values import Console, FetchSpec, GitHost, HealthCheck, HostName, ProjectLine, RepositoryUrl, Runtime

REF = {"name": "blog", "release": 1, "kind": "web"}
SPEC = FetchSpec(RepositoryUrl(HostName("example.com"), 443, "a/b"), GitHost(HostName("example.com")))


@contextmanager
def serving(host: ports.Host, folder: Path) -> Iterator[Server]:
    server = Server(host, folder / "run/host.sock", Fences(folder / "state/fences.json"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def short(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("s")


@pytest.fixture
def fake() -> FakeHost:
    return FakeHost()


@pytest.fixture
def server(fake, short) -> Iterator[Server]:
    with serving(fake, short) as server:
        yield server


@pytest.fixture
def client(server, short) -> HostClient:
    return HostClient(short / "run/host.sock")


@pytest.fixture
def say(server, short):
    """Send bytes as they are; the answer as JSON, or None when there is none."""

    def say(raw: bytes, *, close: bool = False) -> dict | None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(short / "run/host.sock"))
            try:
                connection.sendall(raw)
                if close:
                    connection.shutdown(socket.SHUT_WR)
            except BrokenPipeError:
                pass  # it was refused before it was sent whole
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        return json.loads(answer) if answer else None

    return say


def request(op: str = "accounts.ensure", params: object = None, **other: object) -> bytes:
    whole = {"v": 1, "id": "0123456789", "fence": None, "op": op, "params": params or {"name": "blog"}} | other
    return json.dumps(whole).encode() + b"\n"


def test_every_method_of_every_port_is_an_operation_and_nothing_else():
    methods = {f"{port}.{method}" for port, kind in PORTS.items() for method in vars(kind) if method[0] != "_"}
    assert set(OPERATIONS) == methods | {"host.describe", "host.explain"}
    assert (len(OPERATIONS), set(OPERATIONS) >= READS) == (len(set(OPERATIONS)), True)
    assert "host.fenced" not in OPERATIONS
    assert {op.name for op in OPERATIONS.values() if op.streams} == {
        "sources.fetch", "builds.python", "builds.node", "builds.run", "builds.django", "commands.follow",
        "processes.ready", "certificates.issue", "databases.dump", "databases.accept", "databases.restore",
        "databases.clone",
    }  # fmt: skip


def test_a_good_request_is_done(say, fake):
    assert say(request()) == {"ok": True, "result": None}
    assert fake.did == ["accounts.ensure blog"]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (request("accounts.chmod"), "accounts.chmod"),
        (request("host.fenced"), "host.fenced"),
        (request("accounts.__class__"), "__class__"),
        (request("os.system", {"command": "id"}), "os.system"),
        (request(7), "7"),
        (request(params={"name": "blog", "path": "/etc"}), "path"),
        (request(params={"mane": "blog"}), "mane"),
        (request(params=["blog"]), "not an object"),
        (request(params={"name": "../x"}), "'../x'"),
        (request(params={"name": 7}), "name"),
        (request(params={"name": None}), "name"),
        (request("accounts.seal", {"name": "blog", "release": True}), "release"),
        (request("accounts.seal", {"name": "blog", "release": 1.5}), "release"),
        (request("accounts.seal", {"name": "blog", "release": "1"}), "release"),
        (request("processes.start", {"ref": {**REF, "user": "root"}}), "user"),
        (request("processes.start", {"ref": {**REF, "kind": "Web;id"}}), "Web;id"),
        (request("processes.start", {"ref": "blog-1-web-1"}), "ref"),
        (request("sources.read", {"name": "blog", "commit": "main", "paths": []}), "commit"),
        (request("sources.read", {"name": "blog", "commit": "a" * 40, "paths": "abc"}), "paths"),
        (request(v=2), "2"),
        (request(v=True), "True"),
        (request(id="short"), "id"),
        (request(id=None), "id"),
        (request(fence=-1), "fence"),
        (request(fence=True), "fence"),
        (request(fence="1"), "fence"),
        (request(extra=1), "extra"),
        (b"{}\n", "fields"),
        (b"[]\n", "list"),
        (b"not json\n", "JSON"),
        (b"\xff\xfe\n", "JSON"),
        (b"[" * 100_000 + b"\n", "JSON"),
        (request().replace(b'"blog"', b"NaN"), "NaN"),
        (request().replace(b'{"name": "blog"}', b'{"name": "blog", "name": "shop"}'), "twice"),
        (request() + request(), "one request"),
    ],
)
def test_priv_02_anything_else_is_refused_by_name(say, fake, server, raw, told):
    answer = say(raw)
    assert answer is not None
    assert answer["ok"] is False
    assert answer["error"]["code"] == "bad_value"
    assert told in answer["error"]["message"]
    assert fake.calls == []
    assert server.refused["request"] == 1


def test_priv_02_a_request_that_is_too_large_is_refused(say, server):
    answer = say(b" " * (protocol.REQUEST_LIMIT + 2))
    assert answer is None or "larger" in answer["error"]["message"]
    assert until(lambda: server.refused["request"]) == 1


def test_priv_02_half_a_request_does_nothing(say, fake, server):
    assert say(request()[:-10], close=True) is None
    assert until(lambda: server.refused["half"]) == 1
    assert fake.calls == []


def test_priv_01_the_socket_is_closed_to_others(server, short):
    assert stat.S_IMODE(os.stat(short / "run").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(short / "run/host.sock").st_mode) == 0o600


def test_a_socket_left_by_a_dead_host_is_replaced(fake, short):
    (short / "run").mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(short / "run/host.sock"))
    with serving(fake, short):
        HostClient(short / "run/host.sock").accounts.ensure(BLOG)


def test_without_a_daemon_the_host_is_unreachable(short):
    with pytest.raises(HostUnreachable) as refused:
        HostClient(short / "nobody.sock").describe()
    assert refused.value.hint


def test_the_same_request_twice_is_done_once(say, fake):
    line = request("databases.ensure")
    assert say(line) == say(line)
    assert fake.did == ["databases.ensure blog"]


def test_one_id_for_two_requests_is_refused(say, fake):
    say(request())
    answer = say(request(params={"name": "shop"}))
    assert answer["ok"] is False
    assert fake.did == ["accounts.ensure blog"]


def test_a_question_is_asked_anew_each_time(say, fake):
    line = request("accounts.releases")
    assert say(line) == say(line) == {"ok": True, "result": []}
    assert len(fake.calls) == 2


def test_priv_05_an_old_fence_is_refused_even_after_a_restart(fake, short):
    with serving(fake, short):
        HostClient(short / "run/host.sock").fenced(BLOG, 5).accounts.ensure(BLOG)
    with serving(fake, short), pytest.raises(HostError) as refused:
        HostClient(short / "run/host.sock").fenced(BLOG, 4).accounts.ensure(BLOG)
    assert refused.value.code == "stale"


def test_errors_come_back_as_what_they_were(client, fake):
    facts = {"reason": "status", "status": 500, "oom": False}
    fake.breaks["processes.ready"] = NotReady("It said no.", hint="Ask again.", facts=facts)
    with pytest.raises(NotReady) as refused:
        client.processes.ready(web().ref, HealthCheck(), QUIET)
    assert (refused.value.message, refused.value.hint, refused.value.facts) == ("It said no.", "Ask again.", facts)


def test_a_defect_of_the_host_is_an_error_and_not_the_end(client, fake):
    fake.breaks["accounts.ensure"] = ZeroDivisionError("secret")
    with pytest.raises(HostError) as refused:
        client.accounts.ensure(BLOG)
    assert "secret" not in refused.value.message
    client.accounts.releases(BLOG)


def test_values_cross_in_both_directions(client, fake):
    seen: list[str] = []
    fake.prints["sources.fetch"] = ["one", "two “quoted”"]
    commit = fake.push({"a.bin": b"\x00\xff", "b": "text"}, branch="next")
    revision = client.sources.fetch(BLOG, FetchSpec(SPEC.url, SPEC.git_host, GitRef("next")), Console(seen.append))
    assert revision.commit == commit
    assert seen == ["one", "two “quoted”"]
    assert client.sources.read(BLOG, CommitId(commit), (path for path in ("a.bin", "none"))) == {"a.bin": b"\x00\xff"}
    assert [entry.path for entry in client.sources.listing(BLOG, commit)] == ["a.bin", "b"]


def test_variables_arrive_byte_for_byte(client, fake):
    variables = {"A": "line\nline\t\"'$HOME\\ ünïcode \U0001f600", "B": "", "C": "x" * 100_000}
    unit = web(variables=variables)
    client.processes.install(unit)
    assert fake.units[unit.ref] == unit


def test_too_many_variables_are_refused_before_they_are_sent(client, fake):
    with pytest.raises(BadValue, match="4 MiB"):
        client.processes.install(web(variables={f"A{i}": "x" * 100_000 for i in range(50)}))
    assert fake.calls == []


def _wait_until_cancelled(stopped: threading.Event, begun: threading.Event | None = None):
    def wait(values: dict) -> None:
        if begun is not None:
            begun.set()
        until(values["console"].cancelled)
        stopped.set()
        raise Cancelled("It was cancelled.")

    return wait


def test_a_caller_who_changes_his_mind_stops_the_call(client, fake):
    stopped, wish = threading.Event(), threading.Event()
    fake.breaks["builds.run"] = _wait_until_cancelled(stopped, wish)
    with pytest.raises(Cancelled):
        client.builds.run(Runtime(BLOG, 1), ProjectLine("make"), 60.0, Console(lambda line: None, wish.is_set))
    assert stopped.is_set(), "the call has ended before the caller is told so"


def test_a_caller_who_dies_stops_the_call(server, fake, short):
    stopped, begun = threading.Event(), threading.Event()
    fake.breaks["builds.run"] = _wait_until_cancelled(stopped, begun)
    params = {"runtime": {"name": "blog", "release": 1}, "line": {"line": "make"}, "timeout": 60}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(short / "run/host.sock"))
        connection.sendall(request("builds.run", params))
        assert begun.wait(5)
    assert stopped.wait(5)


def test_a_host_that_leaves_stops_its_calls(fake, short):
    stopped, begun = threading.Event(), threading.Event()
    fake.breaks["builds.run"] = _wait_until_cancelled(stopped, begun)
    client = HostClient(short / "run/host.sock")
    with serving(fake, short):
        call = threading.Thread(target=_expect_cancelled, args=(client,))
        call.start()
        assert begun.wait(5)
    assert stopped.wait(5)
    call.join(5)


def _expect_cancelled(client: HostClient) -> None:
    with pytest.raises(HostError):
        client.builds.run(Runtime(BLOG, 1), ProjectLine("make"), 60.0, QUIET)


def test_many_threads_may_call_at_once(client):
    names = [DeploymentName(f"site-{letter}") for letter in "abcdefghijklmnop"]
    urls: dict[str, str] = {}

    def ask(name: DeploymentName) -> None:
        urls[name] = client.sites.reserve(name)

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(urls.values())) == len(names)
