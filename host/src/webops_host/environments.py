"""Python environments on disk, made once for each digest and then only found.

An environment is built where it will stay, since its scripts name their own path; a marker inside says that it is
whole, and a lock beside it keeps two releases from building it at once. A sealed one holds only wheels: no code of a
package or project ran while it was made, so deployments may share it. Everything else is the deployment's own, with a
download cache of its own.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from webops_host import python, runner
from webops_host.command import Command
from webops_host.environment import READY
from webops_host.errors import Cancelled, CommandFailed, CommandTimedOut, DiskFull, NotFound, NoWheel, PythonMissing
from webops_host.layout import Layout
from webops_host.names import DeploymentName, PythonVersion
from webops_host.values import Console, PythonBuilt, PythonPlan

ENOUGH = 100 << 20  # bytes of free disk to begin with


@dataclass(frozen=True, slots=True)
class Environments:
    """Makes environments below the layout with `uv`. `settings` say where packages come from.

    `shared` says which kind this user may make: only sealed ones (NoWheel when that can not be), only the deployment's
    own, or, where all is done by one user, whichever it takes.
    """

    layout: Layout
    uv: Path
    settings: Mapping[str, str]
    interpreters: Callable[[], Mapping[PythonVersion, Path]]
    shared: bool | None = None

    def have(self, name: DeploymentName, release: int, plan: PythonPlan, console: Console) -> PythonBuilt:
        """Have the environment of the plan.

        Raises CommandFailed, CommandTimedOut, PythonMissing, DiskFull, Cancelled.
        """
        sealed, own = self.layout.sealed_env(plan.digest), self.layout.own_env(name, plan.digest)
        for place in (sealed, own):
            if (place / READY).exists():
                console.emit(f"Python {plan.python} environment reused: nothing in it has changed.")
                return PythonBuilt(plan.digest, reused=True, sealed=place is sealed)
        interpreter = self._interpreter(plan.python, console)
        if self.shared is not False and plan.project is None and self._sealed(sealed, interpreter, plan, console):
            return PythonBuilt(plan.digest, reused=False, sealed=True)
        if self.shared:
            raise NoWheel("Not everything in this environment is a ready-made wheel.")
        with self._locked(self.layout.home(name) / "cache/locks" / plan.digest, console):
            self._own(own, name, release, interpreter, plan, console)
        return PythonBuilt(plan.digest, reused=False, sealed=False)

    # --- the two kinds ---

    def _sealed(self, place: Path, interpreter: Path, plan: PythonPlan, console: Console) -> bool:
        """Build it from wheels alone. False when some package has none."""
        # An environment's own interpreter runs what its packages' .pth files say: it must not while this is made.
        installer = replace(self._installer(self.layout.cache / "uv", self.layout.host, plan.python), compiles=False)
        with self._locked(self.layout.host / "locks" / plan.digest, console):
            if (place / READY).exists():
                return True
            with _fresh(place):
                self._begin(installer, interpreter, place, plan, console)
                if plan.requirements:
                    command = python.install(installer, place, place / "requirements.txt", wheels_only=True)
                    result = runner.run(command, Console(_ignore, console.cancelled), check=False)
                    if result.status != 0 and python.NO_WHEEL.search(result.output):
                        console.emit("Some packages have no ready-made wheel here; they are built from source.")
                        shutil.rmtree(place, ignore_errors=True)
                        return False
                    _show(result.output, console)
                    _demand(command, result)
                self._finish(installer, place, console, interpreter)
        return True

    def _own(
        self, place: Path, name: DeploymentName, release: int, interpreter: Path, plan: PythonPlan, console: Console
    ) -> None:
        if (place / READY).exists():
            return
        home = self.layout.home(name)
        installer = self._installer(home / "cache/uv", home / "cache", plan.python)
        with _fresh(place):
            self._begin(installer, interpreter, place, plan, console)
            if plan.requirements:
                self._build(installer, place, plan, console)
            if plan.project is not None:
                folder = self.layout.source(name, release) / plan.project
                if not folder.is_dir():
                    raise NotFound(f"There is no folder “{plan.project}” to install.", facts={"path": plan.project})
                command = python.install_project(installer, place, folder)
                _demand(command, runner.run(command, console, check=False))
            self._finish(installer, place, console, place / "bin/python")

    def _build(self, installer: python.Installer, place: Path, plan: PythonPlan, console: Console) -> None:
        """Install, building what has no wheel; once more with the tools of its time when the tools were too new."""
        wanted = place / "requirements.txt"
        command = python.install(installer, place, wanted, wheels_only=False)
        result = runner.run(command, console, check=False)
        if result.status != 0 and python.BUILD_BROKE.search(result.output):
            older = python.older_setuptools(plan.python)
            console.emit(f"Trying again with an older build tool, as old packages want it: {older}.")
            (place / "build.txt").write_text(f"{older}\n")
            command = python.install(installer, place, wanted, wheels_only=False, build_with=place / "build.txt")
            result = runner.run(command, console, check=False)
        _demand(command, result)

    # --- their parts ---

    def _begin(
        self, installer: python.Installer, interpreter: Path, place: Path, plan: PythonPlan, console: Console
    ) -> None:
        for folder in (installer.cache, installer.home, place.parent):
            folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(place.parent).free
        if free < ENOUGH:
            raise DiskFull(f"Only {free >> 20} MiB are free.", hint="Remove old releases, or enlarge the disk.")
        console.emit(f"Python {plan.python} from {interpreter.parent}, {len(plan.requirements)} requirements.")
        command = python.venv(installer, interpreter, place)
        _demand(command, runner.run(command, console, check=False))
        (place / "requirements.txt").write_text("".join(f"{line}\n" for line in plan.requirements))

    def _finish(self, installer: python.Installer, place: Path, console: Console, interpreter: Path) -> None:
        """A file of a package that does not compile, such as a template or a test for another version, is no error."""
        if not installer.compiles:
            runner.run(python.compile_all(place, interpreter), Console(_ignore, console.cancelled), check=False)
        (place / READY).touch()

    def _interpreter(self, version: PythonVersion, console: Console) -> Path:
        """One that is here, or one fetched now."""
        here = self.interpreters()
        if version in here:
            return here[version]
        console.emit(f"Python {version} is not here; trying to fetch it.")
        installer = self._installer(self.layout.cache / "uv", self.layout.host, version)
        installer.cache.mkdir(parents=True, exist_ok=True)
        command = python.fetch_interpreter(installer, version, self.layout.host / "pythons")
        try:
            runner.run(command, Console(_ignore, console.cancelled))
            return self.interpreters()[version]
        except (CommandFailed, CommandTimedOut, KeyError):
            names = ", ".join(here) or "none"
            raise PythonMissing(
                f"Python {version} is not on this machine and could not be fetched.",
                hint=f"Install it, or ask for one of those that are here: {names}.",
                facts={"wanted": str(version), "here": names},
            ) from None

    @contextmanager
    def _locked(self, file: Path, console: Console) -> Iterator[None]:
        """Alone with this environment, across processes. Waiting can be cancelled."""
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not _try_lock(handle):
                console.emit("Another release is building this environment; waiting for it.")
                while not _try_lock(handle):
                    if console.cancelled():
                        raise Cancelled("It was cancelled.")
                    time.sleep(0.05)
            yield
        finally:
            os.close(handle)

    def _installer(self, cache: Path, home: Path, version: PythonVersion) -> python.Installer:
        return python.Installer(self.uv, cache, home, self.settings, compiles=version.pair >= (3, 7))


def _demand(command: Command, result: runner.Result) -> None:
    if result.status == 0:
        return
    if "No space left on device" in result.output:
        raise DiskFull("The disk is full.", hint="Remove old releases or deployments, or enlarge the disk.")
    error = runner.failed(command, result)
    raise CommandFailed("The packages could not be installed.", hint=_advice(result.output), facts=error.facts)


def _advice(output: str) -> str:
    if re.search(r"No solution found|unsatisfiable", output):
        return "The versions asked for do not fit together, or not this Python. The lines above say which."
    if re.search(r"Failed to build|build backend|error: command .* failed", output):
        return "A package could not be built here; a newer version of it may have a ready-made wheel."
    return "The lines above say why."


def _show(output: str, console: Console) -> None:
    for line in output.splitlines():
        if not line.startswith("Using Python "):
            console.emit(line)


def _ignore(line: str) -> None:
    """What an attempt printed that may fail."""


@contextmanager
def _fresh(place: Path) -> Iterator[None]:
    """An empty place; nothing half-made is left when the work fails."""
    shutil.rmtree(place, ignore_errors=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
