"""The real embedded platform in a folder of its own: `up`, which starts panel, worker and host daemon.

The programs see an environment made from nothing: PATH, language, a home folder of their own, where data go, and the
package index of the run.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types of its own

from bench.children import Children, Failed, cpu_seconds, scrubbed
from bench.client import Client

PANEL = Path(__file__).resolve().parent.parent / "control-panel"
START_TIMEOUT = 90.0
SITE_PORTS = range(21000, 45000, 500)
RUNNING = "WebOps is running."  # what `up` says when all of it answers
PARTS = ("panel", "worker", "host")


class Platform:
    """A running platform. `client` is signed in as the first account."""

    def __init__(self, children: Children, folder: Path, index_url: str) -> None:
        self._children, self._var = children, folder / "var"
        self.sites = self._var / "sites"
        home = folder / "home"
        home.mkdir(parents=True)
        settings = {
            "WEBOPS_VAR": str(self._var),
            "WEBOPS_SITE_PORT_BASE": str(_free_ports()),
            "UV_DEFAULT_INDEX": index_url,
        }
        self._environment = scrubbed(home, settings)
        self._up: subprocess.Popen[str] | None = None
        self.client = Client("http://127.0.0.1:1")

    def start(self) -> None:
        """Set up, start, sign in."""
        words = (sys.executable, "-m", "apps.core.up", "--port", "0")
        self._up = self._children.start("up", words, cwd=PANEL, env=self._environment)
        address = self._address()
        self.client = Client(address)
        self.client.sign_in("admin", "admin123")

    def stop(self) -> None:
        """As Ctrl-C does; afterwards nothing of it runs."""
        if self._up is None:
            return
        self._up.terminate()
        try:
            self._up.wait(60)
        except subprocess.TimeoutExpired:
            raise Failed("The platform did not stop within a minute.") from None
        left = self.leftovers()
        if left:
            raise Failed(f"Stopping the platform left processes behind: {left}")

    # --- looking at its processes --------------------------------------------------------------------------------

    def pid(self, part: str) -> int:
        """Of `panel`, `worker`, `host` or `supervisor`."""
        if part == "supervisor":
            assert self._up is not None
            return self._up.pid
        return int((self._var / "up" / f"{part}.pid").read_text())

    def cpu(self) -> float:
        """Seconds used by panel, worker, host and all that the host runs, since they started."""
        return cpu_seconds(self.pid(part) for part in PARTS)

    def cpu_by_part(self) -> dict[str, float]:
        """The same by part; what the host runs counts with the host."""
        return {part: cpu_seconds([self.pid(part)]) for part in PARTS}

    def servers(self, name: str) -> list[psutil.Process]:
        """The web servers' first processes of a deployment."""
        found = []
        for process in psutil.Process(self.pid("host")).children():
            try:
                if process.environ().get("WEBOPS_NAME") == name and "gunicorn" in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def leftovers(self) -> list[str]:
        """Processes that name this platform's folder, none of which may outlive it."""
        return [f"{pid} {words}" for pid, words in _mentioning(str(self._var))]

    def forget_environments(self) -> None:
        """Wipe environments and the installer's caches, with no deployment left that needs them."""
        for folder in ("envs", "cache"):
            shutil.rmtree(self.sites / ".host" / folder, ignore_errors=True)

    def interpreter(self) -> str:
        """The Python that environments were made with."""
        for config in self.sites.glob(".host/envs/*/pyvenv.cfg"):
            lines = dict(line.split(" = ", 1) for line in config.read_text().splitlines() if " = " in line)
            version = ".".join(lines["version_info"].split(".")[:2])
            return str(Path(lines["home"]) / f"python{version}")
        raise Failed("No environment was made that could be compared with.")

    def logs(self) -> str:
        """The ends of its logs, for a report of a failure."""
        found = [self._children.tail("up")]
        for part in PARTS:
            path = self._var / "logs" / f"{part}.log"
            if path.exists():
                found += [f"--- {part}", *path.read_text(errors="replace").splitlines()[-15:]]
        return "\n".join(found)

    def _address(self) -> str:
        assert self._up is not None
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._up.poll() is None:
            if RUNNING in self._children.tail("up"):
                return (self._var / "up" / "address").read_text().strip()
            time.sleep(0.1)
        raise Failed(f"The platform did not start.\n{self.logs()}")


def _free_ports() -> int:
    """The first of 500 ports that nobody listens on, as far as a look at some of them tells."""
    for base in SITE_PORTS:
        try:
            for port in (*range(base, base + 20), *range(base + 2000, base + 2020)):
                with socket.create_server(("127.0.0.1", port)):
                    pass
        except OSError:
            continue
        return base
    raise Failed("No range of loopback ports is free.")


def _mentioning(text: str) -> list[tuple[int, str]]:
    found = []
    for process in psutil.process_iter():
        try:
            words = " ".join(process.cmdline())
            if process.pid != os.getpid() and (text in words or text in " ".join(process.environ().values())):
                found.append((process.pid, words[:120]))
        except psutil.Error:
            continue
    return found
