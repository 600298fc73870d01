"""What somebody can do who has taken over the panel or the worker, or who is a neighbour: on an installed server.

The drill runs as the panel's user and as the worker's, with exactly what their units allow, and tries what
docs/security.md says that they can not. Each attempt has a control: root, who can.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

import pytest
from tests.server.installed import Installed
from tests.server.lab.server import Server
from tests.server.walls import ONCE, PROBE
from tests.support.waiting import until

pytestmark = pytest.mark.server

HOSTD, PGD = "/run/webops/hostd.sock", "/run/webops/pgd.sock"
SHADOW = "stat -c '%a %U %G %Y %Z %h' /etc/shadow; sha256sum /etc/shadow"
ASK = """
import json, secrets, socket, sys
sys.path.insert(0, "/opt/webops/current/host")
from webops_host.daemon import protocol
from webops_host.operations import OPERATIONS
def ask(path, op, params, number=""):
    asked = {"v": protocol.VERSION, "id": number or secrets.token_hex(8), "fence": None, "op": op, "params": params}
    line = protocol.encode(asked)
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(120)
        try:
            talk.connect(path)
            talk.sendall(line)
            said = b"".join(iter(lambda: talk.recv(65536), b"")).strip().splitlines()
        except OSError as error:
            return type(error).__name__
    answer = json.loads(said[-1]) if said else {"ok": False, "error": {"code": "silence"}}
    if not answer["ok"]:
        return answer["error"]["code"]
    return answer["result"] if type(answer["result"]) is int else "ok"
if sys.argv[1] == "all":
    simple = [op for op in OPERATIONS.values() if op.changes and op.required <= {"name", "release"}]
    asked = [("pgd" if op.port == "databases" else "hostd", op.name, op.required) for op in simple]
    values = {"name": "alfa", "release": 1}
    print(json.dumps({op: ask(f"/run/webops/{where}.sock", op, {key: values[key] for key in keys})
                      for where, op, keys in asked}))
else:
    print(json.dumps([ask(*each) for each in json.loads(sys.argv[1])]))
