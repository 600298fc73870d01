"""Passes a request on to a unit and its answer back, piece by piece; nothing is held whole in memory.

One connection to the unit per request. Only a connection that could not be made is tried again: then the unit has
seen nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

from webops_host.embedded.http import (
    CHUNK,
    LAST_CHUNK,
    Fields,
    Gone,
    Refused,
    Request,
    Response,
    chunk,
    pieces,
)
from webops_host.programs import Door

COMEBACK = 10.0  # seconds a visitor waits for a unit that is being started again
ANSWER_TIME = 300.0
HEAD_LIMIT = 64 << 10
OURS = frozenset({"forwarded", "x-real-ip", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
                  "x-forwarded-port", "x-forwarded-server", "x-forwarded-prefix", "x-forwarded-ssl"})  # fmt: skip
HOP = frozenset({"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te",
                 "trailer", "transfer-encoding", "upgrade", "content-length", "expect"})  # fmt: skip
STATUS_LINE = re.compile(r"HTTP/1\.\d (\d{3})(?: ([\t\x20-\x7e\x80-\xff]*))?")
FIELD = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:[ \t]*([\t\x20-\x7e\x80-\xff]*)")
BODILESS = (204, 304)


@dataclass(frozen=True, slots=True)
class Visitor:
    """The connection a request came in on. `on_gone` sets what is called when the visitor goes away."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    address: str
    port: int
    on_gone: Callable[[Callable[[], object] | None], None]


@dataclass(frozen=True, slots=True)
class Upstream:
    """A unit to pass requests to. `comes_back` says whether it is worth waiting for when it can not be reached."""

    door: Door
    comes_back: Callable[[], bool]
    panel_cookies: frozenset[str]
    body_limit: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of the unit's answer. `length` -1: up to the end of the connection; None: chunks."""

    status: int
    reason: str
    fields: Fields
    length: int | None


async def forward(request: Request, visitor: Visitor, upstream: Upstream) -> bool:
    """Pass it on. True when the visitor's connection can take another request.
    Raises Refused while nothing went back.
    """
    if (request.length or 0) > upstream.body_limit:
        raise Refused(413, "The upload is too large.")
    reader, writer = await _connect(upstream)
    visitor.on_gone(writer.transport.abort)
    sending: asyncio.Task[None] | None = None
    try:
        writer.write(head_for(request, visitor, upstream.panel_cookies))
        sending = asyncio.create_task(_send_body(request, visitor, writer, upstream.body_limit))
        answer = await _answer(request, reader, sending)
        if answer.status == 101:
            await _tunnel(request, answer, visitor, (reader, writer))
            return False
        return await _pass_back(request, answer, visitor, reader, upstream, sending)
    finally:
        visitor.on_gone(None)
        if sending is not None:
            sending.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await sending
        writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()


def head_for(request: Request, visitor: Visitor, panel_cookies: frozenset[str]) -> bytes:
    """The head as the unit gets it: what the visitor claims about the way here is replaced by what we know."""
    named = {token.strip().lower() for token in request.get("connection").split(",")}
    fields = [
        (name, value)
        for name, value in request.fields
        if name.lower() not in HOP and name.lower() not in OURS and name.lower() not in named and "_" not in name
    ]
    fields = [pair for pair in (_without_cookies(name, value, panel_cookies) for name, value in fields) if pair]
    fields += [
        ("X-Forwarded-For", visitor.address),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", request.get("host")),
        ("X-Forwarded-Port", str(visitor.port)),
        ("X-Real-IP", visitor.address),
    ]
    if request.length is None:
        fields.append(("Transfer-Encoding", "chunked"))
    elif request.length or request.method in ("POST", "PUT", "PATCH"):
        fields.append(("Content-Length", str(request.length)))
    if request.is_upgrade:
        fields += [("Connection", "Upgrade"), ("Upgrade", request.get("upgrade"))]
    else:
        fields.append(("Connection", "close"))
    lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def is_panel_cookie(name: str, panel_cookies: frozenset[str]) -> bool:
    plain = name.strip().removeprefix("__Host-").removeprefix("__Secure-")
    return plain in panel_cookies or name.strip() in panel_cookies


def _without_cookies(name: str, value: str, panel_cookies: frozenset[str]) -> tuple[str, str] | None:
    if name.lower() != "cookie":
        return name, value
    kept = [pair.strip() for pair in value.split(";") if not is_panel_cookie(pair.partition("=")[0], panel_cookies)]
    return (name, "; ".join(kept)) if kept else None


async def _connect(upstream: Upstream) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + COMEBACK
    while True:
        with suppress(OSError):
            return await asyncio.open_unix_connection(str(upstream.door.socket), limit=HEAD_LIMIT)
        with suppress(OSError):
            return await asyncio.open_connection("127.0.0.1", upstream.door.port, limit=HEAD_LIMIT)
        if not upstream.comes_back():
            raise Refused(502, "The site is not running.")
        if loop.time() > deadline:
            raise Refused(503, "The site is starting. Try again in a moment.")
        await asyncio.sleep(0.02)


