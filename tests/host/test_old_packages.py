"""Packages of earlier years that build with the tools of their time only."""

from __future__ import annotations

import os
import sys
import tarfile
from pathlib import Path

import pytest

from webops_host import python
from webops_host.builds import LocalBuilds
from webops_host.errors import CommandFailed
from webops_host.layout import Layout
from webops_host.names import DeploymentName, Digest, PythonVersion
from webops_host.python import Installer
from webops_host.values import Console, PythonPlan

NAME = DeploymentName("site")
HERE = PythonVersion(f"{sys.version_info.major}.{sys.version_info.minor}")
PROJECT = '[project]\nname = "old"\nversion = "1.0"\n[build-system]\nrequires = []\nbuild-backend = "backend"\n'
# Fails as setuptools does where it is too new for a package, as often as it is told to.
BACKEND = """
import pathlib, zipfile
tries = pathlib.Path({tries!r})
def get_requires_for_build_wheel(config_settings=None):
    left = int(tries.read_text())
    tries.write_text(str(left - 1))
    if left > 0:
        raise ImportError("{says}")
    return []
def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(folder + "/old-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("old.py", "")
        wheel.writestr("old-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: old\\nVersion: 1.0\\n")
        wheel.writestr("old-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("old-1.0.dist-info/RECORD", "")
    return "old-1.0-py3-none-any.whl"
"""


@pytest.fixture
def install(tmp_path: Path):
    """Install a package that fails so often with these words; returns what was printed."""

    def run(times: int, says: str) -> list[str]:
        folder, source, tries = tmp_path / "links", tmp_path / "old-1.0", tmp_path / "tries"
        folder.mkdir()
        source.mkdir()
        tries.write_text(str(times))
        (source / "pyproject.toml").write_text(PROJECT + 'backend-path = ["."]\n')
        (source / "backend.py").write_text(BACKEND.format(tries=str(tries), says=says))
        (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: old\nVersion: 1.0\n")
        with tarfile.open(folder / "old-1.0.tar.gz", "w:gz") as archive:
            archive.add(source, "old-1.0")
        environ = {"PATH": os.environ["PATH"], "UV_OFFLINE": "1", "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(folder)}
        builds = LocalBuilds(Layout(tmp_path / "sites"), environ=environ, person=tmp_path / "person")
        lines: list[str] = []
        builds.python(NAME, 1, PythonPlan(HERE, ("old",), Digest("a" * 32)), Console(lines.append))
        return lines

    return run


def test_a_package_that_the_newest_tools_can_not_build_is_built_with_older_ones(install):
    lines = install(1, "cannot import name 'convert_path' from 'setuptools.build_meta'")
    assert any("older build tool" in line for line in lines)


@pytest.mark.parametrize(("times", "says"), [(9, "use_2to3 is invalid"), (1, "no compiler")])
def test_it_is_tried_once_more_and_for_that_reason_only(install, times, says):
    with pytest.raises(CommandFailed):
        install(times, says)


@pytest.mark.parametrize(("version", "wanted"), [("3.8", "setuptools<58"), ("3.12", "setuptools<72")])
def test_each_python_has_its_older_tools(version, wanted):
    assert python.older_setuptools(PythonVersion(version)) == wanted


def test_limits_for_builds_are_a_file_of_their_own(tmp_path: Path):
    installer = Installer(Path("/uv"), tmp_path, tmp_path, {})
    words = python.install(installer, tmp_path, Path("/r.txt"), wheels_only=False, build_with=Path("/b.txt")).argv
    assert words[-4:] == ("--build-constraints", "/b.txt", "--requirement", "/r.txt")
