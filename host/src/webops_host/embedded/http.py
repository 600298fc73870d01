"""HTTP/1.1 on the wire (RFC 9112), read strictly: what two readers could understand differently is refused.

Two servers that disagree about where a request ends let one visitor's bytes become another's request. So lines end
with CR LF and nothing else, lengths are plain digits given once, and a message has either a length or chunks.
"""

from __future__ import annotations

import asyncio
import http
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.utils import formatdate

HEAD_LIMIT = 64 << 10
FIELDS_LIMIT = 128
HEAD_TIME = 30.0
CHUNK = 64 << 10
SERVER = "webops"

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
TARGET = re.compile(r"[\x21-\x7e]+")
VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?", re.ASCII)
LENGTH = re.compile(r"\d{1,18}", re.ASCII)
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(;[\t\x20-\x7e\x80-\xff]*)?")
ONCE = frozenset({"host", "content-length", "transfer-encoding", "content-type", "authorization", "expect"})

Fields = list[tuple[str, str]]  # names as they were sent


class Refused(Exception):
    """The message is answered with this status and the connection is closed."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Gone(Exception):
    """The other side went away in the middle of a message."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request head that has been checked. `length` is None when the body comes in chunks."""

    method: str
    target: str
    minor: int
    fields: Fields
    length: int | None

    def get(self, name: str) -> str:
        """All values of a field, joined by commas; empty when it is not there."""
        return ", ".join(value for key, value in self.fields if key.lower() == name)

    def says(self, name: str, token: str) -> bool:
        return token in (part.strip().lower() for part in self.get(name).split(","))

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def has_body(self) -> bool:
        return self.length != 0

    @property
    def keeps_alive(self) -> bool:
        return self.minor == 1 and not self.says("connection", "close")

    @property
    def is_upgrade(self) -> bool:
        return self.minor == 1 and self.says("connection", "upgrade") and bool(self.get("upgrade"))


@dataclass(slots=True)
class Response:
    """A response head to send. `length` None means chunks, or up to the end of the connection."""

    status: int
    fields: Fields = field(default_factory=list)
    length: int | None = 0
    reason: str = ""

    def encode(self, request: Request, *, keep: bool) -> bytes:
        """The head as bytes. Fields of the connection itself are added here and nowhere else."""
        reason = self.reason or _reason(self.status)
        lines = [f"HTTP/1.1 {self.status} {reason}".rstrip() if reason else f"HTTP/1.1 {self.status} "]
        lines += [f"{name}: {value}" for name, value in self.fields]
        if self.status >= 200 and self.status not in (204, 304):
            if self.length is not None:
                lines.append(f"Content-Length: {self.length}")
            elif request.minor == 1:
                lines.append("Transfer-Encoding: chunked")
        if self.status != 101:
            lines.append(f"Connection: {'keep-alive' if keep else 'close'}")
        return "\r\n".join((*lines, "", "")).encode("latin-1")


def page(status: int, words: str) -> tuple[Response, bytes]:
    """A small page that says what happened and names nothing of the inside."""
    title = _reason(status)
    body = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:32rem;"
        f"padding:0 1rem;color-scheme:light dark}}</style><h1>{status} {title}</h1><p>{words}</p></html>\n"
    ).encode()
    fields = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"), ("Server", SERVER), date()]
    return Response(status, fields, len(body)), body


def date() -> tuple[str, str]:
    return ("Date", formatdate(usegmt=True))


# --- reading a request -----------------------------------------------------------------------------------------


async def read_request(reader: asyncio.StreamReader, begun: bytes = b"") -> Request | None:
    """The next request of a connection, of which `begun` was read already; None when it ended before one.
    Raises Refused, Gone."""
    first = await _line(reader, HEAD_LIMIT, begun)
    if first == b"":
        first = await _line(reader, HEAD_LIMIT)  # one empty line before a request is let pass (RFC 9112, 2.2)
    if first is None:
        return None
    method, target, minor = _request_line(first)
    fields = await _fields(reader, HEAD_LIMIT - len(first))
    _check_once(fields)
    host = _host(fields, minor)
    if target.startswith(("http://", "https://")):
        target, host = _origin_form(target)
    fields = [("Host", host), *((name, value) for name, value in fields if name.lower() != "host")]
    return Request(method, target, minor, fields, _length(fields, minor))


