"""Units of deployments on a server, as far as files go: what is written, and what comes back with the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from webops_host import runner
from webops_host.command import Command
from webops_host.linux import systemd
from webops_host.linux.layout import ServerLayout
from webops_host.linux.people import People
from webops_host.linux.processes import LinuxProcesses
from webops_host.linux.units import Surroundings
from webops_host.names import DeploymentName, DottedName, ProcessKind
from webops_host.values import Gunicorn, ProjectLine, Runtime, Unit, UnitRef

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
