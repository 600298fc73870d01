"""The checkout that is installed: which files belong to it, and the name of its version."""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from webops_install.errors import SetupError
from webops_install.machine import Machine

RELEASES = Path("/opt/webops/releases")
LEFT_OUT = {".git", "venv", "var", "node_modules", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}
NOT_INSTALLED = ("tests/", "bench/", "docs/images/")
"""Tests are no part of a running platform."""


@dataclass(frozen=True, slots=True)
class Source:
    """`files` are relative to the folder, in order."""

    folder: Path
    files: tuple[str, ...]
    version: str


def read(machine: Machine, folder: Path) -> Source:
    """The files that Git knows, as they are now; without Git, all that no tool has made. A release knows its name."""
    if folder.name == "src" and folder.parent.parent == RELEASES:
        return Source(folder, tuple(sorted(_walk(folder))), folder.parent.name)
    names: list[str] = []
    git = ("git", "-c", "safe.directory=*", "-c", "core.quotePath=off", "-C", folder)
    if machine.asks(*git, "ls-files", timeout=60, show=names.append).status != 0 or not names:
        names = _walk(folder)
    files = tuple(sorted(name for name in names if not name.startswith(NOT_INSTALLED) and (folder / name).is_file()))
    if "control-panel/manage.py" not in files:
        raise SetupError(f"{folder} is not a checkout of WebOps.", hint="Clone it again, then run setup.sh there.")
    return Source(folder, files, _version(machine, folder, files))


def _walk(folder: Path) -> list[str]:
    names = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        names += [os.path.relpath(os.path.join(place, name), folder) for name in files]
    return names


def _version(machine: Machine, folder: Path, files: tuple[str, ...]) -> str:
    """`0.1.0-3e374e5`; when the files are not those of that commit, eight letters that stand for them follow."""
    number = str(tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"])
    git = ("git", "--no-optional-locks", "-c", "safe.directory=*", "-C", folder)
    commit = machine.asks(*git, "rev-parse", "--short=8", "HEAD").output.strip()
    changed = machine.asks(*git, "status", "--porcelain", "--untracked-files=no", timeout=60)
    if not re.fullmatch(r"[0-9a-f]{7,40}", commit) or changed.status != 0:
        return f"{number}-{_digest(folder, files)}"
    return f"{number}-{commit}" if not changed.output.strip() else f"{number}-{commit}-{_digest(folder, files)}"


def _digest(folder: Path, files: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in files:
        digest.update(name.encode() + b"\0" + (folder / name).read_bytes() + b"\0")
    return digest.hexdigest()[:8]
