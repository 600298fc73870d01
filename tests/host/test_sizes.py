"""How much room files take, without remembering each of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from webops_host import sizes
from webops_host.sizes import size


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "own").write_bytes(b"x" * 10)
        (tmp_path / str(number) / "shared").write_bytes(b"x" * 100)
        os.link(tmp_path / str(number) / "shared", tmp_path / f"again-{number}")
    return tmp_path


def test_a_file_counts_once_whatever_number_of_names_it_has(folder: Path) -> None:
    assert size(folder) == 330
    assert size(folder / "nothing") == 0


def test_only_files_with_several_names_are_remembered(folder: Path) -> None:
    seen: set[tuple[int, int]] = set()
    size(folder, seen)
    assert len(seen) == 3


def test_of_very_many_such_files_no_more_are_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "MOST_LINKED", 2)
    seen: set[tuple[int, int]] = set()
    assert size(folder, seen) == 430
    assert len(seen) == 2