"""
PEOPLE = ("webops", "webops-worker")
SETTINGS = {"webops": "webops-panel", "webops-worker": "webops-worker"}
SHELL = ("bash", "-c")


@pytest.fixture
def server(installed: Installed) -> Server:
    return installed.server


@pytest.fixture
def alfa(server: Server) -> str:
    """A deployment that the worker asked for, with something in it that is worth a look."""
    assert ask(server, "webops-worker", [HOSTD, "accounts.ensure", {"name": "alfa"}]) == ["ok"]
    home = "/srv/webops/alfa"
    server.run(f"install -m 600 -o wo-alfa /dev/stdin {home}/shared/data/secret", input="the secret of alfa")
    server.write("/etc/webops/units/wo-alfa--1-web-1.env", "SECRET=of alfa\n", 0o600)
    return home


def ask(server: Server, user: str, *requests: list) -> list[Any]:
    """What the daemons answer a user: a number or ok, the code of an error, or what became of the connection."""
    words = ("runuser", "-u", user, "--", "/usr/bin/python3", "-I", "-", json.dumps(requests))
    return json.loads(server.run(words, input=ASK).stdout)


def as_unit(server: Server, unit: str, program: str, *words: str) -> str:
    """A program with the settings of a service of the platform: what a shell in it could do."""
    text = server.read(f"/etc/systemd/system/{unit}.service").partition("[Service]\n")[2].partition("[Install]")[0]
    pairs = [line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#")]
    chosen = [word for key, _, value in pairs if key not in ONCE for word in ("-p", f"{key}={value}")]
    begin = ("systemd-run", "--quiet", "--pipe", "--wait", "--collect", *chosen, "--", "/usr/bin/python3", "-I", "-")
    return server.run((*begin, *words), input=program).stdout


def tries(server: Server, user: str, attempts: Sequence[tuple[str, object]]) -> dict[str, str]:
    said = json.loads(as_unit(server, SETTINGS[user], PROBE, json.dumps(attempts)))
    return {f"{kind} {target}": outcome for (kind, target), outcome in zip(attempts, said, strict=True)}


def plainly(server: Server, user: str, attempts: Sequence[tuple[str, object]]) -> dict[str, str]:
    """The same as that user with nothing around him: what owners and modes alone keep."""
    words = ("runuser", "-u", user, "--", "/usr/bin/python3", "-I", "-", json.dumps(attempts))
    said = json.loads(server.run(words, input=PROBE).stdout)
    return {f"{kind} {target}": outcome for (kind, target), outcome in zip(attempts, said, strict=True)}


# --- who may speak to the daemons ------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["wo-alfa", "www-data", "nobody", "webops-build", "webops-fetch"])
def test_priv_01_others_do_not_get_as_far_as_the_daemons(server: Server, alfa: str, user: str) -> None:
    requests = [[HOSTD, "host.describe", {}], [PGD, "databases.size", {"name": "alfa"}]]
    assert ask(server, user, *requests) == ["PermissionError"] * 2


def test_priv_01_a_door_left_open_is_no_way_in(server: Server) -> None:
    """Whoever got into the group of the sockets is still asked by the kernel who he is, and it is noted."""
    words = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=webops-rpc", "/usr/bin/python3", "-I", "-")
    asked = json.dumps([[HOSTD, "host.describe", {}], [HOSTD, "accounts.ensure", {"name": "beta"}]])
    said = json.loads(server.run((*words, asked), input=ASK).stdout)
    assert set(said) <= {"forbidden", "ConnectionResetError", "BrokenPipeError"}, "it is not even listened to"
    journal = ("journalctl", "--no-pager", "-o", "cat", "-u", "webops-hostd.service")
    until(lambda: "refused peer: User 65534 may not speak" in server.run(journal).stdout, "the refusal to be noted")
    assert server.run("id wo-beta", check=False).returncode != 0


def test_priv_01_root_and_the_panel_may_only_look(server: Server, alfa: str) -> None:
    web = {"ref": {"name": "alfa", "release": 1, "kind": "web", "index": 1}}
    for user in ("root", "webops"):
        said = json.loads(
            server.run(("runuser", "-u", user, "--", "/usr/bin/python3", "-I", "-", "all"), input=ASK).stdout
        )
        assert len(said) > 15
        assert {name for name, answer in said.items() if answer != "forbidden"} == set()
        assert ask(server, user, [HOSTD, "host.describe", {}]) == ["ok"]
        switched = ask(server, user, [HOSTD, "processes.stop", web], [HOSTD, "processes.start", web])
        assert switched == ["forbidden"] * 2
    assert server.run(f"test -d {alfa}/shared").returncode == 0


@pytest.mark.parametrize("between", ["true", "systemctl stop {}", "systemctl kill --signal=KILL {}"])
def test_priv_04_the_same_request_again_has_one_effect_and_one_answer(server: Server, alfa: str, between: str) -> None:
    """What was freed is told once and for all, also by the next daemon; another request finds nothing to free."""
    server.run(f"install -d -o wo-alfa -g www-data -m 2750 {alfa}/releases/7")
    server.run(f"head -c 100000 /dev/zero | install -o wo-alfa /dev/stdin {alfa}/releases/7/large")
    number, freeing = secrets.token_hex(8), [HOSTD, "accounts.discard", {"name": "alfa", "release": 7}]
    [freed] = ask(server, "webops-worker", [*freeing, number])
    assert isinstance(freed, int)
    assert freed >= 100000
    server.run(between.format("webops-hostd.service"))
    other = [HOSTD, "accounts.discard", {"name": "alfa", "release": 8}, number]
    assert ask(server, "webops-worker", [*freeing, number], other, freeing) == [freed, "bad_value", 0]


# --- what the root daemon does with names and planted files ----------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../etc", "/etc", "a", "root", "-rf", "alfa\n", "alfa/../beta", "Alfa", "wo--x", ".host", ".canary", ""]
)
def test_priv_03_what_is_no_name_of_a_deployment_is_refused(server: Server, name: str) -> None:
    said = ask(
        server,
        "webops-worker",
        [HOSTD, "accounts.ensure", {"name": name}],
        [HOSTD, "accounts.remove", {"name": name}],
        [PGD, "databases.ensure", {"name": name}],
    )
    assert said == ["bad_value"] * 3


def test_priv_03_a_deployment_that_is_not_there_has_nothing_done_to_it(server: Server) -> None:
    """Neither one that never was, nor one that was removed."""
    assert ask(server, "webops-worker", [HOSTD, "accounts.ensure", {"name": "gone"}]) == ["ok"]
    assert ask(server, "webops-worker", [HOSTD, "accounts.remove", {"name": "gone"}]) == ["ok"]
    for name in ("gone", "never"):
        said = ask(
            server,
            "webops-worker",
            [HOSTD, "accounts.seal", {"name": name, "release": 1}],
            [HOSTD, "sites.publish", {"site": {"name": name, "release": 1}}],
        )
        assert "ok" not in said, said
        assert server.run(f"ls -d /srv/webops/{name}; id wo-{name}", check=False).stdout == ""


PLANTED = {
    "a link to a folder": "ln -s /etc {place}",
    "a link to a file": "ln -s /etc/shadow {place}",
    "a pipe": "mkfifo {place}",
    "a second name of a file": "ln /etc/shadow {place}",
}
WORTH = ("media", "data", "home")


@pytest.mark.parametrize("kind", PLANTED)
def test_priv_03_what_a_deployment_plants_leads_root_nowhere(server: Server, alfa: str, kind: str) -> None:
    """As its own user it puts it wherever it can write, inside its folders and in place of them."""
    before = server.run(f"{SHADOW}; ls -la /etc").stdout
    places = [f"{alfa}/{folder}/planted" for folder in ("envs", "cache", "node", *(f"shared/{one}" for one in WORTH))]
    places += [f"{alfa}/{name}" for name in ("releases/2", "releases/1/.sealed", "live.sock", "current", "envs2")]
    lines = [f"{PLANTED[kind].format(place=place)} && echo planted" for place in places]
    said = server.run(("runuser", "-u", "wo-alfa", "--", *SHELL, "; ".join(lines)), check=False).stdout
    if kind != "a second name of a file":  # the kernel itself refuses (proc_sys_fs(5), protected_hardlinks)
        assert said.count("planted") >= 6
    ask(
        server,
        "webops-worker",
        [HOSTD, "meters.space", {"name": "alfa"}],
        [HOSTD, "accounts.ensure", {"name": "alfa"}],
        [HOSTD, "accounts.seal", {"name": "alfa", "release": 2}],
        [HOSTD, "accounts.discard", {"name": "alfa", "release": 2}],
        [HOSTD, "sites.publish", {"site": {"name": "alfa", "release": 2}}],
        [HOSTD, "sites.unpublish", {"name": "alfa"}],
    )
    removed = ask(server, "webops-worker", [HOSTD, "accounts.remove", {"name": "alfa"}])
    assert _without_accounts(server.run(f"{SHADOW}; ls -la /etc").stdout) == _without_accounts(before)
    assert removed == ["ok"]
    assert server.run(f"test -e {alfa}", check=False).returncode != 0


def _without_accounts(listing: str) -> list[str]:
    """Removing a user rewrites the files of users; everything else of /etc has to be as it was."""
    files = ("passwd", "group", "shadow", "gshadow", "subuid", "subgid", ".pwd.lock", " .", " ..")
    return [line for line in listing.splitlines() if not line.rstrip("-").endswith(files) and ":" in line[40:60]]


# --- what lies on the disk -------------------------------------------------------------------------------------

SWEEP = """
import json, os, re
from pathlib import Path
places = ("/etc", "/opt", "/root", "/run", "/srv/webops", "/var/backups", "/var/lib/webops", "/var/log", "/tmp")
keys = Path("/etc/webops/panel.env").read_text()
known = [value for value in re.findall("^[A-Z_]*KEY=(.*)$", keys, re.M)] + re.findall("://[^:@/]*:([^@/]+)@", keys)
known += [Path("/etc/webops/redis.key").read_text().strip(), "SECRET=of alfa", "PRIVATE KEY-----\\nM"]
for file in Path("/var/lib/webops/pgd/passwords").iterdir():
    known.append(json.loads(file.read_text())["now"]["password"])
