"""What a person types, and what is said when it can not be done."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from tests.install.machines import OK, Programs, machine, quiet

from webops_host.runner import Result
from webops_install import backup, commands, database, everyday
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
