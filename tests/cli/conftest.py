"""The command line against the real panel in this process: its HTTP transport is handed in, no socket is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner, Result
from django.core.wsgi import get_wsgi_application

from apps.api import actions
from apps.core.access import Actor
from apps.core.models import User
from webops_cli.main import cli
from webops_cli.settings import App

URL = "http://panel"
Hook = Callable[[httpx2.Request], None]


@dataclass
class Panel(httpx2.BaseTransport):
    """The panel. `before` and `after` let a test be the worker, or the network, at a certain request."""

    app: httpx2.WSGITransport
    before: Hook = lambda request: None
    after: Hook = lambda request: None
    asked: list[str] = field(default_factory=list)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        self.before(request)
        response = self.app.handle_request(request)
        response.read()
        self.after(request)
        return response


@dataclass
class Terminal:
    """Runs commands as somebody. It never sleeps; too many naps in a row mean that nobody does the work."""

    panel: Panel
    home: Path
    environ: dict[str, str]
    opened: list[str] = field(default_factory=list)
    naps: int = 0

    def sleep(self, seconds: float) -> None:
        self.naps += 1
        assert self.naps < 200, "this waits for something that never comes"

    def as_(self, user: User, scope: str = "admin") -> Terminal:
        token = actions.issue(Actor(user), name="test", scope=scope)[1]
        return Terminal(self.panel, self.home, {**self.environ, "WEBOPS_TOKEN": token, "WEBOPS_URL": URL})

    def __call__(self, *words: str, input: str = "") -> Result:
        app = App(
            transport=self.panel,
            environ=self.environ,
            sleep=self.sleep,
            patience=0,
            browse=lambda url: self.opened.append(url) or True,
        )
        return CliRunner().invoke(cli, words, obj=app, input=input)


@pytest.fixture(scope="session")
def application() -> httpx2.WSGITransport:
    return httpx2.WSGITransport(app=get_wsgi_application())


@pytest.fixture
def terminal(db, tmp_path: Path, application: httpx2.WSGITransport) -> Terminal:
    """A terminal of somebody who never signed in."""
    home = tmp_path / "home"
    return Terminal(Panel(application), home, {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")})


@pytest.fixture
def webops(terminal: Terminal, mate: User, host) -> Terminal:
    """The terminal of the team mate, a developer."""
    return terminal.as_(mate)
