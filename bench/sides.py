"""The two sides of a comparison. Both do the same things to the same contents; only the clock is shared.

A sample begins when the request to deploy is sent (the platform) or the order is given (the floor), and ends when the
first answer with the new marker has arrived.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bench import probe, samples
from bench.children import Failed, cpu_seconds, scrubbed
from bench.probe import Ask, Probe
from bench.world import ROOT, World
from webops_host.builds import find_uv

APP_BEAT, STATIC_BEAT, NEW_BEAT = 0.02, 0.01, 0.05
"""Seconds between two looks. What did not exist takes seconds to come, and being asked costs the one who answers."""
TIMEOUT = 180.0
AFTERWARDS = "finish"
BOTH = ["migrate", "collectstatic"]


@dataclass
class Sample:
    """One measured deployment. `parts` are seconds by step, as the side itself tells."""

    marker: str
    seconds: float = 0.0
    cpu: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    asked: int = 0
    unanswered: int = 0
    slowest: float = 0.0
    load: float = 0.0
    failed: str = ""

    def split(self, parts: dict[str, float]) -> None:
        """Where the time went; `rest` is what no part accounts for. What comes after the switch does not count."""
        counted = sum(seconds for name, seconds in parts.items() if name != AFTERWARDS)
        self.parts = {**parts, "rest": self.seconds - counted}

    def looked(self, look: Probe) -> None:
        self.asked, self.unanswered, self.slowest = look.asked, look.failed, round(look.slowest, 4)
        self.load = os.getloadavg()[0]


class Ours:
    """The platform, driven through its API."""

    def __init__(self, world: World) -> None:
        self.world, self.platform, self.client = world, world.platform, world.platform.client
        self.shop = samples.Shop(world.repository("ours/shop"), "ours")
        self.site = samples.StaticSite(world.repository("ours/site"), "ours")
        self.markers: dict[str, list[tuple[int, str]]] = {}
        self._urls: dict[str, str] = {}

    def wipe(self) -> None:
        self.platform.forget_environments()

    def new_app(self, name: str) -> Sample:
        """A deployment that did not exist, from the request to make it."""
        return self._measure(name, self.shop.change_code(), lambda: self._create(name, "ours/shop"))

    def new_site(self, name: str) -> Sample:
        return self._measure(name, self.site.change_page(), lambda: self._create(name, "ours/site"), page=True)

    def redeploy(self, name: str, marker: str) -> Sample:
        return self._measure(name, marker, lambda: self.client.deploy(name))

    def redeploy_site(self, name: str, marker: str) -> Sample:
        return self._measure(name, marker, lambda: self.client.deploy(name), page=True)

    def rollback(self, name: str) -> Sample:
        """To the release that was live before."""
        number, marker = self.markers[name][-2]
        return self._measure(name, marker, lambda: self.client.rollback(name, number))

    def remove(self, name: str) -> None:
        """Gone, also when its release failed."""
        self.client.delete(name)
        self._urls.pop(name, None)
        self.markers.pop(name, None)

    def about(self, name: str) -> dict[str, Any]:
        return dict(json.loads(probe.body(self.url(name), "/about")))

    def url(self, name: str) -> str:
        if name not in self._urls:
            self._urls[name] = self.client.url(name)
        return self._urls[name]

    def check_site(self, name: str) -> None:
        """Byte for byte what was committed, every path."""
        url = self.url(name)
        wrong = [path for path, content in self.site.files.items() if probe.body(url, f"/{path}") != content]
        if wrong:
            raise Failed(f"The static site serves other bytes than those committed: {wrong[:5]}")

    def _create(self, name: str, repository: str) -> int:
        self.client.create(name, self.world.git_url(repository))
        return 1

    def _measure(self, name: str, marker: str, request: Callable[[], int], *, page: bool = False) -> Sample:
        """A site that has no address yet is probed from when it has one, long before it answers."""
        sample, before = Sample(marker), self.platform.cpu()
        with contextlib.ExitStack() as stack:
            looking = stack.enter_context(self._probe(name, page)) if name in self._urls else None
            began = time.perf_counter()
            number = request()
            accepted = time.perf_counter() - began
            looking = looking or stack.enter_context(Probe(self._look(name, page), NEW_BEAT))
            sample.seconds = looking.wait(marker, TIMEOUT, lambda: self._refuse_failed(name, number)) - began
            sample.looked(looking)
        release = self.client.over(name, number)
        sample.cpu = self.platform.cpu() - before
        sample.split(_parts(release, accepted))
        self._check_after(name, marker, page)
        self.markers.setdefault(name, []).append((number, marker))
        return sample

    def _look(self, name: str, page: bool) -> Ask:
        return probe.of_url(self.url(name), "/" if page else "/version", page=page)

    def _probe(self, name: str, page: bool) -> Probe:
        return Probe(self._look(name, page), STATIC_BEAT if page else APP_BEAT)

    def _refuse_failed(self, name: str, number: int) -> None:
        release = self.client.release(name, number)
        if release["state"] in ("failed", "cancelled", "superseded"):
            raise Failed(f"{name} #{number} {release['state']}: {release['cause']} {release['evidence'][-5:]}")

    def _check_after(self, name: str, marker: str, page: bool) -> None:
        """Nobody answers for an old release any more, and no old server runs."""
        look = self._look(name, page)
        seen = {look() for _ in range(10)}
        if seen != {marker}:
            raise Failed(f"{name} answers as {sorted(seen)} after the release of {marker} was over.")
        servers = self.platform.servers(name)
        if len(servers) > 1:
            raise Failed(f"{name} has {len(servers)} web servers after its release was over.")


def _parts(release: dict[str, Any], accepted: float) -> dict[str, float]:
    """Where the time went: the answer to the request, the wait in the queue, then each step."""
    made, began = (datetime.fromisoformat(release[key]) for key in ("created_at", "started_at"))
    parts = {"request": accepted, "queue": (began - made).total_seconds()}
    return parts | {step["name"]: step["seconds"] or 0.0 for step in release["steps"]}


class Floor:
    """The plain script, in its process."""

    def __init__(self, world: World, python: str) -> None:
        self.world = world
        self.shop = samples.Shop(world.repository("floor/shop"), "floor")
        self.site = samples.StaticSite(world.repository("floor/site"), "floor")
        self.folder = world.folder / "floor"
        self.folder.mkdir()
        self.numbers: dict[str, list[tuple[int, str]]] = {}
        ca_file = self.folder / "ca.pem"
        ca_file.write_text(world.ca_pem)
        given = {"root": str(self.folder), "python": python, "uv": str(find_uv()), "ca_file": str(ca_file)}
        settings = {"UV_DEFAULT_INDEX": world.index_url, "UV_CACHE_DIR": str(self.folder / "cache")}
        settings |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1", "GIT_CONFIG_NOSYSTEM": "1"}
        words = (sys.executable, str(ROOT / "bench/floor.py"), json.dumps(given))
        env = scrubbed(world.folder / "home", settings)
        self._process: subprocess.Popen[str] = world.children.start("floor", words, cwd=ROOT, env=env, talks=True)

    def wipe(self) -> None:
        self._order("wipe")
        self._answer()
        self._answer()

    def new_app(self, name: str) -> Sample:
        return self._app(name, self.shop.change_code(), BOTH, NEW_BEAT)

    def new_site(self, name: str) -> Sample:
        return self.redeploy_site(name, self.site.change_page())

    def redeploy(self, name: str, marker: str, work: list[str]) -> Sample:
        return self._app(name, marker, work)

    def redeploy_site(self, name: str, marker: str) -> Sample:
        look = probe.of_file(self.folder / name / "current" / "index.html")
        url = self.world.git_url("floor/site")
        return self._measure(look, marker, STATIC_BEAT, "static", name=name, url=url)

    def rollback(self, name: str) -> Sample:
        number, marker = self.numbers[name][-2]
        sample = self._measure(self._look(name), marker, APP_BEAT, "rollback", name=name, number=number)
        self.numbers[name].append((number, marker))
        return sample

    def remove(self, name: str) -> None:
        self._order("remove", name=name)
        self._answer()
        self._answer()
        self.numbers.pop(name, None)

    def about(self, name: str) -> dict[str, Any]:
        return dict(json.loads(probe.of_socket(self.folder / name / "live.sock", "/about")()))

    def _app(self, name: str, marker: str, work: list[str], beat: float = APP_BEAT) -> Sample:
        url = self.world.git_url("floor/shop")
        sample = self._measure(self._look(name), marker, beat, "django", name=name, url=url, work=work)
        done = self.numbers.setdefault(name, [])
        done.append((max((number for number, _ in done), default=0) + 1, marker))
        return sample

    def _look(self, name: str) -> Ask:
        return probe.of_socket(self.folder / name / "live.sock", "/version")

    def _measure(self, look: Ask, marker: str, beat: float, act: str, **order: Any) -> Sample:
        sample, before = Sample(marker), cpu_seconds([self._process.pid])
        with Probe(look, beat) as probing:
            began = time.perf_counter()
            self._order(act, **order)
            parts = self._answer()["parts"]
            sample.seconds = probing.wait(marker, TIMEOUT, lambda: None) - began
            sample.looked(probing)
        sample.split(parts)
        self._answer()
        sample.cpu = cpu_seconds([self._process.pid]) - before
        seen = {look() for _ in range(10)}
        if seen != {marker}:
            raise Failed(f"The floor answers as {sorted(seen)} after {marker}.")
        return sample

    def _order(self, act: str, **order: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"act": act, **order}) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = dict(json.loads(line)) if line else {"failed": self.world.children.tail("floor")}
        if "failed" in answer:
            raise Failed(f"The floor failed: {answer['failed']}")
        return answer
