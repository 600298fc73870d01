"""The floor on the server: `bench/floor.py`, run there as root, with the programs that the platform takes.

Its uv, its git, the machine's own Python, gunicorn with the same arguments, a cache and environments of its own on the
same disk. No user, no sandbox, no proxy, and SQLite where the platform gives the app PostgreSQL: all of that is ours.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.server.lab.registries import environment

from bench import probe, samples
from bench.children import Failed, cpu_seconds
from bench.probe import Ask, Probe
from bench.server.ground import Ground, Sample

ROOT = "/srv/bench-floor"
PROGRAM = Path(__file__).parents[1] / "floor.py"
SETTINGS = {"UV_CACHE_DIR": f"{ROOT}/cache", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
BEAT = 0.02
PATIENCE = 180.0
BOTH = ("migrate", "collectstatic")


class Plain:
    """Use it in a `with`; what it made is removed at the end."""

    def __init__(self, ground: Ground) -> None:
        self._ground, self._server = ground, ground.server
        self.shop = samples.Shop(ground.repository("floor/shop"), "floor")
        self.site = samples.StaticSite(ground.repository("floor/site"), "floor")
        self._markers: dict[str, list[tuple[int, str]]] = {}

    def __enter__(self) -> Self:
        self._server.run(f"rm -rf {ROOT} && mkdir -p {ROOT}")
        self._server.write(f"{ROOT}/floor.py", PROGRAM.read_text())
        self._server.write(f"{ROOT}/ca.pem", self._ground.git.ca_pem)
        given = {"root": ROOT, "python": "/usr/bin/python3", "uv": "/opt/webops/current/tools/uv"}
        env = {**environment(), "PATH": "/usr/bin:/bin", "HOME": ROOT, "LC_ALL": "C.UTF-8", **SETTINGS}
        self._process = subprocess.Popen(
            self._server.enter(("python3", f"{ROOT}/floor.py", json.dumps(given | {"ca_file": f"{ROOT}/ca.pem"}))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**env, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull},
            text=True,
            cwd="/",
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(40)
        self._process.kill()
        self._server.run(f"rm -rf {ROOT}")

    # --- what is measured ----------------------------------------------------------------------------------------

    def release(self, name: str, marker: str, *work: str) -> Sample:
        """The newest commit of the shop; `work` is what it has changed: migrations, static files."""
        url = self._ground.git.url("floor/shop")
        sample = self._measure(self._asks(name), marker, "django", name=name, url=url, work=list(work))
        done = self._markers.setdefault(name, [])
        done.append((len(done) + 1, marker))
        return sample

    def back(self, name: str) -> Sample:
        """To the release before the newest two."""
        number, marker = self._markers[name][-3]
        return self._measure(self._asks(name), marker, "rollback", name=name, number=number)

    def static(self, marker: str) -> Sample:
        page = self._inside(f"{ROOT}/site/current", "/index.html")
        return self._measure(page, marker, "static", name="site", url=self._ground.git.url("floor/site"))

    def about(self, name: str) -> dict[str, Any]:
        return dict(json.loads(self._asks(name, "/about")()))

    def remove(self, name: str) -> None:
        self._order("remove", name=name)
        self._markers.pop(name, None)
        for _ in ("live", "settled"):
            self._answer()

    # --- parts ---------------------------------------------------------------------------------------------------

    def _asks(self, name: str, path: str = "/version") -> Ask:
        return self._inside(f"{ROOT}/{name}/live.sock", path=path)

    def _inside(self, link: str, file: str = "", path: str = "") -> Ask:
        """Through a link on the server's disk: from here it would lead to a place of ours."""
        disk = f"/proc/{self._server.leader}/root"

        def ask() -> str:
            there = Path(f"{disk}{os.readlink(disk + link)}{file}")
            return probe.of_file(there)() if file else probe.of_socket(there, path)()

        return ask

    def _measure(self, look: Ask, marker: str, act: str, **order: Any) -> Sample:
        before = cpu_seconds([self._process.pid])
        with Probe(look, BEAT) as probing:
            began = time.perf_counter()
            self._order(act, **order)
            parts = self._answer()["parts"]
            seconds = probing.wait(marker, PATIENCE, lambda: None) - began
        self._answer()
        cpu = cpu_seconds([self._process.pid]) - before
        if {look() for _ in range(10)} != {marker}:
            raise Failed(f"The floor answers with something else after {marker}.")
        return Sample(seconds, parts, cpu)

    def _order(self, act: str, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"act": act, **order}) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = dict(json.loads(line)) if line else {"failed": "it ended"}
        if "failed" in answer:
            raise Failed(f"The floor failed: {answer['failed']}")
        return answer
