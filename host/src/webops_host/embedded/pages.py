"""Answers from files: a static site, or the files of an app that are served before it is asked."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from webops_host.embedded import static
from webops_host.embedded.http import Refused, Request, Response, page
from webops_host.embedded.proxy import Visitor
from webops_host.embedded.static import Found

NOT_HERE = "There is no page at this address."


async def static_site(root: Path, fallback: bool, request: Request, visitor: Visitor) -> bool:
    """A page of a static site, its folder's index, the page named without `.html`, or its own 404 page."""
    if request.method not in ("GET", "HEAD"):
        raise Refused(405, "This site has only pages to read.")
    names = static.parts(request.path)
    if names is None:
        return await _not_found(root, request, visitor)
    gzip = static.accepts_gzip(request)
    found = _page(root, names, gzip)
    if found is not None:
        return await send(request, visitor, found)
    if names[-1] and static.is_folder(root, names) and _exists(root, (*names, b"index.html")):
        return await _redirect(request, visitor)
    if fallback and b"." not in names[-1]:
        found = static.find(root, (b"index.html",), gzip=gzip)
        if found is not None:
            return await send(request, visitor, found)
    return await _not_found(root, request, visitor)


def on_shelf(root: Path, prefix: str, request: Request) -> Found | None:
    """The file that a path below a prefix names, if there is one."""
    names = static.parts("/" + request.path.removeprefix(prefix))
    if names is None or not names[-1]:
        return None
    return static.find(root, names, gzip=static.accepts_gzip(request))


async def send(request: Request, visitor: Visitor, found: Found, *, status: int = 200, media: bool = False) -> bool:
    """A file from its open handle to the connection, through the kernel, never through our memory."""
    file = os.fdopen(found.handle, "rb", buffering=0)
    with file:
        response, offset, count = static.respond(request, found, status=status, media=media)
        keep = request.keeps_alive and not request.has_body
        visitor.writer.write(response.encode(request, keep=keep))
        if request.method == "GET" and count:
            loop = asyncio.get_running_loop()
            sent = await loop.sendfile(visitor.writer.transport, file, offset, count)
            if sent != count:  # the file became shorter: the visitor must not take the rest for the whole
                visitor.writer.transport.abort()
                return False
        await visitor.writer.drain()
    return keep


def _page(root: Path, names: tuple[bytes, ...], gzip: bool) -> Found | None:
    if not names[-1]:
        return static.find(root, (*names[:-1], b"index.html"), gzip=gzip)
    found = static.find(root, names, gzip=gzip)
    if found is None and b"." not in names[-1]:
        found = static.find(root, (*names[:-1], names[-1] + b".html"), gzip=gzip)
    return found


def _exists(root: Path, names: tuple[bytes, ...]) -> bool:
    found = static.find(root, names)
    if found is None:
        return False
    found.close()
    return True


async def _redirect(request: Request, visitor: Visitor) -> bool:
    path, mark, query = request.target.partition("?")
    response, body = page(301, "This is a folder.")
    response.fields.append(("Location", f"{path}/{mark}{query}"))
    return await _small(request, visitor, response, body)


async def _not_found(root: Path, request: Request, visitor: Visitor) -> bool:
    found = static.find(root, (b"404.html",), gzip=static.accepts_gzip(request))
    if found is not None:
        return await send(request, visitor, found, status=404)
    response, body = page(404, NOT_HERE)
    return await _small(request, visitor, response, body)


async def _small(request: Request, visitor: Visitor, response: Response, body: bytes) -> bool:
    keep = request.keeps_alive and not request.has_body
    visitor.writer.write(response.encode(request, keep=keep) + (b"" if request.method == "HEAD" else body))
    await visitor.writer.drain()
    return keep