async def _send_body(request: Request, visitor: Visitor, writer: asyncio.StreamWriter, limit: int) -> None:
    if not request.has_body:
        return
    if request.get("expect") and request.minor == 1:
        visitor.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    sent = 0
    async for piece in pieces(visitor.reader, request.length):
        sent += len(piece)
        if sent > limit:
            raise Refused(413, "The upload is too large.")
        writer.write(chunk(piece) if request.length is None else piece)
        await writer.drain()
    if request.length is None:
        writer.write(LAST_CHUNK)
    await writer.drain()


async def _answer(request: Request, reader: asyncio.StreamReader, sending: asyncio.Task[None]) -> Answer:
    """The unit's answer; an upload that goes wrong on the way is the visitor's fault, not the unit's."""
    reading = asyncio.create_task(_read_answer(request, reader))
    try:
        await asyncio.wait({reading, sending}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done() and isinstance(sending.exception(), (Refused, Gone)):
            sending.result()
        await asyncio.wait({reading}, timeout=ANSWER_TIME)
        if not reading.done():
            raise Refused(504, "The site did not answer in time.")
        return reading.result()
    finally:
        reading.cancel()


async def _read_answer(request: Request, reader: asyncio.StreamReader) -> Answer:
    try:
        while True:
            head = await _head(reader)
            answer = _parse_answer(request, head)
            if answer.status >= 200 or answer.status == 101:
                return answer
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        raise Refused(502, "The site ended before it answered.") from None


async def _head(reader: asyncio.StreamReader) -> list[str]:
    lines: list[str] = []
    size = 0
    while True:
        line = await reader.readuntil(b"\n")
        size += len(line)
        if size > HEAD_LIMIT:
            raise ValueError("the head is too large")
        text = line[:-1].removesuffix(b"\r").decode("latin-1")
        if text == "":
            return lines
        lines.append(text)


def _parse_answer(request: Request, lines: list[str]) -> Answer:
    """Raises ValueError when it is no answer, or one that two readers could understand differently."""
    found = STATUS_LINE.fullmatch(lines[0]) if lines else None
    pairs = [FIELD.fullmatch(line) for line in lines[1:]]
    if found is None or any(pair is None for pair in pairs):
        raise ValueError("that is no answer")
    fields = [(pair[1], pair[2].rstrip()) for pair in pairs if pair is not None]
    lengths = {value for name, value in fields if name.lower() == "content-length"}
    codings = [value.lower() for name, value in fields if name.lower() == "transfer-encoding"]
    if len(lengths) > 1 or (codings and codings != ["chunked"]):
        raise ValueError("that answer has no clear end")
    status = int(found[1])
    length: int | None = -1
    if codings:
        length = None
    elif lengths:
        text = lengths.pop()
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
            raise ValueError("that answer has no clear end")
        length = int(text)
    return Answer(status, found[2] or "", fields, length)


def _fields_back(answer: Answer, panel_cookies: frozenset[str]) -> Fields:
    named = {
        token.strip().lower()
        for name, value in answer.fields
        if name.lower() == "connection"
        for token in value.split(",")
    }
    return [
        (name, value)
        for name, value in answer.fields
        if name.lower() not in HOP
        and name.lower() not in named
        and not (name.lower() == "set-cookie" and is_panel_cookie(value.partition("=")[0], panel_cookies))
    ]


async def _pass_back(
    request: Request,
    answer: Answer,
    visitor: Visitor,
    reader: asyncio.StreamReader,
    upstream: Upstream,
    sending: asyncio.Task[None],
) -> bool:
    bodiless = request.method == "HEAD" or answer.status in BODILESS
    until_end = answer.length == -1 or answer.length is None
    keep = request.keeps_alive and sending.done() and not sending.cancelled() and sending.exception() is None
    response = Response(answer.status, _fields_back(answer, upstream.panel_cookies), reason=answer.reason)
    response.length = None if until_end else answer.length
    if bodiless and answer.length == -1 and request.method == "HEAD":
        response.length = None
    visitor.writer.write(response.encode(request, keep=keep))
    if not bodiless:
        chunked = until_end and request.minor == 1
        async for piece in _body_back(reader, answer):
            visitor.writer.write(chunk(piece) if chunked else piece)
            await visitor.writer.drain()
        if chunked:
            visitor.writer.write(LAST_CHUNK)
    await visitor.writer.drain()
    return keep and not (until_end and request.minor == 0)


async def _body_back(reader: asyncio.StreamReader, answer: Answer) -> AsyncIterator[bytes]:
    """Raises Gone when the unit ends before its answer does: the visitor must not take half for the whole."""
    if answer.length == -1:
        while piece := await reader.read(CHUNK):
            yield piece
        return
    try:
        async for piece in pieces(reader, answer.length):
            yield piece
    except (Refused, OSError):
        raise Gone from None


async def _tunnel(
    request: Request,
    answer: Answer,
    visitor: Visitor,
    unit: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Both ways, as they come, until one side ends (a WebSocket)."""
    reader, writer = unit
    upgrade = [("Connection", "Upgrade"), ("Upgrade", request.get("upgrade"))]
    response = Response(101, [*_fields_back(answer, frozenset()), *upgrade], None)
    visitor.writer.write(response.encode(request, keep=True))
    ways = {
        asyncio.create_task(_pump(visitor.reader, writer)),
        asyncio.create_task(_pump(reader, visitor.writer)),
    }
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(CHUNK):
        writer.write(piece)
        await writer.drain()
