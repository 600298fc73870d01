"""A fresh clone in an empty home folder: the README's first command ends with a panel that answers."""

from __future__ import annotations

import http.cookiejar
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest
from tests.shape.tree import ROOT

pytestmark = pytest.mark.slow
READY = re.compile(r"Open\s+(http://\S+)")
T = TypeVar("T")
NAMES = ("host", "worker", "panel")


class Clone:
    """A clone of what is committed here, with a home folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.panel = folder / "webops" / "control-panel"
        self.home = folder / "home"
        self.home.mkdir()
        subprocess.run(["git", "clone", "-q", "--local", str(ROOT), str(folder / "webops")], check=True)
        self.started: list[Running] = []

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEBOPS_", "VIRTUAL_ENV"))}
        kept.pop("DJANGO_SETTINGS_MODULE", None)
        kept.pop("DATABASE_URL", None)
        if "UV_CACHE_DIR" not in kept:
            # The package cache is the machine's: what is new here is the clone and the home folder.
            kept["UV_CACHE_DIR"] = str(Path.home() / ".cache" / "uv")
        return {**kept, "HOME": str(self.home), **extra}

    def start(self, *options: str, **extra: str) -> Running:
        running = Running(self, options, self.environment(**extra))
        self.started.append(running)
        return running

    def pids(self) -> dict[str, int]:
        return {name: int((self.panel / "var/up" / f"{name}.pid").read_text()) for name in NAMES}

    def leftovers(self) -> list[str]:
        """Whatever still runs out of the clone."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(self.panel.parent) in line:
                    found.append(f"{entry.name} {line}")
        return found


class Running:
    """One run of quickstart.sh, its output in a file."""

    def __init__(self, clone: Clone, options: tuple[str, ...], env: dict[str, str]) -> None:
        self.output = clone.panel.parent.parent / f"output-{len(clone.started)}"
        self.began = time.monotonic()
        with self.output.open("wb") as file:
            argv = ["./quickstart.sh", *options]
            self.process = subprocess.Popen(
                argv, cwd=clone.panel, env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def text(self) -> str:
        return self.output.read_text()

    def address(self, timeout: float = 300) -> str:
        def ready() -> str:
            assert self.process.poll() is None, self.text
            match = READY.search(self.text)
            return match[1] if match else ""

        address = until(ready, timeout)
        print(f"answers after {time.monotonic() - self.began:.1f} s")
        return address

    def ends(self, timeout: float = 60) -> int:
        return self.process.wait(timeout)

    def interrupt(self) -> float:
        """Ctrl-C, as a terminal sends it. Seconds until it has stopped."""
        began = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.ends()
        return time.monotonic() - began


def until(answer: Callable[[], T], timeout: float) -> T:
    """The first true answer. What is waited for is another program, so it is asked again and again."""
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (found := answer()):
        assert time.monotonic() < deadline, "it did not happen in time"
        pause.wait(0.05)
    return found


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    made = Clone(tmp_path_factory.mktemp("fresh"))
    yield made
    shutil.rmtree(made.panel.parent.parent)


@pytest.fixture(autouse=True)
def _nothing_stays(clone: Clone) -> Iterator[None]:
    yield
    for running in clone.started:
        if running.process.poll() is None:
            running.interrupt()
    clone.started.clear()
    assert clone.leftovers() == []


def browser() -> urllib.request.OpenerDirector:
    cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)


def lets_in(address: str, password: str) -> bool:
    """Whether a sign-in leads on to another page, one that answers."""
    opener = browser()
    form = opener.open(f"{address}account/login/").read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token
    fields = {"csrfmiddlewaretoken": token[1], "login": "admin", "password": password}
    page = opener.open(f"{address}account/login/", urllib.parse.urlencode(fields).encode())
    return page.status == 200 and "/account/login/" not in page.geturl()


def is_up(address: str) -> bool:
    try:
        return bool(browser().open(f"{address}account/login/", timeout=20).status == 200)
    except OSError:
        return False


def test_the_first_command_ends_with_a_panel_that_one_can_sign_in_to(clone: Clone) -> None:
    running = clone.start("--port", "0")
    address = running.address()
    assert "admin123" in running.text
    assert lets_in(address, "admin123")
    assert not lets_in(address, "guessed")

    assert (clone.panel / "var/keys.env").stat().st_mode & 0o077 == 0
    again = clone.start()
    assert again.ends() == 0
    assert f"already runs here: {address}" in again.text

    print(f"stopped after {running.interrupt():.1f} s")
    assert running.process.returncode == 0
    assert clone.leftovers() == []


def test_a_second_start_needs_no_network_and_keeps_what_is_there(clone: Clone) -> None:
    keys = (clone.panel / "var/keys.env").read_bytes()
    nowhere = "http://127.0.0.1:9/"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "UV_DEFAULT_INDEX", "PIP_INDEX_URL")
    running = clone.start("--port=0", **dict.fromkeys(names, nowhere), UV_CACHE_DIR=str(clone.home / "empty"))
    address = running.address(60)
    assert lets_in(address, "admin123")
    assert (clone.panel / "var/keys.env").read_bytes() == keys
    assert "The first account" not in running.text


def test_a_panel_that_dies_comes_back_and_no_request_is_refused(clone: Clone) -> None:
    running = clone.start("--port", "0")
    address = running.address(60)
    before = clone.pids()
    os.kill(before["panel"], signal.SIGKILL)
    assert is_up(address)
    until(lambda: clone.pids()["panel"] != before["panel"], 20)
    assert "panel ended by signal 9" in running.text
    assert {name: clone.pids()[name] for name in ("host", "worker")} == {
        name: before[name] for name in ("host", "worker")
    }


def test_what_a_killed_one_left_behind_is_replaced(clone: Clone) -> None:
    first = clone.start("--port", "0")
    first.address(60)
    before = clone.pids()
    first.process.kill()
    first.ends()

    second = clone.start("--port", "0")
    assert is_up(second.address(60))
    assert not set(before.values()) & set(clone.pids().values())


def test_others_can_not_reach_a_panel_with_the_development_password(clone: Clone) -> None:
    running = clone.start(WEBOPS_BIND="0.0.0.0:0")
    assert running.ends() == 1
    assert "development password" in running.text
    assert "manage.py changepassword admin" in running.text


def test_a_port_in_use_is_named_with_what_to_do(clone: Clone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = clone.start("--port", str(port))
        assert running.ends() == 1
    assert f"Port {port} is in use" in running.text
    assert "--port N" in running.text


def test_set_up_without_a_start_starts_nothing(clone: Clone) -> None:
    assert clone.start("--no-start").ends() == 0
    assert clone.leftovers() == []
    unknown = clone.start("--prot")
    assert unknown.ends() == 2
    assert "--help" in unknown.text
