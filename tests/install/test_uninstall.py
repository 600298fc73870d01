"""Taking everything off the server: what belongs to it, and that the same command goes on after it was broken off."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
from tests.install.machines import OK, Programs, setup

from webops_host.runner import Result
from webops_install import engine, uninstall
from webops_install.errors import SetupError
from webops_install.journal import Journal
from webops_install.machine import Machine
from webops_install.settings import HOST
from webops_install.steps import accounts, decisions, folders, services, units

SITES = (
    "wo-blog--3-web-0.service", "wo-blog--3-web-0.proxy.service", "wo-blog--3-web-0.socket",
    "wo-blog--3-celery_worker-0.service", "wo-blog--3-cron-c0123456789ab.timer",
)  # fmt: skip
THEIRS = "wo-manager.service"


@pytest.fixture
def server(tmp_path: Path) -> tuple[Machine, Programs]:
    made, programs = setup(tmp_path)
    groups = ((accounts.STEP,), (folders.STEP,), (decisions.STEP,), (units.STEP,))
    engine.run(groups, made, Journal(None, io.StringIO()))
    for name in (*SITES, THEIRS):
        (tmp_path / f"etc/systemd/system/{name}").write_text("[Unit]\n")
    (tmp_path / services.COMMAND.lstrip("/")).symlink_to("/opt/webops/current/src/install/webops-admin")
    programs.do_useradd(["wo-blog"])
    programs.do_userdel = lambda words: left_out(tmp_path / "etc/passwd", words[-1])  # type: ignore[attr-defined]
    programs.do_groupdel = lambda words: left_out(tmp_path / "etc/group", words[-1])  # type: ignore[attr-defined]
    programs.do_rm = removed  # type: ignore[attr-defined]
    return made.machine, programs


def left_out(file: Path, name: str) -> Result:
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith(f"{name}:")))
    return OK


def removed(words: list[str]) -> Result:
    for word in words:
        if word.startswith("/"):
            shutil.rmtree(word, ignore_errors=True)
    return OK


def uninstall_all(machine: Machine) -> None:
    for _, task in uninstall.tasks(machine, keeps_sites=False):
        task()


def left(machine: Machine) -> list[str]:
    entries = [line for file in ("passwd", "group") for line in (machine.text(f"/etc/{file}") or "").splitlines()]
    ours = [entry for entry in entries if entry.startswith(("webops", "wo-"))]
    ours += [name for name in machine.names(units.UNITS) if name != THEIRS and name.startswith(("webops-", "wo-"))]
    return [*ours, *filter(machine.exists, (*uninstall.FOLDERS, services.COMMAND))]


def test_nothing_of_any_deployment_is_left(server: tuple[Machine, Programs]) -> None:
    machine, programs = server
    uninstall_all(machine)
    assert left(machine) == []
    assert machine.exists(f"{units.UNITS}/{THEIRS}")
    stopped = [words[-1] for words in programs.ran if words[:3] == ("systemctl", "disable", "--now")]
    assert set(SITES) <= set(stopped)
    assert stopped.index("wo-blog--3-web-0.socket") < stopped.index("wo-blog--3-web-0.proxy.service")


@pytest.mark.parametrize("program", ["userdel", "groupdel", "rm"])
def test_what_was_broken_off_goes_on_with_the_same_command(server: tuple[Machine, Programs], program: str) -> None:
    machine, programs = server
    works = getattr(programs, f"do_{program}")
    setattr(programs, f"do_{program}", lambda words: Result(8, "it is in use"))
    with pytest.raises(SetupError, match=program):
        uninstall_all(machine)
    assert machine.exists(HOST)
    assert machine.exists("/opt/webops")
    assert machine.exists(services.COMMAND)

    setattr(programs, f"do_{program}", works)
    uninstall_all(machine)
    assert left(machine) == []


def test_a_folder_that_can_not_be_removed_leaves_the_program_that_goes_on(server: tuple[Machine, Programs]) -> None:
    machine, programs = server
    stays = str(machine.at("/etc/webops"))
    programs.do_rm = lambda words: Result(1, "busy") if stays in words else removed(words)  # type: ignore[attr-defined]
    with pytest.raises(SetupError):
        uninstall_all(machine)
    assert left(machine) == ["/etc/webops", "/opt/webops", services.COMMAND]
