"""Units of deployments on a server, as far as files go: what is written, and what comes back with the machine."""

from __future__ import annotations

import os
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from webops_host import runner
from webops_host.command import Command
from webops_host.errors import CommandFailed
from webops_host.linux import systemd
from webops_host.linux.layout import ServerLayout
from webops_host.linux.people import People
from webops_host.linux.processes import LinuxProcesses
from webops_host.linux.units import Surroundings
from webops_host.names import DeploymentName, DottedName, ProcessKind
from webops_host.values import Gunicorn, ProjectLine, Runtime, Unit, UnitRef

JOURNAL = f"""#!{sys.executable}
import json, os, sys
since = next(float(word[9:]) for word in sys.argv if word.startswith("--since=@"))
first, count = int(since * 1e6), {{count}}
moments = [at for at in range(1, count + 1) if at >= first]
if "--reverse" in sys.argv:
    lines = next(int(word[8:]) for word in sys.argv if word.startswith("--lines="))
    moments = moments[: -lines - 1 : -1]
for at in moments:
    print(json.dumps({{{{"__REALTIME_TIMESTAMP": str(at), "_SYSTEMD_UNIT": "wo-blog--7-web-1.service",
                        "MESSAGE": f"line {{{{at}}}} " + "x" * {{width}}}}}}))
sys.exit({{status}})
"""
"""As journalctl prints what a program wrote: a line each microsecond."""
BLOG = DeploymentName("blog")
WEB = UnitRef(BLOG, 7, ProcessKind("web"))
RUNTIME = Runtime(BLOG, 7)
LINE = Unit(WEB, ProjectLine("python app.py"), RUNTIME, serves=True)
OWN = Unit(WEB, Gunicorn(DottedName("shop.wsgi:application")), RUNTIME, serves=True)
WORKER = Unit(UnitRef(BLOG, 7, ProcessKind("worker")), ProjectLine("python work.py"), RUNTIME, serves=False)


@pytest.fixture
def layout(tmp_path: Path) -> ServerLayout:
    made = ServerLayout(*(tmp_path / part for part in ("srv", "etc", "records", "run", "units", "var")))
    made.source(BLOG, 7).mkdir(parents=True)
    made.units.mkdir()
    return made


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[Command]:
    """What systemd is told; it knows no unit, and does as it is told."""
    told: list[Command] = []
    monkeypatch.setattr(runner, "run", lambda command, **_: told.append(command))
    unknown = {"LoadState": "loaded", "ActiveState": "inactive"}
    monkeypatch.setattr(
        systemd, "show", lambda names: {unit: systemd._shown({"Id": unit, **unknown}) for unit in names}
    )
    return told


@pytest.fixture
def processes(layout: ServerLayout, said: list[Command], monkeypatch: pytest.MonkeyPatch) -> LinuxProcesses:
    monkeypatch.setattr(People, "user", lambda self, name: f"wo-{name}")
    monkeypatch.setattr(People, "uid", lambda self, name: 20_010)
    return LinuxProcesses(Surroundings(layout), People(layout.state / "registry.json"))


def wanted(layout: ServerLayout) -> set[str]:
    """What the machine starts by itself, each a link to a file that is there."""
    links = list((layout.units / "webops-apps.target.wants").iterdir())
    assert all(link.is_symlink() and link.exists() for link in links)
    return {link.name for link in links}


@pytest.mark.parametrize(
    ("unit", "comes_back"),
    [
        (LINE, {"wo-blog--7-web-1.service", "wo-blog--7-web-1.socket"}),
        (OWN, {"wo-blog--7-web-1.service", "wo-blog--7-web-1.socket"}),
        (WORKER, {"wo-blog--7-worker-1.service"}),
    ],
    ids=["line", "gunicorn", "worker"],
)
def test_rel_18_a_unit_comes_back_with_the_socket_that_it_is_reached_at(
    processes: LinuxProcesses, layout: ServerLayout, said: list[Command], unit: Unit, comes_back: set[str]
) -> None:
    processes.install(unit)
    processes.start(unit.ref)
    assert wanted(layout) == comes_back <= set(said[-1].argv)
    processes.stop(unit.ref)
    assert wanted(layout) == set()


