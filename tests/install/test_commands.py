"""What a person types, and what is said when it can not be done."""

from __future__ import annotations

import argparse
import fcntl
import json
import socket
import tarfile
from pathlib import Path

import pytest
from tests.install.machines import OK, Programs, machine, quiet, setup

from webops_host.runner import Result
from webops_install import backup, commands, database, everyday, install, upgrade
from webops_install.errors import SetupError
from webops_install.machine import Machine


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that was set up, and the folder in which somebody types."""
    made, programs = machine(tmp_path / "machine")
    folder = tmp_path / "somewhere"
    folder.mkdir()
    made.at(folder).mkdir(parents=True)
    made.at(database.DUMPS).mkdir(parents=True)
    programs.do_pg_lsclusters = lambda words: Result(0, "15 main 5432 online postgres /d /l")  # type: ignore[attr-defined]
    programs.do_setpriv = lambda words: dumped(programs, words)  # type: ignore[attr-defined]
    monkeypatch.chdir(folder)
    monkeypatch.setattr(everyday, "begun", lambda: (made, quiet()))
    return made


def dumped(programs: Programs, words: list[str]) -> Result:
    if "-f" in words:
        (programs.root / words[words.index("-f") + 1].lstrip("/")).write_bytes(b"PGDMP")
    return OK


def typed(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        commands.main(list(words))
    return int(str(end.value.code))


def test_a_backup_is_written_where_whoever_typed_is(here: Machine) -> None:
    assert typed("backup", "panel.tar.gz") == 0
    with tarfile.open(here.at(Path.cwd() / "panel.tar.gz")) as made:
        assert backup.MANIFEST in made.getnames()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("backup", "missing/panel.tar.gz"), "There is no folder {here}/missing."),
        (("backup", "."), "{here} is a folder."),
        (("restore", "--yes", "missing.tar.gz"), "No such file or directory: {root}{here}/missing.tar.gz"),
        (("restore", "--yes", "notes.txt"), "{here}/notes.txt is no backup of the panel: not a gzip file"),
        (("logs", "Blog"), "'Blog' is not allowed here."),
    ],
    ids=["no folder", "a folder", "no file", "no backup", "no deployment"],
)
def test_what_can_not_be_done_is_said_in_a_sentence(
    here: Machine, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    here.at(Path.cwd() / "notes.txt").write_text("notes")
    assert typed(*words) == 1
    assert says.format(here=Path.cwd(), root=here.root) in capsys.readouterr().err


# --- one at a time ---

KEEPING = (("backup",), ("restore", "--yes", "notes.txt"), ("rotate-keys",))


def runs(made: Machine, state: str) -> None:
    """The unit of an upgrade is in this state."""
    programs = made.programs
    assert isinstance(programs, Programs)
    others = programs.do_systemctl
    programs.do_systemctl = lambda words: Result(0, state) if words[0] == "show" else others(words)  # type: ignore[method-assign]


@pytest.mark.parametrize("words", [*KEEPING, ("go-back",)], ids=lambda words: words[0])
def test_nothing_begins_beside_another(
    here: Machine, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with here.at(install.LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert typed(*words) == 1
    assert "runs on this server" in capsys.readouterr().err


@pytest.mark.parametrize("words", [*KEEPING, ("go-back",)], ids=lambda words: words[0])
@pytest.mark.parametrize("state", ["activating", "active", "deactivating"])
def test_nothing_begins_beside_an_upgrade_whose_terminal_is_gone(
    here: Machine, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], state: str
) -> None:
    runs(here, state)
    assert typed(*words) == 1
    assert "An upgrade runs on this server." in capsys.readouterr().err


def test_no_setup_goes_back_beside_an_upgrade_that_goes_back(tmp_path: Path) -> None:
    made, _ = setup(tmp_path)
    runs(made.machine, "deactivating")
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    options = argparse.Namespace(going_back=False, guarded=False, dry_run=False)
    with pytest.raises(SetupError, match="An upgrade runs"):
        install.carry_out(made, options, quiet())


def test_the_unit_of_an_upgrade_goes_back_while_somebody_waits_for_it(here: Machine) -> None:
    broken_off(here)
    runs(here, "deactivating")
    with here.at(install.LOCK).open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert typed("go-back", "--guarded") == 0
    assert upgrade.under_way(here) is None


@pytest.mark.parametrize("words", KEEPING, ids=lambda words: words[0])
def test_nothing_is_kept_or_replaced_before_an_upgrade_was_gone_back_from(
    here: Machine, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    broken_off(here)
    assert typed(*words) == 1
    assert "First: webops-admin go-back" in capsys.readouterr().err
    assert typed("go-back") == 0
    assert upgrade.under_way(here) is None


def test_at_boot_panel_and_worker_may_start_before_the_version_before_is_set_up(
    here: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait for this unit to count as started, and that setup waits for them."""
    broken_off(here)
    told: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("notify")
        systemd.settimeout(0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(Path.cwd() / "notify"))
        here.programs.do_python3 = lambda words: told.append(systemd.recv(100)) or OK  # type: ignore[attr-defined]
        assert typed("go-back") == 0
    assert told == [b"READY=1"]


def broken_off(made: Machine) -> None:
    """An upgrade was, before its dump."""
    place = made.at(upgrade.RECORD)
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps({"old": "1-a", "new": "2-b", "dump": ""}))
    made.at("/opt/webops").mkdir()
    made.programs.do_python3 = lambda words: OK  # type: ignore[attr-defined]
