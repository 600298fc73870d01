"""The `_redirects` and `_headers` files of a static site (the format that Netlify made common), as typed values.

A line is taken exactly or not at all: what can not be done here is left out and told as a notice, with its line, so
that a site made for another platform still goes live and its owner sees what does not come along.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, unquote, unquote_to_bytes

from webops_host import codec
from webops_host.errors import BadValue

T = TypeVar("T")
LARGEST = 64 << 10
MOST_REDIRECTS, MOST_HEADERS, MOST_NOTICES = 300, 100, 50
MOST_NAMES, LONGEST_TAIL, LONGEST_TARGET, LONGEST_VALUE = 20, 100, 2000, 3800
"""So that what is written of a rule is a word that nginx reads. Quotes and backslashes of a value count twice."""
STATUSES = frozenset({200, 301, 302, 303, 307, 308, 404})
SEGMENT = re.compile(r"[A-Za-z0-9._~!&'()+,;=@%-]{1,200}", re.ASCII)
PLACE = re.compile(r":([A-Za-z][A-Za-z0-9_]{0,40})", re.ASCII)
TARGET = re.compile(r"(https?://[a-z0-9.-]{1,253}(:\d{1,5})?)?(/[A-Za-z0-9._~!&'()*+,;=:@%/?#-]*)?", re.ASCII)
FIELD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", re.ASCII)
FIELD_VALUE = re.compile(r"[\x21-\x23\x25-\x7e]([\x20-\x23\x25-\x7e]{0,1998}[\x21-\x23\x25-\x7e])?", re.ASCII)
OURS = frozenset(
    {
        "accept-ranges", "age", "allow", "alt-svc", "basic-auth", "connection", "content-encoding", "content-length",
        "content-range", "content-type", "date", "etag", "keep-alive", "last-modified", "location", "server",
        "set-cookie", "trailer", "transfer-encoding", "upgrade", "vary",
    }
)  # fmt: skip
"""Fields that the web server itself answers for."""


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A path of a site in which `:name` stands for one part and a `*` at the end for the rest."""

    text: str

    def __post_init__(self) -> None:
        if not self.text.startswith("/") or len(self.text) > 500 or "//" in self.text:
            raise BadValue(f"{self.text!r:.80} is not a path.", hint="Begin with a slash.")
        for part in self._parts():
            if not (part == "" or part == "*" or PLACE.fullmatch(part) or SEGMENT.fullmatch(part)):
                raise BadValue(f"{part!r:.80} can not be part of a path here.")
            if not PLACE.fullmatch(part):
                decoded(part)
        if len(self.names) > MOST_NAMES:
            raise BadValue(f"{self.text!r:.80} has more than {MOST_NAMES} names.")
        if "*" in self._parts()[:-1] or len(set(self.names)) != len(self.names) or "splat" in self.names[:-1]:
            raise BadValue(f"{self.text!r:.80} has a “*” before its end, or a name twice.")

    def _parts(self) -> list[str]:
        return self.text[1:].split("/")

    @property
    def names(self) -> list[str]:
        """What the pattern catches, in order; the rest is called `splat`."""
        found = [PLACE.fullmatch(part) for part in self._parts()]
        caught = [place[1] for place in found if place]
        return [*caught, "splat"] if self._parts()[-1] == "*" else caught

    @property
    def is_everything(self) -> bool:
        return self.text == "/*"

    def pieces(self) -> Iterator[str | None]:
        """Literal parts, decoded; None where something is caught."""
        for part in self._parts():
            yield None if part == "*" or PLACE.fullmatch(part) else decoded(part)

    def ends_open(self) -> bool:
        return self.text.endswith("/*")


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where a path leads. With 200 and 404 the target is a page of the site, shown at the address that was asked for.
    A rule that is not `forced` gives way to a file of that path."""

    source: PathPattern
    target: str
    status: int = 301
    forced: bool = False

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise BadValue(f"The status {self.status} can not be had here.")
        if not self.target or not TARGET.fullmatch(self.target) or self.target.startswith("//"):
            raise BadValue(f"{self.target!r:.80} is not a place to lead to.")
        if self.stays and (not self.target.startswith("/") or self.unknown() or re.search(r"[?#]|/:|\*", self.target)):
            raise BadValue("A page that is shown in place must be one path of this site.")
        if self.unknown():
            raise BadValue(f"“:{self.unknown()[0]}” is not in the path.")
        if len(self.target) > LONGEST_TARGET:
            raise BadValue(f"A place to lead to has at most {LONGEST_TARGET} characters.")
        if len(self._caught()) > MOST_NAMES:
            raise BadValue(f"A place to lead to has at most {MOST_NAMES} names.")

    @property
    def stays(self) -> bool:
        return self.status in (200, 404)

    def unknown(self) -> list[str]:
        return [name for name in self._caught() if name not in self.source.names]

    def _caught(self) -> list[str]:
        path = re.sub(r"^https?://[^/]*", "", self.target)
        return re.findall(r"(?<=/):([A-Za-z]\w*)", path, re.ASCII)


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """A field that answers for matching paths carry. In `path` a part `:name` stands for any part, and one `*` after
    all of these for any text: with more, there would be more ways to match than there is time for."""

    path: str
    name: str
    value: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"/[A-Za-z0-9._~!&'()+,;=@%/:*-]{0,300}", self.path, re.ASCII):
            raise BadValue(f"{self.path!r:.80} is not a path.", hint="Begin with a slash.")
        decoded(self.path)
        self._refuse_costly()
        if not FIELD_NAME.fullmatch(self.name) or not FIELD_VALUE.fullmatch(self.value):
            raise BadValue(f"{self.name!r:.60} has a name or a value that can not be sent.")
        if self.name.lower() in OURS:
            raise BadValue(f"The field {self.name} is the web server's own.")
        if self.length() > LONGEST_VALUE:
            raise BadValue(f"A value of {self.name} has too many quotes; {LONGEST_VALUE} characters can be sent.")

    def length(self) -> int:
        """Of the value as nginx reads it."""
        return len(self.value) + self.value.count('"') + self.value.count("\\")

    def _refuse_costly(self) -> None:
        head, star, tail = self.path.partition("*")
        if "*" in tail or re.search("/:[A-Za-z]", tail):
            raise BadValue(f"{self.path!r:.80} has a second “*”, or a “:name” after the “*”; use one “*”, as the last.")
        if len(tail) > LONGEST_TAIL:
            raise BadValue(f"{self.path!r:.80} has more than {LONGEST_TAIL} characters after the “*”.")
        if re.search(r"/:[A-Za-z]\w*[^\w/]", head + star, re.ASCII):
            raise BadValue(f"{self.path!r:.80} has a “:name” that is not a whole part of it.")

    def head(self) -> Iterator[str | None]:
        """What comes before the `*`: literal text, decoded, and None for each part that is a `:name`."""
        for number, text in enumerate(re.split(r"(?<=/):([A-Za-z]\w*)", self.path.partition("*")[0], flags=re.ASCII)):
            yield None if number % 2 else unquote(text)

    def tail(self) -> str | None:
        """What comes after the `*`, decoded. None: there is none."""
        _, star, tail = self.path.partition("*")
        return unquote(tail) if star else None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a published tree asks for, and what of it is left out."""

    redirects: tuple[Redirect, ...] = ()
    headers: tuple[HeaderRule, ...] = ()
    notices: tuple[str, ...] = ()