def test_rel_18_a_unit_that_an_earlier_version_started_comes_back_with_its_socket(
    processes: LinuxProcesses, layout: ServerLayout
) -> None:
    for unit in (LINE, WORKER):
        processes.install(unit)
        processes.start(unit.ref)
    (layout.units / "webops-apps.target.wants/wo-blog--7-web-1.socket").unlink()
    for _ in range(2):
        processes.want_sockets()
        assert wanted(layout) == {
            "wo-blog--7-web-1.service",
            "wo-blog--7-web-1.socket",
            "wo-blog--7-worker-1.service",
        }


def test_priv_04_what_a_killed_daemon_left_of_variables_goes_with_their_deployment(
    processes: LinuxProcesses, layout: ServerLayout
) -> None:
    other = replace(WORKER, ref=replace(WORKER.ref, name=DeploymentName("two-blog")))
    layout.source(other.ref.name, 7).mkdir(parents=True)
    for unit in (replace(WORKER, ref=replace(WORKER.ref, release=6)), WORKER, other):
        layout.source(BLOG, unit.ref.release).mkdir(parents=True, exist_ok=True)
        processes.install(unit)
    variables = layout.unit_variables("").parent
    for torn in (".wo-blog--7-worker-1.env.0a1b2c3d", "wo-blog--7-web-1.env"):
        (variables / torn).write_text("SECRET_KEY=x")
    (layout.units / ".wo-blog--7-worker-1.service.0a1b2c3d").write_text("[Unit]")
    processes.forget(BLOG, 7)
    assert sorted(os.listdir(variables)) == ["wo-blog--6-worker-1.env", "wo-two-blog--7-worker-1.env"]
    processes.forget(BLOG)
    assert os.listdir(variables) == ["wo-two-blog--7-worker-1.env"]
    assert [path.name for path in layout.units.iterdir() if path.is_file()] == ["wo-two-blog--7-worker-1.service"]


# --- what programs print -----------------------------------------------------------------------------------------


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: LinuxProcesses):
    """Have the journal hold so many lines of such a width."""
    monkeypatch.undo()
    monkeypatch.setattr(People, "knows", lambda self, name: True)
    monkeypatch.setattr(People, "since", lambda self, name: 0.0)

    def have(count: int, width: int = 10, status: int = 0) -> LinuxProcesses:
        program = tmp_path / "journalctl"
        program.write_text(JOURNAL.format(count=count, width=width, status=status))
        program.chmod(0o755)
        monkeypatch.setattr(systemd, "JOURNALCTL", str(program))
        return processes

    return have


def peak_of(call):
    tracemalloc.start()
    try:
        return call(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_somebody_who_fell_far_behind_reads_on_where_he_was_and_costs_little(says) -> None:
    processes = says(200_000)
    lines, peak = peak_of(lambda: processes.logs(BLOG, after=1, limit=1000))
    assert [line.position for line in lines] == list(range(2, 1002))
    assert peak < 4 << 20
    more = processes.logs(BLOG, after=lines[-1].position, limit=1000)
    assert [line.position for line in more] == list(range(1002, 2002))
    assert processes.logs(BLOG, after=200_000) == ()


def test_without_a_position_the_last_lines_are_told_oldest_first(says) -> None:
    lines = says(3000).logs(BLOG, limit=3)
    assert [line.text.split()[1] for line in lines] == ["2998", "2999", "3000"]
    assert lines[0].unit == str(WEB)


@pytest.mark.parametrize("after", [0, 1])
def test_long_lines_are_fewer(says, after: int) -> None:
    lines, peak = peak_of(lambda: says(1000, 40_000).logs(BLOG, after=after, limit=1000))
    assert 200 < len(lines) < 300
    assert lines[0].text.endswith("more characters)")
    assert max(len(line.text) for line in lines) < 17_000
    assert peak < 16 << 20
    numbers = [line.position for line in lines]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert (numbers[0] == 2) if after else (numbers[-1] == 1000)


def test_a_journal_that_can_not_be_read_is_told(says) -> None:
    with pytest.raises(CommandFailed, match="status 1"):
        says(3, status=1).logs(BLOG)
