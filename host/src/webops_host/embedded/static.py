"""Files of a release as web pages. Nothing outside the tree can be reached, whatever is in it (FS-05): every part of
a path is opened below the one before, without following links."""

from __future__ import annotations

import mimetypes
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote_to_bytes

from webops_host.embedded.http import SERVER, Fields, Request, Response, date
from webops_host.lasting import DIGEST, FOREVER

LASTING = re.compile(DIGEST, re.ASCII)
SHORT = "no-cache"
SHARED = frozenset({".well-known"})
TEXTUAL = frozenset({"application/javascript", "application/json", "application/xml", "image/svg+xml",
                     "application/manifest+json"})  # fmt: skip
MORE_TYPES = {
    ".webmanifest": "application/manifest+json", ".woff2": "font/woff2", ".woff": "font/woff",
    ".wasm": "application/wasm", ".mjs": "text/javascript", ".js": "text/javascript",
    ".avif": "image/avif", ".webp": "image/webp",
    ".map": "application/json", ".md": "text/markdown", ".ico": "image/x-icon",
}  # fmt: skip
TYPES = mimetypes.MimeTypes()
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Found:
    """An open file, to be closed by who asked for it. `gzipped` is a compressed sibling; `varies` that there is one."""

    handle: int
    size: int
    tag: str
    modified: float
    name: str
    gzipped: bool = False
    varies: bool = False

    def close(self) -> None:
        os.close(self.handle)


def parts(path: str) -> tuple[bytes, ...] | None:
    """The names in a URL path, the last one empty for a folder; None for a path that no file may have."""
    decoded = unquote_to_bytes(path)
    if not decoded.startswith(b"/") or b"\x00" in decoded or b"\\" in decoded:
        return None
    names = tuple(decoded[1:].split(b"/"))
    if any(not name or (name.startswith(b".") and name.decode("latin-1") not in SHARED) for name in names[:-1]):
        return None
    return None if names[-1].startswith(b".") else names


def find(root: Path, names: Sequence[bytes], *, gzip: bool = False) -> Found | None:
    """The regular file of these names below the root, open; None when there is none, or a link is on the way."""
    folder = _folder(root, names[:-1])
    if folder is None:
        return None
    try:
        plain = _open(folder, names[-1])
        if plain is None:
            return None
        squeezed = _open(folder, names[-1] + b".gz")
        if squeezed is None:
            return _found(plain, names[-1])
        if gzip:
            os.close(plain)
            return _found(squeezed, names[-1], gzipped=True, varies=True)
        os.close(squeezed)
        return _found(plain, names[-1], varies=True)
    finally:
        os.close(folder)


def is_folder(root: Path, names: Sequence[bytes]) -> bool:
    folder = _folder(root, names)
    if folder is None:
        return False
    os.close(folder)
    return True


def respond(request: Request, found: Found, *, status: int = 200, media: bool = False) -> tuple[Response, int, int]:
    """The head for a file, and which bytes of it follow (offset, count)."""
    fields = _fields(found, media)
    if status == 200 and _is_unchanged(request, found):
        kept = [(name, value) for name, value in fields if not name.startswith("Content-")]
        return Response(304, kept), 0, 0
    if status == 200 and request.get("range") and not found.gzipped and _may_range(request, found):
        wanted = _range(request.get("range"), found.size)
        if wanted == (0, 0):
            return Response(416, [*fields, ("Content-Range", f"bytes */{found.size}")]), 0, 0
        if wanted is not None:
            offset, count = wanted
            fields.append(("Content-Range", f"bytes {offset}-{offset + count - 1}/{found.size}"))
            return Response(206, fields, count), offset, count
    return Response(status, fields, found.size), 0, found.size


def accepts_gzip(request: Request) -> bool:
    for part in request.get("accept-encoding").lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() in ("gzip", "*") and not re.fullmatch(r"\s*q=0(\.0*)?\s*", weight):
            return True
    return False


def content_type(name: str) -> str:
    lower = name.lower()
    suffix = os.path.splitext(lower)[1]
    kind, coding = (MORE_TYPES[suffix], None) if suffix in MORE_TYPES else TYPES.guess_type(lower)
    if coding is not None:
        return {"gzip": "application/gzip"}.get(coding, "application/octet-stream")
    if kind is None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind in TEXTUAL else kind


def _folder(root: Path, names: Sequence[bytes]) -> int | None:
    """A handle of a folder below the root, each step without following a link."""
    try:
        handle = os.open(root, FOLDER)
    except OSError:
        return None
    for name in names:
        try:
            below = os.open(name, FOLDER, dir_fd=handle)
        except (OSError, ValueError):
            os.close(handle)
            return None
        os.close(handle)
        handle = below
    return handle


def _open(folder: int, name: bytes) -> int | None:
    if not name:
        return None
    try:
        handle = os.open(name, FILE, dir_fd=folder)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    return handle


def _found(handle: int, name: bytes, *, gzipped: bool = False, varies: bool = False) -> Found:
    seen = os.fstat(handle)
    tag = f'"{seen.st_ino:x}-{seen.st_mtime_ns:x}-{seen.st_size:x}"'
    return Found(handle, seen.st_size, tag, seen.st_mtime, os.fsdecode(name), gzipped, varies)


def _fields(found: Found, media: bool) -> Fields:
    fields = [
        ("Content-Type", content_type(found.name)),
        ("Cache-Control", FOREVER if LASTING.search(found.name) and not media else SHORT),
        ("ETag", found.tag),
        ("Last-Modified", formatdate(found.modified, usegmt=True)),
        ("Accept-Ranges", "bytes"),
        ("Server", SERVER),
        date(),
    ]
    if found.gzipped:
        fields.append(("Content-Encoding", "gzip"))
    if found.varies:
        fields.append(("Vary", "Accept-Encoding"))
    if media:
        fields.append(("X-Content-Type-Options", "nosniff"))
    return fields


def _is_unchanged(request: Request, found: Found) -> bool:
    tags = request.get("if-none-match")
    if tags:
        return tags.strip() == "*" or found.tag in (tag.strip().removeprefix("W/") for tag in tags.split(","))
    since = _time(request.get("if-modified-since"))
    return since is not None and int(found.modified) <= since


def _may_range(request: Request, found: Found) -> bool:
    """A range is given only from the file that the visitor has the beginning of."""
    condition = request.get("if-range")
    return not condition or condition == found.tag or _time(condition) == int(found.modified)


def _range(text: str, size: int) -> tuple[int, int] | None:
    """Offset and count of a single range; (0, 0) when it lies outside; None to send everything."""
    asked = re.fullmatch(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", text, re.ASCII)
    if asked is None or asked[1] == asked[2] == "":
        return None
    if not asked[1]:
        count = min(int(asked[2]), size)
        return size - count if count else 0, count
    first = int(asked[1])
    last = min(int(asked[2]), size - 1) if asked[2] else size - 1
    if asked[2] and int(asked[2]) < first:
        return None
    return (first, last - first + 1) if first < size else (0, 0)


def _time(text: str) -> float | None:
    with suppress(ValueError, TypeError, OverflowError):
        return parsedate_to_datetime(text).timestamp()
    return None