secrets = [value.strip('"').encode() for value in known]
assert len(secrets) >= 6 and all(len(each) > 10 for each in secrets)
found = []
for place in places:
    for folder, _, names in os.walk(place):
        for path in (os.path.join(folder, name) for name in names if "/tests/" not in folder):
            if os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path) < 64 << 20:
                content = Path(path).read_bytes()
                if any(secret in content for secret in secrets):
                    found.append(path)
print(json.dumps(found))
"""
HOLDS_SECRETS = {
    "/etc/webops/panel.env", "/etc/webops/redis.key", "/etc/webops/tls/.platform/privkey.pem",
    "/etc/webops/units/wo-alfa--1-web-1.env", "/var/lib/webops/pgd/passwords/alfa.json",
}  # fmt: skip


def test_fs_08_no_secret_is_readable_by_others_nor_by_a_deployment(server: Server, alfa: str) -> None:
    """Each is looked for by what it is, wherever it may lie."""
    assert ask(server, "webops-worker", [PGD, "databases.ensure", {"name": "alfa"}]) == ["ok"]
    found = json.loads(server.run(("python3", "-I", "-"), input=SWEEP).stdout)
    assert set(found) >= HOLDS_SECRETS
    attempts = [("read", path) for path in found]
    assert set(plainly(server, "root", attempts).values()) == {"allowed"}
    for user in ("nobody", "www-data", "wo-alfa", "webops-build", "webops-fetch", "webops-canary"):
        said = plainly(server, user, attempts)
        assert {attempt for attempt, outcome in said.items() if outcome != "blocked"} == set(), user


RUN_BY_ROOT = """
import json, os, re, subprocess, sys
starts = ",".join(f"Exec{when}" for when in ("StartPre", "Start", "StartPost", "Reload", "Stop", "StopPost"))
words = ("systemctl", "show", "*.service", "--all", f"--property=User,{starts}")
units = subprocess.run(words, capture_output=True, text=True).stdout.split("\\n\\n")
lines = [line for unit in units if re.search("^User=(root)?$", unit, re.M) for line in unit.splitlines()]
named = {word for line in lines for word in re.findall("[ =](/(?!dev/|proc/|sys/|run/)[^ ;]+)", line)}
trees = ("/opt/webops", "/etc/systemd/system", "/etc/nginx", "/etc/webops/nginx", "/usr/local/bin", "/usr/local/sbin")
ways = {path for path in named if os.path.exists(path)}
ways |= {os.path.join(folder, name) for tree in trees for folder, _, names in os.walk(tree) for name in names}
left, seen, wrong = list(ways), set(), []
while left:
    path = left.pop()
    if path in seen:
        continue
    seen.add(path)
    left += [os.path.dirname(path), os.path.realpath(path)]
    found = os.lstat(path)
    if found.st_uid or (found.st_mode & 0o022 and not os.path.islink(path)):
        wrong.append(path)
