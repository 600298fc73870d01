"""The floor: a plain script that does only the unavoidable, with the same programs in the same states as the platform.

fetch into a mirror → lay out → uv (once per lock) → migrate and collectstatic in one process, when the commit changed
what they read → exec gunicorn on a socket of its own → ask it every 3 ms → rename one link. No queue, no rows, no
checks, no undo, no log, no account, no proxy: the probe reads through the link.

It runs as a process that stays, like the platform's worker: `python -m bench.floor <settings as JSON>` reads one order
per line and answers with two lines: when the switch is made, and when the old release is gone.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

POLL = 0.003
START_TIMEOUT = 60.0
RELEASE_WORK = """
import sys, django
from django.core.management import call_command
django.setup()
if "migrate" in sys.argv: call_command("migrate", interactive=False, verbosity=0)
if "collectstatic" in sys.argv: call_command("collectstatic", interactive=False, verbosity=0)
"""


@dataclass
class Site:
    """One deployed thing: its folder, and the program that serves it now."""

    folder: Path
    url: str
    releases: int = 0
    server: subprocess.Popen[bytes] | None = None

    def release(self, number: int) -> Path:
        return self.folder / "releases" / str(number)

    def socket(self, number: int) -> Path:
        return self.folder / f"{number}.sock"


@dataclass
class Floor:
    """`environ` is the whole environment of its programs; `python` the interpreter that the platform chose too."""

    root: Path
    python: str
    uv: str
    ca_file: Path
    environ: dict[str, str]
    sites: dict[str, Site] = field(default_factory=dict)
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def envs(self) -> Path:
        return self.root / "envs"

    # --- orders ------------------------------------------------------------------------------------------------

    def django(self, name: str, url: str, work: list[str]) -> subprocess.Popen[bytes] | None:
        """Deploy the newest commit; returns the server that is to go."""
        site = self.sites.setdefault(name, Site(self.root / name, url))
        site.releases += 1
        self._bring(site)
        with self._timed("uv"):
            python = self._environment(site.release(site.releases) / "requirements.txt")
        with self._timed("release"):
            if work:
                self._run([python, "-c", RELEASE_WORK, *work], site.release(site.releases), self._settings(site))
        return self._serve(site, site.releases, python)

    def rollback(self, name: str, number: int) -> subprocess.Popen[bytes] | None:
        """Start a release that is still on disk, and switch to it."""
        site = self.sites[name]
        python = self._environment(site.release(number) / "requirements.txt")
        return self._serve(site, number, python)

    def static(self, name: str, url: str) -> None:
        """Deploy the newest commit of a static site: the link leads to its files."""
        site = self.sites.setdefault(name, Site(self.root / name, url))
        site.releases += 1
        self._bring(site)
        with self._timed("switch"):
            self._point(site.folder / "current", site.release(site.releases))
        shutil.rmtree(site.release(site.releases - 2), ignore_errors=True)

    def remove(self, name: str) -> None:
        """Gone, also when it was never whole."""
        site = self.sites.pop(name, None)
        if site is not None:
            stop(site.server)
            shutil.rmtree(site.folder, ignore_errors=True)

    def wipe(self) -> None:
        """Forget the environments and uv's cache."""
        for folder in (self.envs, Path(self.environ["UV_CACHE_DIR"])):
            shutil.rmtree(folder, ignore_errors=True)

    # --- parts -------------------------------------------------------------------------------------------------

    def _bring(self, site: Site) -> None:
        mirror, tree = site.folder / "repo.git", site.release(site.releases)
        with self._timed("fetch"):
            if not mirror.exists():
                mirror.mkdir(parents=True)
                self._git(mirror, "init", "--quiet", "--bare")
            certificates = f"http.sslCAInfo={self.ca_file}"
            self._git(
                mirror, "-c", certificates, "fetch", "--quiet", "--depth=1", "--no-tags", site.url, "+main:refs/live"
            )
        with self._timed("lay out"):
            tree.mkdir(parents=True)
            index = {"GIT_INDEX_FILE": str(site.folder / "index")}
            self._git(mirror, f"--work-tree={tree}", "read-tree", "--reset", "-u", "refs/live", cwd=tree, more=index)
            (site.folder / "index").unlink()

    def _git(self, mirror: Path, *words: str, cwd: Path | None = None, more: dict[str, str] | None = None) -> None:
        self._run(["git", f"--git-dir={mirror}", *words], cwd or mirror, more or {})

    def _environment(self, requirements: Path) -> str:
        """The Python of an environment that holds the lock; installed at most once."""
        place = self.envs / hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
        python = str(place / "bin/python")
        if not (place / ".ready").exists():
            self._run([self.uv, "venv", "--quiet", "--no-project", "--python", self.python, str(place)], self.root)
            words = ["pip", "install", "--quiet", "--python", python, "--compile-bytecode"]
            self._run([self.uv, *words, "--requirement", str(requirements)], self.root)
            (place / ".ready").touch()
        return python

    def _serve(self, site: Site, number: int, python: str) -> subprocess.Popen[bytes] | None:
        """Start beside the old server, wait for the first answer, rename the link; returns the old server."""
        door = site.socket(number)
        words = [python, "-m", "gunicorn", "--bind", f"unix:{door}", "--worker-class", "gthread", "--workers", "1"]
        words += ["--threads", "4", "--graceful-timeout", "25", "--", "shop.wsgi:application"]
        with self._timed("start"), (site.folder / "server.log").open("ab") as log:
            before, site.server = (
                site.server,
                subprocess.Popen(
                    words,
                    cwd=site.release(number),
                    env=self.environ | self._settings(site),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                ),
            )
            wait_for_answer(door, site.server)
        with self._timed("switch"):
            self._point(site.folder / "live.sock", door)
        return before

    def _settings(self, site: Site) -> dict[str, str]:
        """What the app reads."""
        return {
            "SECRET_KEY": "only-for-the-floor-of-a-benchmark-0123456789abcdef",
            "DATABASE_URL": f"sqlite:///{site.folder / 'db.sqlite3'}",
            "STATIC_ROOT": str(site.folder / "static"),
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "WEB_CONCURRENCY": "1",
        }

    def _point(self, link: Path, target: Path) -> None:
        fresh = link.with_name(f".{link.name}")
        fresh.symlink_to(target)
        fresh.rename(link)

    def _run(self, words: list[str], cwd: Path, more: dict[str, str] | None = None) -> None:
        done = subprocess.run(words, cwd=cwd, env=self.environ | (more or {}), capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{words[:3]} failed: {done.stderr.decode(errors='replace')[-2000:]}")

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.parts[part] = time.perf_counter() - began


def wait_for_answer(door: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            connection.settimeout(START_TIMEOUT)
            connection.connect(str(door))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if connection.recv(64).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(POLL)
    raise RuntimeError("The app did not answer.")


def stop(server: subprocess.Popen[bytes] | None) -> None:
    if server is not None:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def obey(floor: Floor, order: dict[str, Any]) -> None:
    """One order: `act` and its arguments. Answers when the new release is live, and when the old one is gone."""
    floor.parts = {}
    act = order.pop("act")
    try:
        old = getattr(floor, act)(**order)
        say({"live": True, "parts": floor.parts})
        stop(old)
        say({"settled": True})
    except Exception as error:  # the outer edge: the run records it as a failure of the floor
        say({"failed": f"{type(error).__name__}: {error}"})


def say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def main() -> None:
    given = json.loads(sys.argv[1])
    root = Path(given["root"])
    floor = Floor(root, given["python"], given["uv"], Path(given["ca_file"]), dict(os.environ))
    for line in sys.stdin:
        obey(floor, json.loads(line))
    for site in floor.sites.values():
        stop(site.server)


if __name__ == "__main__":
    main()
