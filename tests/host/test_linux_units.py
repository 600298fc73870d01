"""A unit's files: who runs what in which sandbox, and the names that say whose it is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webops_host.linux import sandbox, systemd, units
from webops_host.linux.layout import ServerLayout
from webops_host.linux.units import Surroundings
from webops_host.names import DeploymentName, Digest, DottedName, ProcessKind, VariableKey
from webops_host.values import Gunicorn, Limits, ProjectLine, Runtime, Unit, UnitRef

BLOG = DeploymentName("blog")
SECRET = "s3cret-value"


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    layout = ServerLayout(tmp_path / "srv", tmp_path / "etc", tmp_path / "lib", tmp_path / "run", tmp_path / "units")
    layout.source(BLOG, 7).mkdir(parents=True)
    return Surroundings(layout, Limits(memory_mib=1024, cpu_percent=200, tasks=256), ("192.0.2.53",))


def unit(program: Gunicorn | ProjectLine, kind: str = "web", *, serves: bool = True, **limits: int) -> Unit:
    runtime = Runtime(
        BLOG,
        7,
        variables={VariableKey("TOKEN"): SECRET},
        environment=Digest("ab" * 16),
        limits=Limits(**limits),
    )
    return Unit(UnitRef(BLOG, 7, ProcessKind(kind)), program, runtime, serves=serves)


WEB = Gunicorn(DottedName("shop.wsgi:application"))


def values(text: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def test_a_web_process_gets_its_socket_from_systemd(around: Surroundings) -> None:
    made = units.files(around, unit(WEB), "wo-blog", 0).units
    service, socket = made["wo-blog--7-web-1.service"], made["wo-blog--7-web-1.socket"]
    assert values(service, "User") == ["wo-blog"]
    assert values(service, "Requires") == ["webops-firewall.service wo-blog--7-web-1.socket"]
    assert values(service, "Type") == ["notify"]
    assert values(service, "ExecStart")[0].startswith('"/usr/bin/env" "--" "python" "-m" "gunicorn"')
    assert values(socket, "ListenStream") == [str(around.layout.socket(unit(WEB).ref))]
    assert (values(socket, "SocketMode"), values(socket, "SocketGroup")) == (["0660"], ["www-data"])
    assert values(socket, "Service") == ["wo-blog--7-web-1.service"]


def test_a_line_of_the_project_listens_on_its_own_port_behind_the_same_socket(around: Surroundings) -> None:
    made = units.files(around, unit(ProjectLine("node server.js")), "wo-blog", 10007).units
    assert set(made) == {f"wo-blog--7-web-1{suffix}" for suffix in (".service", ".socket", ".proxy.service")}
    assert values(made["wo-blog--7-web-1.socket"], "Service") == ["wo-blog--7-web-1.proxy.service"]
    assert '"127.0.0.1:10007"' in made["wo-blog--7-web-1.proxy.service"]
    assert '"--connections-max=1280"' in made["wo-blog--7-web-1.proxy.service"]
    assert values(made["wo-blog--7-web-1.proxy.service"], "User") == ["wo-blog"]


@pytest.mark.parametrize(
    ("program", "file", "newer", "kept"),
    [
        (WEB, "", True, True),
        (WEB, "", False, False),
        (WEB, "gunicorn.conf.py", True, False),
        (ProjectLine("gunicorn --keep-alive=5 shop.wsgi"), "", True, False),
    ],
)
def test_only_the_platforms_own_server_on_its_socket_leaves_the_end_of_connections_to_nginx(
    around: Surroundings, program: Gunicorn | ProjectLine, file: str, newer: bool, kept: bool
) -> None:
    ref = unit(program).ref
    assert not units.keeps(around.layout, ref), "there is no such unit yet"
    if newer:
        packages = around.layout.own_env(BLOG, Digest("ab" * 16)) / "lib/python3.11/site-packages"
        (packages / "gunicorn/ctl").mkdir(parents=True)
    if file:
        (around.layout.source(BLOG, 7) / file).touch()
    for name, text in units.files(around, unit(program), "wo-blog", 10007).units.items():
        around.layout.units.mkdir(exist_ok=True)
        (around.layout.units / name).write_text(text)
    assert units.keeps(around.layout, ref) is kept


def test_a_worker_has_no_socket(around: Surroundings) -> None:
    made = units.files(around, unit(ProjectLine("celery worker"), "worker", serves=False), "wo-blog", 0)
    assert set(made.units) == {"wo-blog--7-worker-1.service"}


def test_variables_are_in_the_file_that_only_root_reads(around: Surroundings) -> None:
    made = units.files(around, unit(WEB), "wo-blog", 0)
    assert f'TOKEN="{SECRET}"\n' in made.variables
    assert SECRET not in "".join(made.units.values())
    assert "Environment=" not in "".join(made.units.values())


def test_limits_are_kept_within_the_platforms(around: Surroundings) -> None:
    text = units.files(around, unit(WEB, memory_mib=64, cpu_percent=50, tasks=32), "wo-blog", 0).units
    service = text["wo-blog--7-web-1.service"]
    assert [values(service, key) for key in ("MemoryMax", "CPUQuota", "TasksMax")] == [["64M"], ["50%"], ["32"]]
    text = units.files(around, unit(WEB, memory_mib=90000, cpu_percent=6000, tasks=9000), "wo-blog", 0).units
    service = text["wo-blog--7-web-1.service"]
    assert [values(service, key) for key in ("MemoryMax", "CPUQuota", "TasksMax")] == [["1024M"], ["200%"], ["256"]]


def test_priv_07_no_line_of_a_unit_runs_with_more_than_the_sandbox(around: Surroundings) -> None:
    for program in (WEB, ProjectLine("+/bin/id; !x")):
        for text in units.files(around, unit(program), "wo-blog", 10007).units.values():
            assert all(line[0] == '"' for line in values(text, "Exec[A-Za-z]*"))


def test_only_the_shared_folder_can_be_written(around: Surroundings) -> None:
    service = units.files(around, unit(WEB), "wo-blog", 0).units["wo-blog--7-web-1.service"]
    assert values(service, "BindPaths") == [f"-{around.layout.shared(BLOG)}"]
    assert f"{around.layout.root}:ro" in values(service, "TemporaryFileSystem")
    assert f"-{around.layout.release(BLOG, 7)}" in values(service, "BindReadOnlyPaths")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("program", [WEB, ProjectLine("node server.js")], ids=["gunicorn", "line"])
def test_priv_07_the_exposure_stays_at_one_and_a_half(around: Surroundings, tmp_path: Path, program) -> None:
    for file, text in units.files(around, unit(program), "wo-blog", 10007).units.items():
        if file.endswith(".service"):
            path = tmp_path / file
            path.write_text(text)
            words = ("systemd-analyze", "security", "--offline=yes", "--threshold=15", "--no-pager", str(path))
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr


@given(
    st.from_regex(r"[a-z][a-z0-9]{1,8}(-[a-z0-9]{1,5}){0,3}", fullmatch=True),
    st.integers(0, 99999),
    st.from_regex(r"[a-z][a-z0-9_-]{0,12}", fullmatch=True),
    st.integers(1, 50),
)
def test_a_units_name_reads_back(name: str, release: int, kind: str, index: int) -> None:
    try:
        ref = UnitRef(DeploymentName(name), release, ProcessKind(kind), index)
    except ValueError:
        return  # a reserved name
    assert units.parse(f"{units.name_of(ref)}.service") == ref


@pytest.mark.parametrize(
    "other", ["ssh.service", "wo-blog.service", "wo-blog--7-web-1.proxy.service", "wo-www--1-web-1"]
)
def test_other_units_are_nobodys(other: str) -> None:
    assert units.parse(other) is None


def test_the_sandbox_names_each_place_of_the_platform() -> None:
    hidden = dict(sandbox.view(Path("/srv/webops")))["InaccessiblePaths"]
    for place in ("/etc/webops", "/var/lib/webops", "/run/webops", "/run/dbus", "/etc/systemd/system"):
        assert f"-{place}" in hidden.split()


def test_the_journal_is_read_from_a_place_in_microseconds() -> None:
    words = systemd.journal("wo-blog--*", after=1_700_000_000_000_042, limit=10).argv
    assert {"--since=@1700000000.000042", "--lines=10"} < set(words)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ('"hello"', "hello"),
        ("[255,97]", "\ufffda"),
        ('["first","second"]', "first second"),
        ('["first",[255,97]]', "first \ufffda"),
        ("[256,-1]", ""),
        ("null", ""),
        ('{"a":1}', ""),
        (f'"{"x" * 20_000}"', f"{'x' * 16_384} … (3616 more characters)"),
    ],
)
def test_whatever_a_journal_entry_says_it_is_shown(message: str, text: str) -> None:
    entry = f'{{"__REALTIME_TIMESTAMP":"5","_SYSTEMD_UNIT":"wo-blog--7-web-1.service","MESSAGE":{message}}}\n'
    broken = "broken\n[]\n7\n{}\n"
    found = list(systemd.entries(f"{broken}{entry}{broken}".encode()))
    assert found == [(5, "wo-blog--7-web-1.service", text)]


def test_what_systemd_says_of_a_unit_is_told_as_the_units() -> None:
    line = b'{"__REALTIME_TIMESTAMP":"6","_SYSTEMD_UNIT":"init.scope","UNIT":"wo-blog--7-web-1.service","MESSAGE":"x"}'
    assert list(systemd.entries(line)) == [(6, "wo-blog--7-web-1.service", "x")]


def test_lines_come_whole_without_what_a_program_tells_the_journal_itself() -> None:
    words = systemd.journal("wo-blog--*", after=1, only=systemd.PRINTED).argv
    assert "--all" in words
    assert words[-2:] == ("_TRANSPORT=stdout", "_TRANSPORT=syslog")
