"""The platform's REST API, asked as the command line asks it: a token, JSON, one connection per request."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

from bench.children import Failed

Reply = dict[str, Any]
LOOK = 0.1  # seconds between looks at something that is about to end


class Client:
    """Raises Failed for every answer that is not a success."""

    def __init__(self, address: str) -> None:
        self._where = urlsplit(address).netloc
        self._token = ""

    @classmethod
    def of_server(cls, address: str, panel: str) -> Client:
        """Of an installed server, by HTTPS, under the panel's name."""
        made = _OverTls(f"https://{panel}")
        made.address = address
        return made

    def sign_in(self, username: str, password: str) -> None:
        session = self.post("session", {"username": username, "password": password, "client": "bench"})
        self._token = session["token"]

    def allow_git_server(self, port: int, ca_pem: str) -> None:
        self.post("git-servers", {"name": "localhost", "port": port, "private": True, "ca_pem": ca_pem})

    # --- deployments -------------------------------------------------------------------------------------------

    def create(self, name: str, repository: str) -> Reply:
        """Make a deployment; its first release is queued at once."""
        return self.post("deployments", {"name": name, "repository": repository})

    def show(self, name: str) -> Reply:
        return self.call("GET", f"deployments/{name}")

    def deploy(self, name: str) -> int:
        return int(self.post(f"deployments/{name}/deploy", {})["number"])

    def rollback(self, name: str, to: int | None = None) -> int:
        return int(self.post(f"deployments/{name}/rollback", {"release": to} if to else {})["number"])

    def power(self, name: str, act: str) -> Reply:
        """`start`, `stop` or `restart`; it has happened when this returns."""
        return self.post(f"deployments/{name}/{act}?wait=50", {})

    def change(self, name: str, **variables: str) -> Reply:
        """Set variables; they hold from the next release on."""
        return self.call("PATCH", f"deployments/{name}/variables", {"variables": variables})

    def release(self, name: str, number: int, *, wait: float = 0) -> Reply:
        return self.call("GET", f"deployments/{name}/releases/{number}?wait={wait:g}", timeout=wait + 30)

    def over(self, name: str, number: int, timeout: float = 300.0) -> Reply:
        """The release when it is over, and tidied up after."""
        found: Reply = self._until(
            lambda: self.release(name, number, wait=20), lambda found: found["finished_at"] is not None, timeout
        )
        return found

    def url(self, name: str, timeout: float = 60.0) -> str:
        """Where the site will answer; the first release reserves it."""
        found: Reply = self._until(
            lambda: self.show(name), lambda found: bool(found["url"]) or found["status"] == "failed", timeout
        )
        if not found["url"]:
            raise Failed(f"{name} failed before it had an address: {found['reason']}")
        return str(found["url"])

    def delete(self, name: str, timeout: float = 60.0) -> None:
        """Remove it, and wait until it is gone."""
        self.call("DELETE", f"deployments/{name}?confirm={quote(name)}")
        self._until(self._names, lambda found: name not in found, timeout)

    def _names(self) -> set[str]:
        return {row["name"] for row in self.call("GET", "deployments")["items"]}

    # --- one request -------------------------------------------------------------------------------------------

    def post(self, path: str, body: Reply) -> Reply:
        return self.call("POST", path, body)

    def call(self, method: str, path: str, body: Reply | None = None, *, timeout: float = 60.0) -> Reply:
        connection = self._connection(timeout)
        headers = {"Content-Type": "application/json", "Connection": "close", "Host": self._where}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            connection.request(method, f"/api/v1/{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        except OSError as error:
            raise Failed(f"{method} {path}: {error}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise Failed(f"{method} {path} answered {answer.status}: {text[:500]}")
        return dict(json.loads(text)) if text else {}

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._where, timeout=timeout)

    def _until(self, ask: Callable[[], Any], good: Callable[[Any], bool], timeout: float) -> Any:
        deadline = time.monotonic() + timeout
        while not good(found := ask()):
            if time.monotonic() > deadline:
                raise Failed(f"It did not come to an end within {timeout:g} s: {str(found)[:300]}")
            time.sleep(LOOK)
        return found


class _OverTls(Client):
    """Finds the panel at the server's address, as if its name were in the DNS. Its certificate is self-made."""

    address = ""

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        made = http.client.HTTPSConnection(self._where, timeout=timeout, context=unchecked())
        raw = socket.create_connection((self.address, 443), timeout)
        made.sock = unchecked().wrap_socket(raw, server_hostname=self._where)
        return made


@cache
def unchecked() -> ssl.SSLContext:
    """The lab's certificates are nobody's."""
    return ssl._create_unverified_context()
