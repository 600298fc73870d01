"""Everything a run needs: folders, Git server, package index, the platform. Made in order, all gone at the end."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from tests.support.git_server import Repository

from bench import samples, servers
from bench.children import Children, Failed, scrubbed
from bench.platform import Platform

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"


class World:
    """Use it in a `with`. `folder` is on the disk that temporary files are on; nothing of it stays."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="wob-"))
        self.children = Children(self.folder / "logs")
        self._git = self.folder / "git"

    def __enter__(self) -> World:
        self.children.__enter__()
        try:
            self._begin()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.platform.stop()
            elif issubclass(kind, Failed) and hasattr(self, "platform"):
                print(self.platform.logs(), file=sys.stderr)
        finally:
            try:
                self.children.__exit__()
            finally:
                shutil.rmtree(self.folder, ignore_errors=True)

    def repository(self, name: str) -> Repository:
        return samples.make_repository(self._git, name)

    def git_url(self, name: str) -> str:
        return f"https://localhost:{self.git_port}/{name}"

    def _begin(self) -> None:
        self._git.mkdir()
        home = self.folder / "home"
        home.mkdir()
        wheels = servers.collect_wheels(samples.REQUIREMENTS, RESULTS)
        words = (sys.executable, "-m", "bench.servers", str(self._git), str(wheels))
        env = scrubbed(home, {})
        self._servers = self.children.start("servers", words, cwd=ROOT, env=env, talks=True)
        assert self._servers.stdout is not None
        line = self._servers.stdout.readline()
        if not line:
            raise Failed(f"The Git server did not start.\n{self.children.tail('servers')}")
        said = json.loads(line)
        self.git_port, self.ca_pem = int(said["git_port"]), str(said["ca_pem"])
        self.index_url = f"http://127.0.0.1:{said['index_port']}/simple"
        self.platform = Platform(self.children, self.folder / "platform", self.index_url)
        self.platform.start()
        self.platform.client.allow_git_server(self.git_port, self.ca_pem)
