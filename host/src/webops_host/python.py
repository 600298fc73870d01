"""Python environments as commands of uv, and where interpreters are found. Nothing is run here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from webops_host.command import Command
from webops_host.names import PythonVersion

OLDEST = (3, 6)
BINARY_MAGIC = (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
INTERPRETER = re.compile(r"python(3\.\d{1,2})", re.ASCII)
NO_WHEEL = re.compile(
    r"no usable wheels|building from source is disabled|Building source distributions .{0,80}disabled"
    r"|Wheels are required|no compatible wheels|marked as `--no-build`|has no wheels",
    re.IGNORECASE,
)
INSTALL_TIMEOUT = 1800.0
BUILD_BROKE = re.compile(r"setuptools\.build_meta|use_2to3|No module named 'pkg_resources'")


def older_setuptools(version: PythonVersion) -> str:
    """A setuptools that packages of earlier years still build with: later ones left out what they use."""
    return "setuptools<58" if version.pair < (3, 12) else "setuptools<72"


@dataclass(frozen=True, slots=True)
class Installer:
    """uv, where it may keep things, and what it has to know of this machine's package indexes.

    A cache belongs to one level of trust: what project code could have written is never used for others. `compiles`
    says whether it byte-compiles what it installs: it can not for Python 3.6.
    """

    program: Path
    cache: Path
    home: Path
    settings: Mapping[str, str]
    compiles: bool = True

    def environment(self) -> dict[str, str]:
        return {
            **self.settings,
            "PATH": os.pathsep.join(("/usr/local/bin", "/usr/bin", "/bin")),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "UV_NO_PROGRESS": "1",
            "UV_CACHE_DIR": str(self.cache),
            "UV_LINK_MODE": "hardlink",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_HTTP_TIMEOUT": self.settings.get("UV_HTTP_TIMEOUT", "60"),
        }


def venv(installer: Installer, interpreter: Path, into: Path) -> Command:
    """Make an empty environment, without pip."""
    words = ("venv", "--quiet", "--no-project", "--python", str(interpreter), "--", str(into))
    return _uv(installer, words, cwd=into.parent, timeout=120)


def install(
    installer: Installer, environment: Path, requirements: Path, *, wheels_only: bool, build_with: Path | None = None
) -> Command:
    """Install the lines of a requirements file. With `wheels_only` no code of a package runs. `build_with` is a file
    that limits what packages are built with."""
    only = ("--only-binary", ":all:") if wheels_only else ()
    build = ("--build-constraints", str(build_with)) if build_with is not None else ()
    words = (*_pip_install(installer, environment), *only, *build, "--requirement", str(requirements))
    return _uv(installer, words, cwd=environment, timeout=INSTALL_TIMEOUT)


def install_project(installer: Installer, environment: Path, folder: Path) -> Command:
    """Install the project in a folder itself. A copy, not a link to the folder: other releases use it too."""
    return _uv(
        installer, (*_pip_install(installer, environment), "--", str(folder)), cwd=environment, timeout=INSTALL_TIMEOUT
    )


def compile_all(environment: Path, interpreter: Path) -> Command:
    """Byte-compile what is installed: without it every start of a read-only environment compiles all of it again.

    An interpreter from outside of the environment runs nothing of its packages meanwhile.
    """
    words = ("-I", "-m", "compileall", "-q", "-j", "0", str(environment / "lib"))
    return Command((str(interpreter), *words), env={"LANG": "C.UTF-8"}, timeout=300)


def fetch_interpreter(installer: Installer, version: PythonVersion, into: Path) -> Command:
    """Download an interpreter of this version."""
    words = ("python", "install", "--no-bin", "--install-dir", str(into), "--", str(version))
    command = _uv(installer, words, cwd=None, timeout=300)
    return Command(command.argv, env={**command.env, "UV_PYTHON_DOWNLOADS": "manual"}, timeout=300)


def usual_places(environ: Mapping[str, str], home: Path, own: Path) -> tuple[Path, ...]:
    """Folders that interpreters are in: those we fetched, those on PATH, those of the usual tools."""
    folders = [*sorted(own.glob("cpython-*/bin"), reverse=True)]
    folders += [Path(part) for part in environ.get("PATH", "").split(os.pathsep) if part.startswith("/")]
    folders += [Path(folder) for folder in ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin")]
    for pattern in (".pyenv/versions/*/bin", ".local/share/uv/python/cpython-*/bin", ".asdf/installs/python/*/bin"):
        folders += sorted(home.glob(pattern), key=_by_numbers, reverse=True)
    folders += sorted(Path("/opt").glob("python*/bin"), key=_by_numbers, reverse=True)
    return tuple(dict.fromkeys(folders))


def interpreters(folders: Iterable[Path]) -> dict[PythonVersion, Path]:
    """One CPython of each minor version from 3.6 on, oldest first; the first folder that has it counts.

    A name alone is not believed: it has to lead to a binary of that very name, which a shim, PyPy's or a broken link
    does not.
    """
    found: dict[PythonVersion, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("python3.*")):
            named = INTERPRETER.fullmatch(path.name)
            version = PythonVersion(named[1]) if named is not None else None
            if version is not None and version.pair >= OLDEST and version not in found and _is_real(path):
                found[version] = path
    return dict(sorted(found.items(), key=lambda item: item[0].pair))


def _is_real(path: Path) -> bool:
    try:
        real = path.resolve(strict=True)
        with real.open("rb") as file:
            return real.name == path.name and file.read(4) in BINARY_MAGIC and os.access(real, os.X_OK)
    except OSError:
        return False


def _by_numbers(path: Path) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", path.parent.name))


def _pip_install(installer: Installer, environment: Path) -> tuple[str, ...]:
    compiling = ("--compile-bytecode",) if installer.compiles else ()
    return ("pip", "install", "--python", str(environment / "bin/python"), *compiling)


def _uv(installer: Installer, words: tuple[str, ...], *, cwd: Path | None, timeout: float) -> Command:
    return Command((str(installer.program), *words), cwd=cwd, env=installer.environment(), timeout=timeout)
