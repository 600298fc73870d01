"""A dump as an answer: in pieces, so that the panel never holds the file, under ASGI and under WSGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from webops_host.database_values import Dump, DumpForm
from webops_host.errors import NotFound
from webops_host.names import DeploymentName, DumpId
from webops_host.ports import Host

ENDINGS = {DumpForm.CUSTOM: "dump", DumpForm.SQL: "sql"}


def find(host: Host, name: DeploymentName, dump: DumpId) -> Dump:
    """Raises NotFound."""
    for known in host.databases.dumps(name):
        if known.id == dump:
            return known
    raise NotFound(f"There is no dump {dump} of {name}.", hint="List those there are.")


def answer(request: HttpRequest, host: Host, name: DeploymentName, dump: Dump) -> StreamingHttpResponse:
    pieces = _waiting(host, name, dump) if isinstance(request, ASGIRequest) else _blocking(host, name, dump)
    return StreamingHttpResponse(
        pieces,
        content_type="application/octet-stream",
        headers={
            "Content-Length": str(dump.bytes),
            "Content-Disposition": f'attachment; filename="{name}-{dump.id}.{ENDINGS[dump.form]}"',
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        },
    )


async def _waiting(host: Host, name: DeploymentName, dump: Dump) -> AsyncIterator[bytes]:
    offset = 0
    while piece := await asyncio.to_thread(host.databases.read, name, dump.id, offset):
        offset += len(piece)
        yield piece


def _blocking(host: Host, name: DeploymentName, dump: Dump) -> Iterator[bytes]:
    offset = 0
    while piece := host.databases.read(name, dump.id, offset):
        offset += len(piece)
        yield piece
