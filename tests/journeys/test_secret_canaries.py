"""SEC-01 on the real platform: six secrets, a release that works and one that fails, and then we look everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.journeys.broken import DJANGO
from tests.support.git_server import GitServer
from tests.support.platform import Platform
from tests.support.words import Words

pytestmark = pytest.mark.slow
VARIABLE = "canary-variable-7f3a9c"
TOKEN = "canary-token-7f3a9c"
PRINTS = """
import os, sys
for name in ("STRIPE_KEY", "SECRET_KEY", "DATABASE_URL"):
    print("I know", name, os.environ.get(name, ""), file=sys.stderr, flush=True)
"""
CHATTY = {**DJANGO, "shop/settings.py": DJANGO["shop/settings.py"] + PRINTS}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[GitServer]:
    with GitServer(tmp_path_factory.mktemp("git")) as server:
        yield server


def sign_in(platform: Platform, client: httpx2.Client) -> str:
    page = client.get("/account/login/").text
    token = page.split('name="csrfmiddlewaretoken" value="', 1)[1].split('"', 1)[0]
    form = {"login": "admin", "password": "admin123", "csrfmiddlewaretoken": token}
    answer = client.post("/account/login/", data=form, headers={"Referer": platform.address})
    assert answer.status_code == 302
    return client.cookies["webops_session"]


def test_sec_01_six_secrets_are_nowhere(tmp_path, server):
    repository = server.repository("team/shop", CHATTY)
    with Platform(tmp_path / "var") as platform, Words() as words:
        platform.allow(server)
        made = {"name": "shop", "repository": server.url("team/shop"), "username": "x", "token": TOKEN}
        platform.call("POST", "/deployments", **made, variables={"STRIPE_KEY": VARIABLE})
        assert platform.ended("shop", 1)["state"] == "live"
        assert platform.page("shop").status_code == 200
        repository.commit({"shop/urls.py": "import nothing_that_is_here\n"})
        platform.call("POST", "/deployments/shop/deploy")
        assert platform.ended("shop", 2)["state"] == "failed"
        with httpx2.Client(base_url=platform.address, timeout=30) as browser:
            session = sign_in(platform, browser)
            said = answers(platform, browser)
        keys = dict(line.split("=", 1) for line in (platform.var / "keys.env").read_text().splitlines())
        bearer = platform.api.headers["Authorization"].removeprefix("Bearer ")
        app = values_of_the_app(platform)
    secrets = [VARIABLE, TOKEN, keys["SECRET_KEY"], keys["ENCRYPTION_KEY"], bearer, session, *app]
    texts = {**said, **files(tmp_path / "var"), "words": b"\n".join(words.seen).decode(errors="replace")}
    assert "I know STRIPE_KEY [hidden]" in said["/deployments/shop/releases/1/log"]
    assert len(secrets) >= 7
    found = {(where, s) for where, text in texts.items() for s in secrets if s in text}
    # Django keeps a session under its key: whoever reads the database may use those that are open
    assert found - {("panel.sqlite3", session)} == set()


def values_of_the_app(platform: Platform) -> list[str]:
    """The key that the platform made for the app, as only its owner may ask for it."""
    shown = platform.api.get("/deployments/shop/variables", params={"values": True}).json()["items"]
    return [item["value"] for item in shown if item["key"] == "SECRET_KEY"]


def answers(platform: Platform, browser: httpx2.Client) -> dict[str, str]:
    pages = [
        "/deployments/",
        "/deployments/shop/",
        "/deployments/shop/logs/",
        "/deployments/shop/variables/",
        "/deployments/shop/settings/",
        "/deployments/shop/releases/1/",
        "/deployments/shop/releases/2/",
        "/deployments/shop/releases/1/log",
        "/deployments/shop/releases/2/log",
        "/deployments/shop/logs/download",
        "/databases/",
        "/account/tokens/",
        "/teams/home/audit/",
        "/no/such/page",
    ]
    calls = ["", "/plan", "/releases", "/releases/1", "/releases/2", "/releases/1/log", "/logs", "/variables"]
    found = {path: browser.get(path).text for path in pages}
    found |= {f"api {path}": platform.api.get(f"/deployments/shop{path}").text for path in calls}
    return found | {
        "api tokens": platform.api.get("/tokens").text,
        "api databases": platform.api.get("/databases").text,
    }


def files(var: Path) -> dict[str, str]:
    """Logs of the programs and of releases, the mirror's configuration, the laid out sources: not the keys, not the
    database (where secrets are encrypted), not the host's own records of units (0600), not what the app printed (which
    is masked when it is read)."""
    logs = [*var.glob("*.log"), *(var / "logs").rglob("*.jsonl")]
    sites = [path for path in (var / "sites").rglob("*") if path.is_file() and not path.is_symlink()]
    configurations = [path for path in sites if path.name == "config"]
    sources = [path for path in sites if "releases" in path.parts and path.stat().st_size < 1 << 20]
    assert len(logs) >= 4
    assert sources
    chosen = [*logs, *configurations, *sources, var / "panel.sqlite3"]
    return {str(path.relative_to(var)): path.read_bytes().decode(errors="replace") for path in chosen if path.exists()}
