"""Who is at the other end: behind the one proxy that can open our Unix socket, what it says; else the peer itself.

nginx sets the headers anew for each request, so what a client sent under these names never arrives. To a panel that
listens on an address, they are words of a stranger and are left out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

FOR, PROTO = b"x-forwarded-for", b"x-forwarded-proto"


class BehindProxy:
    """The application, told the client's address as if it had been the peer."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await self._app(seen_through(scope) if scope["type"] == "http" else scope, receive, send)


def seen_through(scope: Scope) -> Scope:
    """The same request with its true client, and without forwarded headers that nobody vouches for."""
    by_socket = scope.get("client") is None
    said = [value for name, value in scope["headers"] if name == FOR]
    protos = [value for name, value in scope["headers"] if name == PROTO]
    headers = [(name, value) for name, value in scope["headers"] if name not in (FOR, PROTO)]
    if not by_socket:
        return {**scope, "headers": headers}
    if protos:
        headers.append((PROTO, protos[-1]))
    address = _address(said[-1]) if said else None
    return {**scope, "headers": headers, "client": (address, 0) if address else None}


def _address(value: bytes) -> str | None:
    """The last address of the list: the one that our own proxy saw."""
    try:
        return str(ipaddress.ip_address(value.rpartition(b",")[2].strip().decode("ascii")))
    except ValueError:
        return None
