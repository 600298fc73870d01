"""The web server: one thread, any number of listeners, each with a route that can be switched between two requests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from webops_host.embedded import pages
from webops_host.embedded.http import HEAD_LIMIT, HEAD_TIME, Gone, Refused, Request, page, read_request
from webops_host.embedded.proxy import Upstream, Visitor, forward
from webops_host.values import UnitRef

log = logging.getLogger("webops.host")
T = TypeVar("T")

IDLE = 75.0  # seconds between two requests of a connection
LEAVING = 2.0
LEFTOVER = 64 << 10  # bytes of an upload nobody read that are still worth reading


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder of files under a URL prefix. `media` is what visitors uploaded."""

    prefix: str
    root: Path
    media: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Where requests of a site go now: a static tree (`public`), or shelves first and then a unit."""

    public: Path | None = None
    fallback: bool = False
    shelves: tuple[Shelf, ...] = ()
    unit: UnitRef | None = None
    upstream: Upstream | None = None


class WebServer:
    """Listeners by key. Routes are read when the head of a request has been read, and never in the middle of one."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop
        self._thread: threading.Thread | None = None
        self._listeners: dict[str, tuple[int, asyncio.Server]] = {}
        self._routes: dict[str, Route] = {}
        self._in_flight: Counter[UnitRef] = Counter()
        self._connections: dict[asyncio.Task[None], str] = {}

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="web", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take no more requests, give those under way a moment, and end."""
        if self._thread is None:
            return
        self._do(self._leave())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._thread = None
        self._loop.close()

    def listen(self, key: str, port: int) -> None:
        """Answer on a loopback port. Already listening there: nothing. Raises OSError when the port is taken."""
        self._do(self._listen(key, port))

    def unlisten(self, key: str) -> None:
        """Close the port and its connections."""
        self._routes.pop(key, None)
        self._do(self._unlisten(key))

    def listens(self, key: str) -> bool:
        return key in self._listeners

    def route(self, key: str, route: Route | None) -> None:
        """Switch. Requests whose head is read after this returns go the new way."""
        if route is None:
            self._routes.pop(key, None)
        else:
            self._routes[key] = route

    def drained(self, unit: UnitRef, timeout: float) -> bool:
        return self._do(self._wait_drained(unit, timeout))

    def in_flight(self, unit: UnitRef) -> int:
        return self._in_flight[unit]

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self, key: str, port: int) -> None:
        found = self._listeners.get(key)
        if found is not None and found[0] == port:
            return
        listener = socket.socket()
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(512)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        server = await self._loop.create_server(lambda: self._protocol(key, port), sock=listener)
        self._listeners[key] = (port, server)

    def _protocol(self, key: str, port: int) -> asyncio.StreamReaderProtocol:
        reader = _Reader(limit=HEAD_LIMIT, loop=self._loop)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert isinstance(reader, _Reader)
            await self._serve(key, Visitor(reader, writer, _address(writer), port, reader.on_gone))

        return asyncio.StreamReaderProtocol(reader, connected, loop=self._loop)

    async def _serve(self, key: str, visitor: Visitor) -> None:
        """All requests of one connection, one after the other."""
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = key
        try:
            while await self._one(key, visitor):
                pass
        except (Gone, OSError, asyncio.CancelledError):
            visitor.writer.transport.abort()
        except Exception:  # the outer edge of a connection
            log.exception("a request broke")
            visitor.writer.transport.abort()
        finally:
            self._connections.pop(task, None)
            visitor.writer.close()

    async def _one(self, key: str, visitor: Visitor) -> bool:
        """One request. True when the connection can take another."""
        request: Request | None = None
        try:
            request = await _next_request(visitor)
            if request is None:
                return False
            keep = await self._answer(self._routes.get(key), request, visitor)
            if not keep and request.has_body:
                await _linger(visitor)
            return keep
        except Refused as refused:
            response, body = page(refused.status, str(refused))
            if refused.status == 503:
                response.fields.append(("Retry-After", "5"))
            shown = request or Request("GET", "/", 1, [], 0)
            visitor.writer.write(response.encode(shown, keep=False) + (b"" if shown.method == "HEAD" else body))
            await _linger(visitor)
            return False

    async def _answer(self, route: Route | None, request: Request, visitor: Visitor) -> bool:
        if route is None:
            raise Refused(404, "There is no site here yet.")
        if route.public is not None:
            return await pages.static_site(route.public, route.fallback, request, visitor)
        for shelf in route.shelves:
            if request.path.startswith(shelf.prefix) and request.method in ("GET", "HEAD"):
                found = pages.on_shelf(shelf.root, shelf.prefix, request)
                if found is not None:
                    return await pages.send(request, visitor, found, media=shelf.media)
        if route.upstream is None or route.unit is None:
            raise Refused(404, "There is nothing here.")
        self._in_flight[route.unit] += 1
        try:
            return await forward(request, visitor, route.upstream)
        finally:
            self._in_flight[route.unit] -= 1
            if not self._in_flight[route.unit]:
                del self._in_flight[route.unit]

    async def _wait_drained(self, unit: UnitRef, timeout: float) -> bool:
        deadline = self._loop.time() + timeout
        while self._in_flight[unit]:
            if self._loop.time() >= deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    async def _unlisten(self, key: str) -> None:
        found = self._listeners.pop(key, None)
        if found is not None:
            found[1].close()
        await _end([task for task, owner in self._connections.items() if owner == key])

    async def _leave(self) -> None:
        for _, server in self._listeners.values():
            server.close()
        deadline = self._loop.time() + LEAVING
        while self._in_flight and self._loop.time() < deadline:
            await asyncio.sleep(0.02)
        await _end(list(self._connections))


class _Reader(asyncio.StreamReader):
    """Tells at once when the visitor has gone, so that the unit does not work for nobody."""

    def __init__(self, *, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=limit, loop=loop)
        self._gone: Callable[[], object] | None = None
        self._has_gone = False

    def on_gone(self, act: Callable[[], object] | None) -> None:
        self._gone = act
        if act is not None and self._has_gone:
            act()

    def feed_eof(self) -> None:
        super().feed_eof()
        self._has_gone = True
        if self._gone is not None:
            self._gone()


async def _next_request(visitor: Visitor) -> Request | None:
    """Wait as long as a connection may be idle; from its first byte on, a head must come quickly."""
    try:
        async with asyncio.timeout(IDLE):
            first = await visitor.reader.read(1)
    except TimeoutError:
        return None
    if not first:
        return None
    try:
        async with asyncio.timeout(HEAD_TIME):
            return await read_request(visitor.reader, first)
    except TimeoutError:
        raise Refused(408, "The request took too long to arrive.") from None


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _address(writer: asyncio.StreamWriter) -> str:
    peer = writer.get_extra_info("peername")
    return str(peer[0]) if peer else "127.0.0.1"


async def _linger(visitor: Visitor) -> None:
    """Read what the visitor still sends: closing now would reset the connection before our answer is read."""
    with contextlib.suppress(OSError, TimeoutError):
        await visitor.writer.drain()
        visitor.writer.write_eof()
        async with asyncio.timeout(1.0):
            left = 16 * LEFTOVER
            while left > 0 and (piece := await visitor.reader.read(LEFTOVER)):
                left -= len(piece)
