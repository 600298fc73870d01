"""Reads what a certificate says (RFC 5280), from its bytes: names, issuer, times. It judges no signature.

The standard library decodes only certificates of authorities, and asking a program for each site would cost more than
the site's own work. Anything that is not as it should be raises BadValue.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from webops_host.certificate_values import CertificateFacts
from webops_host.errors import BadValue

BEGIN = re.compile(rb"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")
SUBJECT_NAMES, COMMON_NAME, ORGANISATION = b"\x55\x1d\x11", b"\x55\x04\x03", b"\x55\x04\x0a"
SEQUENCE, SET, OID, UTC_TIME, FULL_TIME, OCTETS, EXTENSIONS, VERSION = 0x30, 0x31, 0x06, 0x17, 0x18, 0x04, 0xA3, 0xA0
DNS_NAME = 0x82
TEXTS = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x14: "latin-1", 0x1E: "utf-16-be"}
DEEPEST = 65536


@dataclass(frozen=True, slots=True)
class Part:
    """A tag with its content."""

    tag: int
    content: bytes

    def parts(self) -> list[Part]:
        return list(_parts(self.content))


def certificates(pem: bytes) -> list[bytes]:
    """The certificates of a PEM file as bytes, in order. Raises BadValue when there is none."""
    found = []
    for block in BEGIN.findall(pem):
        try:
            found.append(base64.b64decode(b"".join(block.split()), validate=True))
        except binascii.Error:
            raise _wrong("its base64 is broken") from None
    if not found:
        raise _wrong("there is no BEGIN CERTIFICATE in it")
    return found


def facts(pem: bytes) -> CertificateFacts:
    """Of the first certificate in a PEM file."""
    return facts_of(certificates(pem)[0])


def facts_of(der: bytes) -> CertificateFacts:
    try:
        return _facts(der)
    except (ValueError, IndexError, OverflowError) as error:
        if isinstance(error, BadValue):
            raise
        raise _wrong("it does not have the form of one") from None


def fingerprint(der: bytes) -> str:
    return hashlib.sha256(der).hexdigest()


def _facts(der: bytes) -> CertificateFacts:
    [whole] = _parts(der)
    fields = whole.parts()[0].parts()
    if fields[0].tag == VERSION:
        fields = fields[1:]
    _serial, _algorithm, issuer, validity, subject, *rest = fields
    begins, ends = (_time(part) for part in validity.parts())
    return CertificateFacts(
        names=tuple(_names(rest)),
        issuer=_shown(issuer),
        not_before=begins,
        not_after=ends,
        fingerprint=fingerprint(der),
        self_signed=issuer.content == subject.content,
    )


def _parts(content: bytes) -> Iterator[Part]:
    """The parts one after the other, each with a length in the one form that DER allows."""
    place = 0
    while place < len(content):
        tag, length, place = content[place], content[place + 1], place + 2
        if tag & 0x1F == 0x1F:
            raise ValueError("a tag of many bytes")
        if length & 0x80:
            size = length & 0x7F
            length, place = int.from_bytes(content[place : place + size], "big"), place + size
            if not 1 <= size <= 3 or length < 0x80 or length > DEEPEST:
                raise ValueError("a length that DER does not allow")
        if place + length > len(content):
            raise ValueError("a part longer than the whole")
        yield Part(tag, content[place : place + length])
        place += length


def _names(rest: list[Part]) -> Iterator[str]:
    """The names it is for. A common name in the subject counts for nothing any more."""
    for holder in rest:
        if holder.tag != EXTENSIONS:
            continue
        for extension in holder.parts()[0].parts():
            kind, *_, value = extension.parts()
            if kind.content == SUBJECT_NAMES and value.tag == OCTETS:
                [listed] = _parts(value.content)
                yield from (part.content.decode("ascii").lower() for part in listed.parts() if part.tag == DNS_NAME)


def _shown(name: Part) -> str:
    """The common name or the organisation of a distinguished name."""
    found: dict[bytes, str] = {}
    for group in name.parts():
        for pair in group.parts():
            kind, value = pair.parts()
            found.setdefault(kind.content, value.content.decode(TEXTS.get(value.tag, "latin-1"), "replace"))
    shown = " ".join(found[kind] for kind in (ORGANISATION, COMMON_NAME) if kind in found) or "nobody"
    return "".join(letter if letter.isprintable() else "?" for letter in shown)[:200]


def _time(part: Part) -> float:
    text = part.content.decode("ascii")
    if part.tag == UTC_TIME and re.fullmatch(r"\d{12}Z", text):
        year = int(text[:2])
        text = f"{'19' if year >= 50 else '20'}{text}"
    elif part.tag != FULL_TIME or not re.fullmatch(r"\d{14}Z", text):
        raise ValueError("a time that can not be read")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _wrong(why: str) -> BadValue:
    return BadValue(f"That is not a certificate: {why}.", hint="Give the certificate and its chain in PEM.")
