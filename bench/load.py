"""Open-loop load on one site: so many new connections a second, whatever becomes of them, some of them POST.

A request is due at its time and its latency counts from then, so a stall is seen by all who would have come meanwhile.
Every answer is read to its end and its content checked.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from bench.client import unchecked

TIMEOUT = 15.0
LONGEST = 1800.0  # seconds; nothing here runs for ever
MARKED = re.compile(rb'data-release="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and how to check its answer: `check` gets headers and body, and returns the release marker or nothing.
    It raises ValueError for a wrong answer."""

    method: str
    path: str
    body: bytes
    check: Callable[[Mapping[str, str], bytes], str]


@dataclass(frozen=True, slots=True)
class Hit:
    """What became of one request. Times are Unix times; `seconds` counts from when it was due."""

    due: float
    began: float
    ended: float
    method: str
    path: str
    marker: str
    failed: str

    @property
    def seconds(self) -> float:
        return self.ended - self.due


class Wrong(ValueError):
    """The answer is not what it should be."""


class Load:
    """Runs in a thread of its own from `with` to its end; then `hits` are all there. `address` is where the URL's host
    is found, when that is not in the DNS."""

    def __init__(self, url: str, requests: Callable[[int], Asked], rate: float, address: str = "") -> None:
        parts = urlsplit(url)
        secure, host = parts.scheme == "https", parts.hostname or ""
        self._host, self._address = parts.netloc, address or host
        self._port = parts.port or (443 if secure else 80)
        self._tls = {"ssl": unchecked(), "server_hostname": host} if secure else {}
        self._requests, self._rate = requests, rate
        self._closing = threading.Event()
        self.hits: list[Hit] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join(TIMEOUT + 10)

    async def _run(self) -> None:
        began, number = time.time(), 0
        async with asyncio.TaskGroup() as group:
            while not self._closing.is_set() and time.time() - began < LONGEST:
                due = began + number / self._rate
                if (wait := due - time.time()) > 0:
                    await asyncio.sleep(wait)
                group.create_task(self._one(self._requests(number), due))
                number += 1

    async def _one(self, asked: Asked, due: float) -> None:
        began, marker, failed = time.time(), "", ""
        try:
            async with asyncio.timeout(TIMEOUT):
                marker = await self._converse(asked)
        except TimeoutError:
            failed = f"no answer within {TIMEOUT:g} s"
        except (OSError, EOFError, ValueError) as error:
            failed = f"{type(error).__name__}: {error}"
        self.hits.append(Hit(due, began, time.time(), asked.method, asked.path, marker, failed))

    async def _converse(self, asked: Asked) -> str:
        reader, writer = await asyncio.open_connection(self._address, self._port, **self._tls)
        try:
            length = f"Content-Length: {len(asked.body)}\r\n" if asked.method == "POST" else ""
            head = f"{asked.method} {asked.path} HTTP/1.1\r\nHost: {self._host}\r\n{length}"
            writer.write(f"{head}Connection: close\r\n\r\n".encode() + asked.body)
            answer = await reader.read(-1)
        finally:
            writer.transport.abort()
        status, headers, body = _parsed(answer)
        if not 200 <= status < 300:
            raise Wrong(f"status {status}")
        if int(headers.get("content-length", "-1")) != len(body):
            raise Wrong(f"{len(body)} bytes of {headers.get('content-length', 'an unknown number')}")
        return asked.check(headers, body)


def _parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    head, found, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if not found or len(words) < 2 or not words[1].isdigit():
        raise Wrong(f"an answer that ends after {len(answer)} bytes")
    fields = (line.partition(":") for line in lines)
    return int(words[1]), {name.lower(): value.strip() for name, _, value in fields}, body


# --- what is asked of the two sites ----------------------------------------------------------------------------------


def app_requests(number: int) -> Asked:
    """Of six: two small pages, a page from the database, the version twice, and a POST whose body comes back."""
    kind = number % 6
    if kind == 2:
        return Asked("GET", "/posts", b"", _posts)
    if kind == 5:
        sent = random.Random(number).randbytes(200 + 700 * (number % 37))
        return Asked("POST", "/echo", sent, lambda headers, body: _same(headers, body, sent))
    if kind in (1, 4):
        return Asked("GET", "/version", b"", lambda headers, body: _same(headers, body, headers["x-release"].encode()))
    return Asked("GET", "/hello", b"", lambda headers, body: _same(headers, body, b"hello"))


def site_requests(files: Mapping[str, bytes]) -> Callable[[int], Asked]:
    """The page that carries the marker, in turn with all other files."""
    known = {path: hashlib.sha256(content).hexdigest() for path, content in files.items() if path != "index.html"}
    others = sorted(known)
    random.Random(7).shuffle(others)

    def one(number: int) -> Asked:
        if number % 2:
            path = others[number // 2 % len(others)]
            return Asked("GET", f"/{path}", b"", lambda _, body: _known(body, known[path]))
        return Asked("GET", "/", b"", lambda _, body: _marked(body))

    return one


def _same(headers: Mapping[str, str], body: bytes, wanted: bytes) -> str:
    if body != wanted:
        raise Wrong(f"a wrong body of {len(body)} bytes")
    return headers["x-release"]


def _posts(headers: Mapping[str, str], body: bytes) -> str:
    if body.count(b"<article>") != 20:
        raise Wrong("a page without its 20 posts")
    return headers["x-release"]


def _known(body: bytes, digest: str) -> str:
    if hashlib.sha256(body).hexdigest() != digest:
        raise Wrong(f"a wrong body of {len(body)} bytes")
    return ""


def _marked(body: bytes) -> str:
    found = MARKED.search(body)
    if found is None:
        raise Wrong("a page without its marker")
    return found[1].decode()
