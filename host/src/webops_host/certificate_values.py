"""What is said about certificates: frozen values."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class CertificateSource(enum.StrEnum):
    """Who gave a certificate."""

    UPLOADED = "uploaded"  # a person did
    ACME = "acme"  # a certificate authority, asked by the platform
    PLATFORM = "platform"  # the platform's own, for names that have none of their own


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """A certificate as it is written. Times are Unix times; `fingerprint` is the SHA-256 of it, in hexadecimal."""

    names: tuple[str, ...]
    issuer: str
    not_before: float
    not_after: float
    fingerprint: str
    self_signed: bool = False

    def covers(self, host: str) -> bool:
        """A `*` stands for one label (RFC 9525, 6.3)."""
        parent = host.partition(".")[2]
        return host in self.names or (bool(parent) and f"*.{parent}" in self.names)


@dataclass(frozen=True, slots=True)
class HostCertificate:
    """What visitors of one name get. It is `covered` by a certificate that has the name and is not over. `on_the_wire`
    is the fingerprint that the running web server shows, empty when it could not be asked."""

    host: str
    source: CertificateSource
    facts: CertificateFacts
    covered: bool
    on_the_wire: str = ""

    @property
    def is_served(self) -> bool:
        return self.on_the_wire == self.facts.fingerprint


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """All names of a deployment, and how the asking went. `failures` counts those in a row since the last success;
    before `next_try` (a Unix time, 0 for now) the authority is not asked again."""

    hosts: tuple[HostCertificate, ...]
    failures: int = 0
    last_error: str = ""
    next_try: float = 0.0


@dataclass(frozen=True, slots=True)
class NameCheck:
    """Whether a name leads here, as seen from this server. `record` is what to set where the domain is managed."""

    host: str
    ok: bool
    addresses: tuple[str, ...]
    problem: str = ""
    record: str = ""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of one certificate that was due, by its deployment's name (or `_panel`). Without an error it is new
    and in use."""

    name: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key in PEM. It is never printed."""

    pem: str = field(repr=False)
