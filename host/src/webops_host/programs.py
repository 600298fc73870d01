"""A unit as a program to run: pure building of words and environment, looked at in tests."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from webops_host.command import Command
from webops_host.environment import python_home, runtime_environment, working_folder
from webops_host.errors import NotFound
from webops_host.layout import Layout
from webops_host.project_shell import command_line
from webops_host.values import Gunicorn, Runtime, Unit, UnitRef

CONFIGURATION = "gunicorn.conf.py"  # gunicorn reads it by itself where it starts
KEEPS = "--keep-alive=5"  # seconds; longer than nginx keeps a connection, so that never both end it at once
NEWER = "gunicorn/ctl"  # since 25.1; before 24 its threads stall under many connections when some of them are kept
PATIENCE = 25  # seconds gunicorn gives its requests to end; less than what we give it


@dataclass(frozen=True, slots=True)
class Door:
    """Where a serving unit may be reached: a socket of its own, or a port kept for it."""

    socket: Path
    port: int


def socket_path(layout: Layout, ref: UnitRef) -> Path:
    """Short whatever the names are: a socket's path holds 107 bytes."""
    words = f"{ref.name}/{ref.release}/{ref.kind}/{ref.index}"
    return layout.run / f"{hashlib.sha256(words.encode()).hexdigest()[:16]}.sock"


def mark(layout: Layout, ref: UnitRef | None = None) -> str:
    """What `WEBOPS_UNIT` says in a unit's environment; without a unit, how all of this root begin."""
    root = hashlib.sha256(os.fsencode(layout.root.resolve())).hexdigest()[:16]
    return f"{root}/" if ref is None else f"{root}/{ref.name}/{ref.release}/{ref.kind}/{ref.index}/"


def build_mark(layout: Layout, runtime: Runtime, which: str = "") -> str:
    """What `WEBOPS_UNIT` says in a build's environment, of one of them that is told apart. No kind of process has a
    colon."""
    return f"{mark(layout)}{runtime.name}/{runtime.release}/:build/{which}"


def command(layout: Layout, unit: Unit, door: Door | None) -> Command:
    """The program of a unit. Raises NotFound when the release's source is not there."""
    runtime = unit.runtime
    folder = working_folder(layout, runtime)
    if not folder.is_dir():
        raise NotFound(
            f"The files of release {runtime.release} of {runtime.name} are not here.",
            hint="Deploy it again: its files were removed.",
        )
    env = runtime_environment(layout, runtime, extra=_additions(layout, unit, door))
    suggested = {} if door is None else {"WEB_CONCURRENCY": "1", "HOST": "127.0.0.1"}
    return Command(_words(layout, unit, door), cwd=folder, env={**suggested, **env})


def needs_port(layout: Layout, unit: Unit) -> bool:
    """Whether a serving unit has to be given a port, because the project has a say in where it listens."""
    return not isinstance(unit.program, Gunicorn) or (working_folder(layout, unit.runtime) / CONFIGURATION).exists()


def _words(layout: Layout, unit: Unit, door: Door | None) -> tuple[str, ...]:
    if not isinstance(unit.program, Gunicorn):
        return command_line(unit.program)
    program = unit.program
    work: tuple[str, ...]
    if program.asgi:
        work = ("--worker-class", _asgi_worker(layout, unit), "--workers", str(program.workers))
    else:
        work = ("--worker-class", "gthread", "--workers", str(program.workers), "--threads", str(program.threads))
    kept = (KEEPS,) if _installed(layout, unit, NEWER) else ()
    options = (*_bind(layout, unit, door), *work, *kept, "--graceful-timeout", str(PATIENCE))
    return ("python", "-m", "gunicorn", *options, "--forwarded-allow-ips=*", "--", program.application)


def _bind(layout: Layout, unit: Unit, door: Door | None) -> tuple[str, ...]:
    """Where gunicorn listens. Its control socket would be shared by all releases, so it has none.

    What a project configures for itself (`reuse_port`) may need a port: where it can, gunicorn gets one.
    """
    address = "" if door is None else f"127.0.0.1:{door.port}" if needs_port(layout, unit) else f"unix:{door.socket}"
    bind = (f"--bind={address}",) if address else ()
    return (*bind, "--no-control-socket") if _installed(layout, unit, NEWER) else bind


def _additions(layout: Layout, unit: Unit, door: Door | None) -> Mapping[str, str]:
    additions = {"WEBOPS_UNIT": mark(layout, unit.ref)}
    if door is not None:
        additions["PORT"] = str(door.port)
        if not isinstance(unit.program, Gunicorn):
            # goes before the project's configuration file, and is outdone by an address on the line itself
            additions["GUNICORN_CMD_ARGS"] = " ".join(_bind(layout, unit, door))
    return additions


def _asgi_worker(layout: Layout, unit: Unit) -> str:
    """The best worker that is installed: uvicorn's own package, the one uvicorn used to have, gunicorn's."""
    if _installed(layout, unit, "uvicorn_worker/_workers.py"):  # its first version was empty
        return "uvicorn_worker.UvicornWorker"
    return "uvicorn.workers.UvicornWorker" if _installed(layout, unit, "uvicorn/workers.py") else "asgi"


def _installed(layout: Layout, unit: Unit, module: str) -> bool:
    digest = unit.runtime.environment
    if digest is None:
        return False
    home = python_home(layout, unit.ref.name, digest)
    return any(home.glob(f"lib/python*/site-packages/{module}"))
