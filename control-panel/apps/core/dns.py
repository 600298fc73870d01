"""Asking the DNS: the few kinds of records that a domain's owner has to set (RFC 1035, over UDP and, for what does not
fit, TCP). Nothing is kept here, so an answer is as fresh as the name server's own.

    look = dns.Resolver(resolvers.read())
    look("www.example.com", Kind.CNAME)  # ("blog.apps.example.org",)

A resolver is a function, so that tests and dry runs hand in their own.
"""

from __future__ import annotations

import enum
import ipaddress
import secrets
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from webops_host.linux import resolvers

CLASS_IN = 1
RECURSION, RESPONSE, TRUNCATED = 0x0100, 0x8000, 0x0200
NO_SUCH_NAME = 3
PORT, PATIENCE, LARGEST, MOST_RECORDS, MOST_JUMPS = 53, 3.0, 65_535, 64, 32


class Kind(enum.IntEnum):
    A = 1
    CNAME = 5
    TXT = 16
    AAAA = 28


class Unanswered(Exception):
    """No name server gave an answer that can be used. An empty answer is none of these: it says that there is none."""


Look = Callable[[str, Kind], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Resolver:
    """Asks these name servers in turn. For A and AAAA the records at the end of a chain of CNAMEs count too."""

    servers: tuple[str, ...]
    port: int = PORT
    patience: float = PATIENCE

    def __call__(self, name: str, kind: Kind) -> tuple[str, ...]:
        """The records' values, in a fixed order; none when there are none. Raises Unanswered."""
        problem = "there is no name server to ask"
        for server in self.servers:
            try:
                return tuple(sorted(set(self._ask(server, name, kind))))
            except (OSError, ValueError) as error:
                problem = str(error) or type(error).__name__
        raise Unanswered(f"{name}: {problem}")

    def _ask(self, server: str, name: str, kind: Kind) -> Iterable[str]:
        number = secrets.randbits(16)
        asked = question(number, name, kind)
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as link:
            link.settimeout(self.patience)
            link.connect((server, self.port))  # then nobody else's datagram is taken
            link.send(asked)
            got = link.recv(LARGEST)
        if len(got) > 3 and struct.unpack_from("!H", got, 2)[0] & TRUNCATED:
            got = self._ask_whole(server, family, asked)
        return answers(got, number, kind)

    def _ask_whole(self, server: str, family: int, asked: bytes) -> bytes:
        with socket.socket(family, socket.SOCK_STREAM) as link:
            link.settimeout(self.patience)
            link.connect((server, self.port))
            link.sendall(struct.pack("!H", len(asked)) + asked)
            (length,) = struct.unpack("!H", _exactly(link, 2))
            return _exactly(link, length)


def _exactly(link: socket.socket, length: int) -> bytes:
    got = b""
    while len(got) < length:
        piece = link.recv(length - len(got))
        if not piece:
            raise ValueError("the name server hung up")
        got += piece
    return got


def question(number: int, name: str, kind: Kind) -> bytes:
    """A query as it goes over the wire."""
    labels = name.rstrip(".").encode("ascii").split(b".")
    if not all(0 < len(label) < 64 for label in labels):
        raise ValueError(f"{name!r:.80} is no name")
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack("!6H", number, RECURSION, 1, 0, 0, 0) + encoded + struct.pack("!2H", kind, CLASS_IN)


def answers(message: bytes, number: int, kind: Kind) -> Iterator[str]:
    """The values of that kind in an answer. Raises ValueError for one that is not to this question or not whole."""
    try:
        yield from _answers(message, number, kind)
    except (struct.error, IndexError, UnicodeDecodeError):
        raise ValueError("the answer is not whole") from None


def _answers(message: bytes, number: int, kind: Kind) -> Iterator[str]:
    answered, flags, questions, count, _, _ = struct.unpack_from("!6H", message)
    if answered != number or not flags & RESPONSE:
        raise ValueError("the answer is to another question")
    status = flags & 0x000F
    if status not in (0, NO_SUCH_NAME):
        raise ValueError(f"the name server refused (status {status})")
    place = 12
    for _ in range(questions):
        _, place = _name(message, place)
        place += 4
    for _ in range(min(count, MOST_RECORDS)):
        _, place = _name(message, place)
        found, group, _, length = struct.unpack_from("!HHIH", message, place)
        place += 10
        if found == kind and group == CLASS_IN:
            yield _value(message, place, length, kind)
        place += length
        if place > len(message):
            raise IndexError


def _value(message: bytes, place: int, length: int, kind: Kind) -> str:
    data = message[place : place + length]
    if len(data) != length:
        raise IndexError
    if kind in (Kind.A, Kind.AAAA):
        return str(ipaddress.ip_address(data))
    if kind is Kind.CNAME:
        return _name(message, place)[0]
    texts, at = [], 0
    while at < length:
        texts.append(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
    return b"".join(texts).decode("utf-8", "replace")


def _name(message: bytes, place: int) -> tuple[str, int]:
    """A name, which may be continued elsewhere in the message, and where what follows it begins."""
    labels, after, jumps = [], 0, 0
    while (length := message[place]) != 0:
        if length >= 0xC0:
            after = after or place + 2
            place = struct.unpack_from("!H", message, place)[0] & 0x3FFF
            jumps += 1
            if jumps > MOST_JUMPS:
                raise ValueError("the answer leads in circles")
            continue
        labels.append(message[place + 1 : place + 1 + length].decode("ascii", "replace").lower())
        place += 1 + length
    return ".".join(labels), after or place + 1


class _Here:
    """Who is asked. The name servers of this machine, unless another function was handed in."""

    look: Look | None = None


def ask(name: str, kind: Kind) -> tuple[str, ...]:
    """As a `Resolver` does, of whoever is to be asked here."""
    return (_Here.look or Resolver(resolvers.read()))(name, kind)


@contextmanager
def using(look: Look) -> Iterator[None]:
    """Hand in another DNS for a while."""
    before = _Here.look
    _Here.look = staticmethod(look)
    try:
        yield
    finally:
        _Here.look = before


def addresses(texts: Iterable[str]) -> tuple[str, ...]:
    """Those of the texts that are addresses, in their plain form."""
    found = []
    for text in texts:
        with suppress(ValueError):
            found.append(str(ipaddress.ip_address(text.strip())))
    return tuple(found)