print(json.dumps([len(ways), [path for path in sys.argv[1:] if path in ways], wrong]))
"""


def test_fs_08_what_root_runs_is_roots_alone_with_the_folders_above(server: Server) -> None:
    """Programs of every unit of root's, and the trees from which they take more."""
    known = ["/opt/webops/current/host/hostd.py", "/usr/bin/python3", "/usr/sbin/nginx"]
    words = ("python3", "-I", "-", *known)
    count, seen, wrong = json.loads(server.run(words, input=RUN_BY_ROOT).stdout)
    assert count > 1000
    assert seen == known
    assert wrong == []
    server.run(("chmod", "g+w", "/opt/webops/releases"))
    try:
        assert json.loads(server.run(words, input=RUN_BY_ROOT).stdout)[2] == ["/opt/webops/releases"]
    finally:
        server.run(("chmod", "g-w", "/opt/webops/releases"))


# --- the drill -------------------------------------------------------------------------------------------------

READS = (
    "/etc/shadow", "/etc/webops/units/wo-alfa--1-web-1.env", "/etc/webops/tls/.platform/privkey.pem",
    "/srv/webops/alfa/shared/data/secret", "/etc/ssh/ssh_host_ed25519_key", "/var/lib/webops/hostd/registry.json",
)  # fmt: skip
LISTINGS = (
    "/root", "/var/lib/webops/hostd", "/var/lib/webops/certbot", "/var/lib/webops/pgd", "/srv/webops/alfa/shared",
    "/srv/webops/alfa/repo.git", "/etc/webops/units",
)  # fmt: skip
WRITES = (
    "/etc", "/etc/ssh", "/etc/sudoers.d", "/etc/cron.d", "/etc/systemd/system", "/etc/nginx/conf.d", "/etc/webops",
    "/etc/webops/nginx/sites", "/opt/webops", "/opt/webops/current/host", "/opt/webops/current/src/control-panel",
    "/usr/local/bin", "/usr/bin", "/srv/webops", "/srv/webops/.host", "/run/webops", "/var/lib/webops/hostd",
    "/var/lib/webops/acme",
)  # fmt: skip
OF_FILES = [*(("read", path) for path in READS), *(("listing", path) for path in LISTINGS)]
OF_FILES += [("write", path) for path in WRITES] + [("append", "/etc/webops/panel.env"), ("append", "/etc/passwd")]
OF_RIGHTS: list[tuple[str, object]] = [
    ("speak", "/run/dbus/system_bus_socket"), ("speak", "/run/systemd/private"), ("signal_to", 1),
    ("see_others", None), ("is_held", "NoNewPrivs: 1"), ("is_held", "CapBnd: 0000000000000000"),
    ("is_held", "Seccomp: 2"), ("system_call", "bpf"), ("open_socket", [2, 3, 1]), ("open_socket", [16, 3, 0]),
    ("reach", ["169.254.169.254", 80]), ("reach", ["::ffff:169.254.169.254", 80]),
]  # fmt: skip


