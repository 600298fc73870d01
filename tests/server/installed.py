"""The platform on a booted server, installed as the README says, and driven from outside over HTTPS and the API."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx2
from tests.server.lab.server import Server
from tests.server.lab.visitor import visitor
from tests.support.git_server import GitServer
from tests.support.waiting import until

ROOT = Path(__file__).resolve().parents[2]
DOMAIN, PANEL = "apps.test", "panel.apps.test"
OWNER, PASSWORD = "olga", "correct horse battery staple"
DECISIONS = "/etc/webops/host.toml"
ENDED = ("live", "retired", "failed", "cancelled", "superseded")
LINK = re.compile(r"https://[^\s]+/first-sign-in/[\w-]+/")


def clone(server: Server, into: str = "/opt/webops-clone") -> str:
    """A fresh clone of what is committed, as `git clone` leaves it; the folder."""
    bundle = subprocess.run(
        ("git", "-C", str(ROOT), "bundle", "create", "-q", "-", "HEAD"), capture_output=True, check=True
    ).stdout
    server.write("/tmp/webops.bundle", bundle)
    server.run("apt-get update -qq && apt-get install -y -qq --no-install-recommends git", timeout=600)
    server.run(f"rm -rf {into} && git clone -q /tmp/webops.bundle {into} && rm /tmp/webops.bundle")
    return into


class Installed:
    """A server with the platform on it. `said` is what the installation printed."""

    def __init__(self, server: Server, said: str) -> None:
        self.server, self.said = server, said
        self.web = visitor(server.address, timeout=60)
        self.api = visitor(server.address, timeout=60)
        self.api.base_url = httpx2.URL(f"https://{PANEL}/api/v1/")

    @classmethod
    def install(cls, server: Server, *words: str, private: str = "") -> Installed:
        """By the README's own command."""
        folder = clone(server)
        more = (*words, *(("--private", private) if private else ()))
        done = server.run(
            ("bash", "-c", f'cd {folder} && ./setup.sh "$@"', "setup", "--unattended", "--domain", DOMAIN, *more),
            timeout=1800,
        )
        return cls(server, done.stdout)

    def close(self) -> None:
        self.web.close()
        self.api.close()

    def sign_up(self) -> None:
        """The first account, by the link that the installation printed, and a token for the API."""
        link = LINK.search(self.said)
        assert link is not None, self.said[-2000:]
        page = self.web.get(link[0])
        assert page.status_code == 200, page.text[:2000]
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token is not None
        form = {
            "csrfmiddlewaretoken": html.unescape(token[1]),
            "username": OWNER,
            "password": PASSWORD,
            "again": PASSWORD,
        }
        answer = self.web.post(link[0], data=form, headers={"Referer": link[0]})
        assert answer.status_code == 302, answer.text[:3000]
        self.sign_in()

    def sign_in(self) -> None:
        answer = self.api.post("session", json={"username": OWNER, "password": PASSWORD})
        assert answer.is_success, answer.text
        self.api.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    # --- as a client of the API ----------------------------------------------------------------------------------

    def call(self, method: str, path: str, **body: Any) -> Any:
        try:
            answer = self.api.request(method, path, json=body or None)
        except httpx2.RemoteProtocolError:  # nginx was told to reload, and ended the connection that was kept
            assert method == "GET"
            answer = self.api.request(method, path)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def allow(self, git: GitServer) -> None:
        """Let the team fetch from a test's Git server, and the server find and reach it."""
        self.server.finds(git.name, git.address)
        place, decisions = f"{git.name}:{git.port}", self.server.read(DECISIONS)
        if place not in decisions:
            mended = re.sub(r"^private = \[", f'private = ["{place}", ', decisions, flags=re.MULTILINE)
            assert mended != decisions
            self.server.write(DECISIONS, mended.replace(", ]", "]"))
        self.server.run(("systemctl", "reload", "webops-firewall.service"))
        for known in self.call("GET", "git-servers")["items"]:
            if known["name"] == git.name and known["id"]:
                self.call("DELETE", f"git-servers/{known['id']}")
        self.call("POST", "git-servers", name=git.name, port=git.port, private=True, ca_pem=git.ca_pem)

    def release(self, name: str, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"deployments/{name}/releases/{number}")
        return found

    def ended(self, name: str, number: int, *, timeout: float = 300.0) -> dict[str, Any]:
        """The release once it is over."""
        return until(
            lambda: (found := self.release(name, number))["state"] in ENDED and found,
            f"release {number} of {name} to end",
            timeout=timeout,
            every=0.1,
        )

    def live(self, name: str, number: int, *, timeout: float = 300.0) -> dict[str, Any]:
        """The release once it is live; else why it is not."""
        release = self.ended(name, number, timeout=timeout)
        assert release["state"] == "live", (release, self.log(name, number))
        return release

    def deploy(self, name: str, *, timeout: float = 300.0) -> dict[str, Any]:
        """A new release of it, once it is over."""
        number = self.call("POST", f"deployments/{name}/deploy")["number"]
        return self.ended(name, number, timeout=timeout)

    def create(self, name: str, repository: str, *, timeout: float = 300.0, **more: Any) -> dict[str, Any]:
        """A deployment whose first release is live."""
        self.call("POST", "deployments", name=name, repository=repository, **more)
        return self.live(name, 1, timeout=timeout)

    def log(self, name: str, number: int) -> str:
        answer = self.api.get(f"deployments/{name}/releases/{number}/log")
        return answer.text[-4000:]

    def page(self, name: str, path: str = "/", **options: Any) -> httpx2.Response:
        """A page of the deployed site, under the platform's name for it."""
        return self.web.get(f"https://{name}.{DOMAIN}{path}", **options)
