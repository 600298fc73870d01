"""Builds, as this very user: on a laptop the person's, in a job on a server the deployment's own."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from webops_host import django_work, environment, node, programs, publishing, python, registries, runner, usage
from webops_host.command import Command
from webops_host.environments import Environments
from webops_host.errors import NotFound, ProgramMissing
from webops_host.layout import Layout
from webops_host.names import DeploymentName, PythonVersion, RelativePath
from webops_host.project_shell import command_line
from webops_host.release_files import ENVIRONMENT_NOTE
from webops_host.values import (
    Console,
    DjangoFacts,
    DjangoWork,
    NodePlan,
    ProjectLine,
    Published,
    PythonBuilt,
    PythonPlan,
    Runtime,
)

NODE_MEMORY_MIB = 2048  # at least: what bundlers take says nothing about what the site takes
DJANGO_MEMORY_MIB = 512


class LocalBuilds:
    """`uv` is the installer's program; `environ` and `person` are the daemon's environment and home folder; `shared` as
    in `Environments`."""

    def __init__(
        self,
        layout: Layout,
        uv: Path | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
        person: Path | None = None,
        shared: bool | None = None,
    ) -> None:
        self._layout = layout
        self._environ = environ
        self._person = person or Path(environ.get("HOME") or "/nonexistent")
        self._uv = uv
        self._shared = shared

    def pythons(self) -> tuple[PythonVersion, ...]:
        """The interpreters that are here, oldest first. Others may be fetched by `python` when the network allows."""
        return tuple(self._interpreters())

    def python(self, name: DeploymentName, release: int, plan: PythonPlan, console: Console) -> PythonBuilt:
        """Have the environment. The same digest again does nothing.

        Raises CommandFailed, CommandTimedOut, PythonMissing, DiskFull, Cancelled.
        """
        settings = registries.for_uv(self._environ, self._person)
        environments = Environments(self._layout, self._uv or find_uv(), settings, self._interpreters, self._shared)
        if self._shared:
            return environments.have(name, release, plan, console)
        environment.home(self._layout, name).mkdir(parents=True, exist_ok=True)
        django_work.place_overlay(self._layout.overlay(name, release))
        built = environments.have(name, release, plan, console)
        (self._layout.release(name, release) / ENVIRONMENT_NOTE).write_text(plan.digest)
        return built

    def node(self, runtime: Runtime, plan: NodePlan, console: Console) -> None:
        """Run the front-end build in the release's source. Raises CommandFailed, CommandTimedOut, ProgramMissing."""
        program = self._node_program()
        runtime = replace(runtime, node=True)
        folder = self._layout.source(runtime.name, runtime.release) / plan.root
        if not (folder / "package.json").is_file():
            raise NotFound(f"There is no package.json in “{plan.root or '.'}”.", facts={"path": str(plan.root)})
        kept = self._layout.home(runtime.name) / "node" / node.digest(folder, program) / "node_modules"
        modules = folder / "node_modules"
        memory = max(runtime.limits.memory_mib, NODE_MEMORY_MIB)
        with self._alone(runtime) as alone:
            env = self._node_environment(runtime, folder, alone)
            if kept.is_dir() and not modules.exists():
                publishing.link_tree(kept, modules)
                console.emit("Front-end packages reused: package.json and its lock have not changed.")
            else:
                runner.run(node.install(folder, plan, env), console)
                self._keep_modules(modules, kept)
            runner.run(node.run_script(folder, plan, env, memory), console)

    def run(self, runtime: Runtime, line: ProjectLine, timeout: float, console: Console) -> None:
        """Run a command line of the project's owner in the release's source. Raises CommandFailed, CommandTimedOut."""
        with self._alone(runtime) as env:
            command = Command(
                command_line(line),
                cwd=environment.working_folder(self._layout, runtime),
                env=env,
                timeout=timeout,
                memory_mib=runtime.limits.memory_mib,
            )
            runner.run(command, console)

    def django(self, runtime: Runtime, work: DjangoWork, console: Console) -> DjangoFacts:
        """Check, migrate and collect static files in one process. Raises CommandFailed with the `phase` it was in,
        CommandTimedOut. Again: what is done already is found done."""
        if work.static_from is not None:
            self.carry_static(runtime.name, runtime.release, work.static_from)
        release = self._layout.release(runtime.name, runtime.release)
        overlay = self._layout.overlay(runtime.name, runtime.release)
        django_work.place_overlay(overlay)
        memory = max(runtime.limits.memory_mib, DJANGO_MEMORY_MIB)
        with self._alone(runtime) as env:
            command = Command(
                ("python", str(overlay / django_work.PROGRAM)),
                cwd=environment.working_folder(self._layout, runtime),
                env=env,
                timeout=work.timeout,
                memory_mib=memory,
            )
            return django_work.perform(command, work, release / ".django.json", console)

    def carry_static(self, name: DeploymentName, release: int, source: int) -> None:
        """Have the collected static files of the release `source` in this release too, without copying their contents.
        Raises NotFound when `source` has no files. Again: nothing."""
        django_work.place_overlay(self._layout.overlay(name, release))
        origin, target = self._layout.static(name, source), self._layout.static(name, release)
        if target.is_dir():
            return
        if not origin.is_dir():
            raise NotFound(f"Release {source} has no collected static files.", hint="Collect them anew.")
        publishing.link_tree(origin, target)

    def publish(self, name: DeploymentName, release: int, folder: RelativePath) -> Published:
        """Copy a folder of the release's source to its public tree, without links that lead out, dot files (except
        .well-known) and .git. Raises NotFound when the folder or its index.html is missing. Again: made anew."""
        return publishing.publish(self._layout.source(name, release), folder, self._layout.public(name, release))

    # --- their surroundings ---

    @contextmanager
    def _alone(self, runtime: Runtime) -> Iterator[dict[str, str]]:
        """The environment of one piece of work. On the way out, also when it was cancelled, what left its session to
        run on is ended; work beside it in the same release is not."""
        environment.home(self._layout, runtime.name).mkdir(parents=True, exist_ok=True)
        mark = programs.build_mark(self._layout, runtime, f"{secrets.token_hex(8)}/")
        try:
            yield environment.runtime_environment(self._layout, runtime, extra={"WEBOPS_UNIT": mark})
        finally:
            usage.kill_marked(mark)

    def _node_environment(self, runtime: Runtime, folder: Path, alone: dict[str, str]) -> dict[str, str]:
        env = alone | registries.for_npm(self._environ, self._person)
        path = os.pathsep.join((str(folder / "node_modules/.bin"), env["PATH"]))
        cache = self._layout.home(runtime.name) / "cache/npm"
        return env | {"PATH": path, "NPM_CONFIG_CACHE": str(cache)}

    def _node_program(self) -> Path:
        path = self._environ.get("PATH", os.defpath)
        for program in ("node", "npm"):
            if shutil.which(program, path=path) is None:
                raise ProgramMissing(
                    f"The front-end build needs {program}, which is not installed here.",
                    hint="Install it with “apt install nodejs npm”, or build the front end before pushing.",
                    facts={"program": program},
                )
        return Path(shutil.which("node", path=path) or "node").resolve()

    def _keep_modules(self, modules: Path, kept: Path) -> None:
        """Keep the newest only: an older set is as good as gone when the lock has changed."""
        shutil.rmtree(kept.parent.parent, ignore_errors=True)
        if modules.is_dir() and not modules.is_symlink():
            publishing.link_tree(modules, kept)

    def _interpreters(self) -> Mapping[PythonVersion, Path]:
        places = python.usual_places(self._environ, self._person, self._layout.host / "pythons")
        return python.interpreters(places)


def find_uv() -> Path:
    """uv beside this interpreter, from its package, or on PATH. Raises ProgramMissing."""
    beside = Path(sys.prefix) / "bin/uv"
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise ProgramMissing(
            "The program uv, which installs Python packages, is not here.",
            hint="Install it into the platform's environment: “pip install uv”.",
            facts={"program": "uv"},
        )
    return Path(found)
