"""The machine that is set up: its files, its accounts and its programs.

Everything lies below `root`, which is `/` but in tests. Programs and owners are handed in, so that a test can have a
whole machine in a folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from webops_host import runner
from webops_host.command import Command
from webops_host.errors import HostError
from webops_host.runner import Result
from webops_host.values import Console
from webops_install.errors import SetupError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LINES_SHOWN = 25


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int


class Owners(Protocol):
    """Who owns a file. The real ones ask the kernel."""

    def of(self, path: Path) -> tuple[int, int]: ...
    def give(self, path: Path, uid: int, gid: int) -> None: ...


class KernelOwners:
    def of(self, path: Path) -> tuple[int, int]:
        status = path.lstat()
        return status.st_uid, status.st_gid

    def give(self, path: Path, uid: int, gid: int) -> None:
        os.chown(path, uid, gid, follow_symlinks=False)


class Programs(Protocol):
    """Runs a command and gives its status and its last lines; never raises for a status."""

    def __call__(self, command: Command, console: Console | None, /) -> Result: ...


def run_program(command: Command, console: Console | None) -> Result:
    return runner.run(command, console, check=False)


@dataclass(frozen=True, slots=True)
class Machine:
    """`env` is added to the small environment that every program gets; `log` gets what programs are run and print."""

    root: Path = Path("/")
    programs: Programs = run_program
    owners: Owners = field(default_factory=KernelOwners)
    env: Mapping[str, str] = field(default_factory=dict)
    log: Callable[[str], None] = lambda _: None

    # --- files ---

    def at(self, path: str | Path) -> Path:
        return self.root / str(path).lstrip("/")

    def text(self, path: str | Path) -> str | None:
        """None when there is no such file."""
        try:
            return self.at(path).read_text()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def exists(self, path: str | Path) -> bool:
        return os.path.lexists(self.at(path))

    def names(self, folder: str | Path) -> list[str]:
        """What is in a folder; nothing when it is not there."""
        try:
            return sorted(os.listdir(self.at(folder)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def mode(self, path: str | Path) -> int:
        return stat.S_IMODE(self.at(path).lstat().st_mode)

    # --- accounts, as the files of the machine say ---

    def user(self, name: str) -> Account | None:
        fields = self._entry("/etc/passwd", name)
        return Account(int(fields[2]), int(fields[3])) if fields else None

    def group(self, name: str) -> int | None:
        fields = self._entry("/etc/group", name)
        return int(fields[2]) if fields else None

    def members(self, group: str) -> set[str]:
        fields = self._entry("/etc/group", group)
        return set(filter(None, fields[3].split(","))) if fields else set()

    def _entry(self, file: str, name: str) -> list[str] | None:
        for line in (self.text(file) or "").splitlines():
            fields = line.split(":")
            if fields[0] == name and len(fields) >= 4:
                return fields
        return None

    # --- programs ---

    def run(
        self,
        *argv: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout: float = 300.0,
        hide: frozenset[str] = frozenset(),
        cwd: Path | None = None,
        quiet: bool = False,
        show: Callable[[str], None] | None = None,
    ) -> str:
        """What the program printed; `quiet` keeps that out of the log, `show` gets each line instead of it. Raises
        SetupError when it failed."""
        command = self._command(argv, env, stdin, timeout, hide, cwd)
        self.log(f"$ {command}")
        console = Console(show or (lambda line: self.log(f"  {line}")))
        try:
            result = self.programs(command, None if quiet else console)
        except HostError as error:
            raise SetupError(error.message, hint=error.hint, command=str(command)) from error
        if result.status != 0:
            shown = "\n".join(result.output.splitlines()[-LINES_SHOWN:])
            name = os.path.basename(command.program)
            raise SetupError(f"{name} failed with status {result.status}.", command=str(command), output=shown)
        return result.output

    def asks(
        self,
        *argv: str | Path,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        cwd: Path | None = None,
        show: Callable[[str], None] | None = None,
    ) -> Result:
        """Ask a program something; its status is the answer, and it prints its last lines, `show` gets every one. A
        program that is not there answers 127."""
        try:
            command = self._command(argv, env, "", timeout, frozenset(), cwd)
            return self.programs(command, Console(show) if show else None)
        except HostError as error:
            return Result(127, error.message)

    def says_yes(self, *argv: str | Path) -> bool:
        return self.asks(*argv).status == 0

    def _command(
        self,
        argv: tuple[str | Path, ...],
        env: Mapping[str, str] | None,
        stdin: str,
        timeout: float,
        hide: frozenset[str],
        cwd: Path | None,
    ) -> Command:
        base = {"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
        words = tuple(str(word) for word in argv)
        return Command(
            words,
            cwd=cwd,
            env={**base, **self.env, **(env or {})},
            stdin=stdin.encode(),
            timeout=timeout,
            hide=hide,
        )