@pytest.mark.parametrize("user", PEOPLE)
def test_priv_08_no_file_of_others_is_read_and_nothing_of_the_system_written(
    server: Server, alfa: str, user: str
) -> None:
    there = [each for each in OF_FILES if server.run(("test", "-e", str(each[1])), check=False).returncode == 0]
    assert len(there) > 25
    assert set(plainly(server, "root", there).values()) == {"allowed"}
    for said in (tries(server, user, there), plainly(server, user, there)):
        assert {attempt for attempt, outcome in said.items() if outcome != "blocked"} == set()


@pytest.mark.parametrize("user", PEOPLE)
def test_priv_08_no_right_is_gained(server: Server, alfa: str, user: str) -> None:
    said = tries(server, user, OF_RIGHTS)
    assert {attempt for attempt, outcome in said.items() if outcome not in ("blocked", "absent")} == set()


@pytest.mark.parametrize("user", PEOPLE)
def test_priv_08_nobody_becomes_another(server: Server, user: str) -> None:
    for line in ("sudo -n true", "su root -c true", "pkexec true", "runuser -u root true", "systemctl stop nginx"):
        done = server.run(("runuser", "-u", user, "--", *SHELL, f"{line} < /dev/null"), check=False, timeout=60)
        assert done.returncode != 0, line
    assert server.run(("systemctl", "is-active", "nginx")).stdout.strip() == "active"
    assert ":/usr/sbin/nologin\n" in server.run(f"getent passwd {user}").stdout.replace(
        "/bin/false", "/usr/sbin/nologin"
    )


@pytest.mark.parametrize("user", PEOPLE)
def test_priv_08_the_database_role_is_an_ordinary_one(server: Server, alfa: str, user: str) -> None:
    assert ask(server, "webops-worker", [PGD, "databases.ensure", {"name": "alfa"}]) == ["ok"]
    begin = ("runuser", "-u", user, "--", "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "webops")
    assert server.run((*begin, "-d", "webops", "-c", "select 1")).returncode == 0
    for database, line in (
        ("wo_alfa", "select 1"), ("postgres", "select 1"), ("webops", "create role more"),
        ("webops", "create database more"), ("webops", "alter role webops superuser"),
        ("webops", "create table taken (line text); copy taken from program 'id'"),
        ("webops", "select pg_read_file('/etc/passwd')"), ("webops", "grant pg_execute_server_program to webops"),
    ):  # fmt: skip
        assert server.run((*begin, "-d", database, "-c", line), check=False).returncode != 0, (database, line)


def test_priv_08_the_worker_makes_no_users_but_deployments(server: Server) -> None:
    """Names of the system's own users get the prefix, and numbers from our range."""
    before = {line.split(":")[0] for line in server.read("/etc/passwd").splitlines()}
    said = ask(server, "webops-worker", *([HOSTD, "accounts.ensure", {"name": name}] for name in ("sshd", "nobody")))
    assert said == ["ok"] * 2
    made = [line.split(":") for line in server.read("/etc/passwd").splitlines() if line.split(":")[0] not in before]
    assert {words[0] for words in made} == {"wo-sshd", "wo-nobody"}
    assert all(20010 <= int(words[2]) <= 29999 and words[6].endswith(("nologin", "false")) for words in made)
    for name in ("sshd", "nobody"):
        assert ask(server, "webops-worker", [HOSTD, "accounts.remove", {"name": name}]) == ["ok"]


def test_iso_01_on_the_whole_platform_nothing_is_open(server: Server, alfa: str) -> None:
    """The self-test where every door of the platform is there to be tried."""
    server.run(("systemctl", "start", "webops-selftest.service"), check=False)
    result = json.loads(server.read("/var/lib/webops/selftest.json"))
    assert result["ok"], [each for each in result["actions"] if each["outcome"] in ("allowed", "unclear")]
    tried = {each["id"] for each in result["actions"] if each["outcome"] == "blocked"}
    assert {
        "hostd-socket", "pgd-socket", "panel-socket", "redis-socket", "platform-keys", "platform-tls", "platform-data",
        "sibling-folder", "sibling-data", "sibling-variables", "postgres-roles", "web-server", "dbus",
    } <= tried  # fmt: skip