def parse(redirects: bytes | None, headers: bytes | None) -> Rules:
    """From the contents of the two files, either of which may be absent."""
    notices: list[str] = []
    found = tuple(_redirects(_text(redirects, "_redirects", notices), notices))
    fields = tuple(_headers(_text(headers, "_headers", notices), notices))
    return Rules(
        _most(found, MOST_REDIRECTS, "_redirects", notices),
        _most(fields, MOST_HEADERS, "_headers", notices),
        tuple(notices[:MOST_NOTICES]),
    )


def still_taken(kept: codec.Json) -> codec.Json:
    """Rules as they were kept, without those that an earlier version took and this one does not."""
    kinds = {"redirects": Redirect, "headers": HeaderRule}
    return {**kept, **{name: [rule for rule in kept[name] if _is_taken(kind, rule)] for name, kind in kinds.items()}}


def _is_taken(kind: type, kept: codec.Json) -> bool:
    try:
        codec.load(kind, kept)
    except BadValue:
        return False
    return True


def _text(content: bytes | None, name: str, notices: list[str]) -> list[str]:
    if content is None:
        return []
    try:
        if len(content) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 10} KiB")
        return content.decode("utf-8-sig").splitlines()
    except ValueError as error:
        notices.append(f"{name} was left out: {error}.")
        return []


