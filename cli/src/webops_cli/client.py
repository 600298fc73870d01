"""The panel's API over HTTP. Every answer that is not good becomes a `Failure` with its exit code."""

from __future__ import annotations

import difflib
import json
import secrets
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx2

from webops_cli import __version__
from webops_cli.failures import FAILED, NOT_FOUND, UNREACHABLE, Failure, of_problem

TIMEOUT = 30.0
SLOW = 3600.0  # seconds between two pieces of a large file
PIECE = 1 << 20


class Client:
    """One panel. `transport` replaces the network, for instance by the panel itself in the same process."""

    def __init__(self, url: str, token: str = "", *, transport: httpx2.BaseTransport | None = None) -> None:
        headers = {"User-Agent": f"webops-cli/{__version__}", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self.url = url
        self._http = httpx2.Client(
            base_url=f"{url}/api/v1/", headers=headers, timeout=TIMEOUT, transport=transport, follow_redirects=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        return self._json(self._send("GET", path, params=params))

    def post(self, path: str, body: dict[str, Any] | None = None, *, once: bool = False) -> Any:
        """`once` makes it safe to send again when the answer was lost, which is then done one time."""
        headers = {"Idempotency-Key": secrets.token_hex(16)} if once else {}
        try:
            answer = self._send("POST", path, json=body or {}, headers=headers)
        except Lost:
            if not once:
                raise
            answer = self._send("POST", path, json=body or {}, headers=headers)
        return self._json(answer)

    def put(self, path: str, body: dict[str, Any]) -> Any:
        return self._json(self._send("PUT", path, json=body))

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        return self._json(self._send("PATCH", path, json=body))

    def delete(self, path: str, **params: Any) -> Any:
        return self._json(self._send("DELETE", path, params=params))

    def lines(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """An answer of JSON lines."""
        return [json.loads(line) for line in self._send("GET", path, params=params).text.splitlines()]

    def send_file(self, path: str, file: Path) -> Any:
        """Post a file as it is, piece by piece."""
        with file.open("rb") as opened:
            pieces = iter(lambda: opened.read(PIECE), b"")
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size)}
            return self._json(self._send("POST", path, content=pieces, headers=headers, timeout=SLOW))

    def save(self, path: str, file: Path) -> int:
        """Write an answer to a new file, piece by piece; returns its bytes."""
        part = file.with_name(f"{file.name}.part")
        if file.exists():
            raise Failure(f"{file} is there already.", exit_code=FAILED, hint="Name another file with --output.")
        try:
            with self._http.stream("GET", path, timeout=SLOW) as answer, part.open("wb") as opened:
                if not answer.is_success:
                    answer.read()
                    raise self._failure(answer, path)
                for piece in answer.iter_bytes():
                    opened.write(piece)
                size = opened.tell()
            if size != int(answer.headers.get("Content-Length", size)):
                raise Lost("The file did not arrive whole.", exit_code=UNREACHABLE, hint="Try again.")
            part.replace(file)
        except httpx2.HTTPError as error:
            raise Lost(f"The connection to {self.url} was lost: {error}.", exit_code=UNREACHABLE) from None
        finally:
            part.unlink(missing_ok=True)
        return size

    def _send(self, method: str, path: str, **extra: Any) -> httpx2.Response:
        try:
            answer = self._asked(method, path, **extra)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.UnsupportedProtocol) as error:
            raise Failure(
                f"The panel at {self.url} does not answer: {error}.",
                exit_code=UNREACHABLE,
                hint="Is it running, and is this its address? Set another with WEBOPS_URL or webops login URL.",
            ) from None
        except httpx2.HTTPError as error:
            raise Lost(
                f"The connection to {self.url} was lost: {error or type(error).__name__}.",
                exit_code=UNREACHABLE,
                hint="Try again.",
            ) from None
        if answer.is_success:
            return answer
        raise self._failure(answer, path)

    def _asked(self, method: str, path: str, **extra: Any) -> httpx2.Response:
        """A question is asked again when the server had just ended the connection that was kept (RFC 9112, 9.3.1)."""
        try:
            return self._http.request(method, path, **extra)
        except (httpx2.RemoteProtocolError, httpx2.ReadError):
            if method != "GET":
                raise
            return self._http.request(method, path, **extra)

    def _failure(self, answer: httpx2.Response, path: str) -> Failure:
        if answer.is_redirect:
            where = answer.headers.get("Location", "")
            return Failure(
                f"{self.url} sends us elsewhere: {where}", exit_code=UNREACHABLE, hint="webops login with that address"
            )
        if "json" not in answer.headers.get("Content-Type", ""):
            code = UNREACHABLE if answer.status_code != 500 else FAILED
            return Failure(
                f"{self.url} answered {answer.status_code}, and not like a WebOps panel.",
                exit_code=code,
                hint="Check the address: webops login URL",
            )
        failure = of_problem(answer.status_code, answer.json())
        if failure.exit_code == NOT_FOUND:
            failure.hint = self._alike(path) or failure.hint
        return failure

    def _alike(self, path: str) -> str:
        """Did you mean …? For a deployment that is not there."""
        parts = path.split("/")
        if parts[0] != "deployments" or len(parts) < 2:
            return ""
        try:
            names = [item["name"] for item in self.get("deployments")["items"]]
        except Failure:
            return ""
        if parts[1] in names:
            return ""
        found = difflib.get_close_matches(parts[1], names, n=1, cutoff=0.5)
        return f"Did you mean “{found[0]}”? All of yours: webops list" if found else "All of yours: webops list"

    def _json(self, answer: httpx2.Response) -> Any:
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            raise Failure(f"{self.url} does not answer like a WebOps panel.", exit_code=UNREACHABLE) from None


class Lost(Failure):
    """The connection broke after something may have been sent."""


def of(name: str, *rest: str | int) -> str:
    """The path of a deployment, whatever was typed as its name."""
    return "/".join(["deployments", quote(name, safe="") or "-", *map(str, rest)])