async def _line(reader: asyncio.StreamReader, limit: int, begun: bytes = b"") -> bytes | None:
    """A line without its CR LF; None at the end of the connection."""
    try:
        line = begun if begun == b"\n" else begun + await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        if error.partial or begun:
            raise Gone from None
        return None
    except asyncio.LimitOverrunError:
        raise Refused(431, "The head of the request is too large.") from None
    if len(line) > limit:
        raise Refused(431, "The head of the request is too large.")
    if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
        raise Refused(400, "Lines of a request end with CR LF.")
    return line[:-2]


def _request_line(line: bytes) -> tuple[str, str, int]:
    words = line.decode("latin-1").split(" ")
    if len(words) != 3 or not TOKEN.fullmatch(words[0]) or not TARGET.fullmatch(words[1]):
        raise Refused(400, "That is not a request.")
    method, target, version = words
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        known = re.fullmatch(r"HTTP/\d\.\d", version) is not None
        raise Refused(505 if known else 400, "This server speaks version 1.1 of HTTP.")
    if method == "CONNECT":
        raise Refused(501, "This is not a proxy.")
    if not target.startswith(("/", "http://", "https://")):
        raise Refused(400, "That is not a path.")
    return method, target, int(version[-1])


async def _fields(reader: asyncio.StreamReader, room: int) -> Fields:
    fields: Fields = []
    while True:
        line = await _line(reader, room)
        if line is None:
            raise Gone
        if line == b"":
            return fields
        room -= len(line) + 2
        if len(fields) == FIELDS_LIMIT:
            raise Refused(431, "The request has too many fields.")
        name, found, value = line.decode("latin-1").partition(":")
        value = value.strip(" \t")
        if not found or not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
            raise Refused(400, "The request has a field that can not be read.")
        fields.append((name, value))


def _check_once(fields: Fields) -> None:
    names = [name.lower() for name, _ in fields]
    if any(names.count(name) > 1 for name in ONCE):
        raise Refused(400, "The request gives a field twice.")


def _host(fields: Fields, minor: int) -> str:
    hosts = [value for name, value in fields if name.lower() == "host"]
    if not hosts and minor == 0:
        return "localhost"
    if len(hosts) != 1 or not HOST.fullmatch(hosts[0]):
        raise Refused(400, "The request needs one host.")
    return hosts[0]


def _origin_form(target: str) -> tuple[str, str]:
    host, _, rest = target.partition("://")[2].partition("/")
    host, _, query = host.partition("?")
    if not HOST.fullmatch(host):
        raise Refused(400, "The request needs one host.")
    return f"/{rest}" if not query else f"/?{query}", host


def _length(fields: Fields, minor: int) -> int | None:
    given = {name.lower(): value for name, value in fields}
    length, coding = given.get("content-length"), given.get("transfer-encoding")
    if given.get("expect", "100-continue").lower() != "100-continue":
        raise Refused(417, "That can not be expected here.")
    if coding is None:
        if length is not None and not LENGTH.fullmatch(length):
            raise Refused(400, "The length of the request can not be read.")
        return int(length or 0)
    if length is not None or minor == 0:
        raise Refused(400, "The request has two lengths.")
    if coding.lower() != "chunked":
        raise Refused(501, "That transfer coding is not known here.")
    return None


# --- bodies ----------------------------------------------------------------------------------------------------


async def pieces(reader: asyncio.StreamReader, length: int | None) -> AsyncIterator[bytes]:
    """A body, as it comes: so many bytes, or chunks when `length` is None. Raises Refused, Gone."""
    if length is None:
        async for piece in _chunks(reader):
            yield piece
        return
    left = length
    while left:
        piece = await reader.read(min(CHUNK, left))
        if not piece:
            raise Gone
        left -= len(piece)
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await _line(reader, 1024)
        found = CHUNK_SIZE.fullmatch(line) if line is not None else None
        if found is None:
            raise Refused(400, "A chunk can not be read.")
        size = int(found[1], 16)
        if size == 0:
            await _fields(reader, 8 << 10)  # trailers have no place in what we pass on
            return
        async for piece in pieces(reader, size):
            yield piece
        if await _line(reader, 1024) != b"":
            raise Refused(400, "A chunk is longer than it says.")


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


LAST_CHUNK = b"0\r\n\r\n"


def _reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return ""