def _most(found: tuple[T, ...], most: int, name: str, notices: list[str]) -> tuple[T, ...]:
    if len(found) > most:
        notices.append(f"{name}: only the first {most} rules are kept.")
    return found[:most]


def _redirects(lines: list[str], notices: list[str]) -> Iterator[Redirect]:
    for number, line in enumerate(lines, 1):
        words = _words(line)
        if not words:
            continue
        try:
            yield _redirect(words)
        except BadValue as error:
            notices.append(f"_redirects, line {number} was left out: {error.message}")


def _words(line: str) -> list[str]:
    """The words of a line up to a comment. A `#` inside a word is part of an address."""
    words = line.split()
    end = next((place for place, word in enumerate(words) if word.startswith("#")), len(words))
    return words[:end]


def _redirect(words: list[str]) -> Redirect:
    source, *rest = words
    if not rest or not rest[0].startswith(("/", "http://", "https://")):
        raise BadValue("It names no target, or asks for certain parameters, which can not be done here.")
    target, *rest = rest
    status, forced = 301, False
    if rest and re.fullmatch(r"\d{3}!?", rest[0], re.ASCII):
        status, forced = int(rest[0][:3]), rest[0].endswith("!")
        rest = rest[1:]
    if rest:
        raise BadValue(f"The condition {rest[0]!r:.60} can not be asked here.")
    return Redirect(PathPattern(source), target, status, forced)


def _headers(lines: list[str], notices: list[str]) -> Iterator[HeaderRule]:
    path, joined = "", Counter[tuple[str, str]]()
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if text.startswith("/"):
            path = text
            continue
        name, colon, value = text.partition(":")
        try:
            if not path or not colon:
                raise BadValue("It is neither a path nor a field below one.")
            rule = HeaderRule(path, name.strip(), value.strip())
            _add(rule, joined)
            yield rule
        except BadValue as error:
            notices.append(f"_headers, line {number} was left out: {error.message}")


def _add(rule: HeaderRule, joined: Counter[tuple[str, str]]) -> None:
    """What one path says twice is sent as one value. Raises BadValue when it would be too long."""
    key = (rule.path, rule.name.lower())
    length = joined[key] + len(", ") + rule.length()
    if length > LONGEST_VALUE:
        raise BadValue(f"With it, {rule.name} of {rule.path!r:.60} would be longer than {LONGEST_VALUE} characters.")
    joined[key] = length


def decoded(text: str) -> str:
    """Percent-encoding undone. What would mean something else afterwards is refused."""
    raw = unquote_to_bytes(text)
    try:
        found = raw.decode()
    except UnicodeDecodeError:
        raise BadValue(f"{text!r:.80} is not UTF-8.") from None
    if not found.isprintable() or "$" in found or found.count("/") != text.count("/") or "\\" in found:
        raise BadValue(f"{text!r:.80} holds a sign that no path has here.")
    if any(part in (".", "..") for part in found.split("/")):
        raise BadValue(f"{text!r:.80} leads out of itself.")
    return found


def encoded(text: str) -> str:
    """A literal part as a browser sends it."""
    return quote(text, safe="/!&'()+,;=@~:*")
