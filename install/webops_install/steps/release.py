"""The release tree: this version's source, the panel's environment, the host's programs, certbot, and uv.

A release is made in its place, under a name of its own, and is whole when its `.complete` is there. A release that was
broken off is gone on with. Nobody but root writes into it, so everything is compiled now.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from webops_install.change import Change, write
from webops_install.machine import Machine
from webops_install.step import Setup, Step

PYTHON = "/usr/bin/python3"
SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
CACHE = "/var/cache/webops/uv"
MARK = ".complete"
LEAN = {"PYTHONNODEBUGRANGES": "1"}
"""Compiled without the columns of each expression: 1.3 MiB at rest of panel and worker, and no carets in tracebacks."""


def is_whole(machine: Machine, release: Path) -> bool:
    return machine.exists(release / MARK)


def _plan(setup: Setup) -> Iterator[Change]:
    machine, release = setup.machine, setup.release
    if is_whole(machine, release):
        return
    yield Change(f"copy {len(setup.source.files)} files to {release}/src", lambda: _copy(setup))
    yield Change("compile the host's programs", lambda: _host(setup))
    yield Change("install uv", lambda: _uv(setup))
    yield Change("install the panel's packages", lambda: _environment(setup, "panel", "requirements.lock"))
    yield Change("install certbot", lambda: _environment(setup, "certbot", "requirements-certbot.lock"))
    yield Change("collect the panel's static files", lambda: _collect(setup))
    yield Change(f"close {release} and mark it as whole", lambda: _close(setup))


def _copy(setup: Setup) -> None:
    """Anew each time: half a copy is no copy."""
    target = setup.machine.at(setup.release / "src")
    shutil.rmtree(target, ignore_errors=True)
    for name in setup.source.files:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(setup.source.folder / name, place, follow_symlinks=False)
        if not place.is_symlink():
            place.chmod(0o755 if os.access(setup.source.folder / name, os.X_OK) else 0o644)


def _host(setup: Setup) -> None:
    machine, release = setup.machine, setup.release
    target, source = machine.at(release / "host"), machine.at(release / "src/host")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source / "src/webops_host", target / "webops_host")
    if (source / "programs").is_dir():
        shutil.copytree(source / "programs", target, dirs_exist_ok=True)
    machine.run(PYTHON, "-I", "-m", "compileall", "-q", "-f", target)
    machine.run(PYTHON, "-I", "-m", "compileall", "-q", "-f", machine.at(release / "src/install"))


def _uv(setup: Setup) -> None:
    machine = setup.machine
    tools = machine.at(setup.release / "tools")
    if _is_made(tools):
        return
    lock = machine.at(setup.release / "src/requirements.lock").read_text()
    wanted = re.search(r"^uv==(?:.*\\\n)*.*\n", lock, re.MULTILINE)
    assert wanted is not None, "the lock names uv"
    only = tools.with_name(".uv.lock")
    only.write_text(wanted[0])
    machine.run(PYTHON, "-m", "venv", tools)
    pip = (tools / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir")
    machine.run(*pip, "--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", only, env=_certificates(machine))
    only.unlink()
    (tools / "uv").symlink_to("bin/uv")
    (tools / MARK).touch()


def _is_made(environment: Path) -> bool:
    """One that was broken off may look whole and lack a file: it is made anew, with what the cache has by then."""
    if (environment / MARK).exists():
        return True
    shutil.rmtree(environment, ignore_errors=True)
    return False


def _environment(setup: Setup, name: str, lock: str) -> None:
    """An environment of exactly what a lock names, compiled."""
    machine = setup.machine
    uv, venv = machine.at(setup.release / "tools/bin/uv"), machine.at(setup.release / name)
    if _is_made(venv):
        return
    quiet = {"UV_CACHE_DIR": str(machine.at(CACHE)), "UV_NO_PROGRESS": "1", "UV_NO_CONFIG": "1"}
    env = {**_certificates(machine), **quiet, **LEAN}
    machine.run(uv, "venv", "--quiet", "--no-project", "--python", PYTHON, venv, env=env)
    sync = (uv, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", "--no-build", "--python")
    machine.run(*sync, venv / "bin/python", machine.at(setup.release / "src" / lock), env=env, timeout=1800)
    if name == "panel":
        _add_own_code(setup, venv)
    (venv / MARK).touch()


def _add_own_code(setup: Setup, venv: Path) -> None:
    """The panel's environment finds the panel and the host where this release has them."""
    (packages,) = venv.glob("lib/python3*/site-packages")
    folders = (setup.release / "src/control-panel", setup.release / "host", setup.release / "src/cli/src")
    (packages / "webops.pth").write_text("".join(f"{folder}\n" for folder in folders))


def _certificates(machine: Machine) -> dict[str, str]:
    """The machine's own authorities: a company's proxy may be among them."""
    said = {"UV_SYSTEM_CERTS": "true"}
    return said if "PIP_CERT" in machine.env else {**said, "PIP_CERT": SYSTEM_BUNDLE}


def _collect(setup: Setup) -> None:
    """Our own code, which reads no row for this: keys that are good for nothing else will do."""
    machine = setup.machine
    panel = machine.at(setup.release / "src/control-panel")
    python = machine.at(setup.release / "panel/bin/python")
    key = machine.run(python, "-c", "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())")
    env = {
        "WEBOPS_MODE": "production",
        "WEBOPS_VAR": "/nonexistent",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "ENCRYPTION_KEY": key.strip(),
        "DATABASE_URL": "postgres://webops@/webops?host=/run/postgresql",
        "REDIS_URL": "unix:///run/webops/redis.sock",
        "WEBOPS_PANEL_HOST": setup.answers.panel,
    }
    machine.run(python, "manage.py", "collectstatic", "--noinput", "--verbosity", "0", env=env, cwd=panel)
    machine.run(python, "-m", "compileall", "-q", "-f", panel, env=LEAN)


def _close(setup: Setup) -> None:
    """Tools leave lock files that anybody may write to; here nobody but root may write to anything."""
    machine, release = setup.machine, setup.release
    machine.run("chmod", "-R", "go-w", machine.at(release))
    machine.run("sync")  # the mark is on the disk after what it vouches for, whenever the power goes
    write(machine, release / MARK, f"{setup.source.version}\n")


STEP = Step("release", _plan)
