"""The whole embedded platform as its own processes in a scratch folder: host, worker, panel; driven over the API.

The worker can be killed and started again with a fault armed, which is the point of most tests that use this.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import httpx2
from tests.support.embedded import answers, environment, free_port, port_base
from tests.support.waiting import until

from webops_host.daemon.client import HostClient
from webops_host.layout import Layout

PANEL = Path(__file__).resolve().parents[2] / "control-panel"
ENDED = ("live", "retired", "failed", "cancelled", "superseded")


class Platform:
    """Use as a context; leaving it ends every process and every site."""

    def __init__(self, var: Path, **settings: str) -> None:
        self.var, self.port = var, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.env = environment(
            WEBOPS_VAR=str(var), WEBOPS_BIND=f"127.0.0.1:{self.port}", WEBOPS_DISK_FLOOR_MIB="64", **settings
        )
        self.host = HostClient(Layout((var / "sites").resolve()).daemon_socket)
        self.worker: subprocess.Popen[bytes] | None = None
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.var.mkdir(parents=True, exist_ok=True)
        try:
            self.manage("bootstrap")
            words = ("-m", "webops_host.embedded", "--root", str(self.var / "sites"), "--port-base", str(port_base()))
            self._start("host", *words)
            until(lambda: answers(self.host), "the host's daemon")
            self.start_worker()
            self.panel = self._start("panel", "-m", "config.serve")
            self.api = self._signed_in()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if hasattr(self, "api"):
            self.api.close()
        for child in reversed(self._children):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self._children:
            try:
                child.wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()

    def manage(self, *words: str) -> str:
        done = subprocess.run(
            (sys.executable, "manage.py", *words), cwd=PANEL, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _start(self, name: str, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        with (self.var / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                (sys.executable, *words),
                cwd=PANEL,
                env=dict(env or self.env),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.append(child)
        return child

    def start_worker(self, *, fault: str = "") -> None:
        """Start the worker, perhaps with a fault point armed."""
        more = {"WEBOPS_FAULT": fault} if fault else {}
        self.worker = self._start("worker", "manage.py", "worker", env={**self.env, **more})

    def end_worker(self, number: int = signal.SIGKILL) -> None:
        assert self.worker is not None
        with contextlib.suppress(ProcessLookupError):
            self.worker.send_signal(number)
        self.worker.wait(60)

    @contextlib.contextmanager
    def without_panel(self) -> Iterator[None]:
        """The panel is away for a while; worker, host and sites go on."""
        self.panel.kill()
        self.panel.wait()
        yield
        self.panel = self._start("panel", "-m", "config.serve")

    def _signed_in(self) -> httpx2.Client:
        client = httpx2.Client(base_url=f"{self.address}/api/v1", timeout=30)

        def token() -> str:
            try:
                answer = client.post("/session", json={"username": "admin", "password": "admin123"})
            except httpx2.TransportError:
                return ""
            return str(answer.json()["token"]) if answer.is_success else ""

        found = until(token, "the panel to let us in", timeout=60)
        client.headers["Authorization"] = f"Bearer {found}"
        return client

    # --- as a client of the API ----------------------------------------------------------------------------------

    def call(self, method: str, path: str, **body: Any) -> Any:
        answer = self.api.request(method, path, json=body or None)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def allow(self, server: Any) -> None:
        """Let the team fetch from a test's Git server."""
        self.call("POST", "/git-servers", name="localhost", port=server.port, private=True, ca_pem=server.ca_pem)

    def release(self, name: str, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/deployments/{name}/releases/{number}")
        return found

    def ended(self, name: str, number: int, *, timeout: float = 180.0) -> dict[str, Any]:
        """The release once it is over."""
        return until(
            lambda: (found := self.release(name, number))["state"] in ENDED and found,
            f"release {number} of {name} to end",
            timeout=timeout,
            every=0.1,
        )

    def page(self, name: str, path: str = "/") -> httpx2.Response:
        """A page of the deployed site."""
        url = self.call("GET", f"/deployments/{name}")["url"]
        return httpx2.get(url.rstrip("/") + path, timeout=20)


@contextlib.contextmanager
def platform(var: Path, **settings: str) -> Iterator[Platform]:
    with Platform(var, **settings) as running:
        yield running
