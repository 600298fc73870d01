"""Which certificate each name gets: an uploaded one, else one from the authority, else the platform's own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from webops_host.certificate_values import CertificateFacts, CertificateSource
from webops_host.errors import BadValue
from webops_host.linux import x509
from webops_host.linux.layout import ServerLayout
from webops_host.linux.nginx_parts import TlsFiles
from webops_host.names import HostName

PANEL = "_panel"
"""Where the panel's own certificate is kept; no deployment's name has an underscore."""
OURS = "WebOps, this server"
"""Who signed the platform's own certificate when setup made it: nobody whom browsers know."""
AHEAD = 86_400.0
"""Seconds; more than lies between two looks of the timer."""
Candidate = tuple[CertificateSource, TlsFiles, CertificateFacts]


def chosen(
    layout: ServerLayout, name: str, hosts: Iterable[HostName], now: float | None = None
) -> Mapping[HostName, TlsFiles]:
    """The files for each of a deployment's names."""
    here = list(candidates(layout, name))
    moment = time.time() if now is None else now
    return {host: choose(layout, here, host, moment)[1] for host in hosts}


def choose(
    layout: ServerLayout, here: list[Candidate], host: HostName, now: float
) -> tuple[CertificateSource, TlsFiles, CertificateFacts | None]:
    """The first that covers the name and lasts. One that ends within a day gives way to another, and to nothing else:
    an end that people are told of is better than a certificate that nobody trusts. Without any, the platform's,
    whatever it covers: no visitor's request is lost to a missing file."""
    fitting = [candidate for candidate in here if candidate[2].covers(host) and not is_ours(candidate[2])]
    for moment in (now + AHEAD, now, 0.0):
        for source, files, facts in fitting:
            if facts.not_after > moment:
                return source, files, facts
    platform = next((facts for source, _, facts in here if source is CertificateSource.PLATFORM), None)
    return CertificateSource.PLATFORM, files_in(layout.platform_tls), platform


def candidates(layout: ServerLayout, name: str) -> Iterator[Candidate]:
    """Those that are there, first the one that counts most. One that can not be read is as if absent."""
    places = (
        (CertificateSource.UPLOADED, layout.settings / "tls" / name),
        (CertificateSource.ACME, lineage(layout, name)),
        (CertificateSource.PLATFORM, layout.platform_tls),
    )
    for source, folder in places:
        files = files_in(folder)
        facts = facts_of(files)
        if facts is not None:
            yield source, files, facts


def of_panel(layout: ServerLayout, host: HostName) -> TlsFiles:
    """The files for the panel's own name."""
    return chosen(layout, PANEL, (host,))[host]


def is_ours(facts: CertificateFacts) -> bool:
    """Whether no browser trusts it, because the platform signed it itself."""
    return OURS in facts.issuer


def files_in(folder: Path) -> TlsFiles:
    return TlsFiles(folder / "fullchain.pem", folder / "privkey.pem")


def lineage(layout: ServerLayout, name: str) -> Path:
    """Where certbot keeps the newest certificate of a name."""
    return layout.variable / "certbot/live" / name


def facts_of(files: TlsFiles) -> CertificateFacts | None:
    try:
        return x509.facts(files.chain.read_bytes()) if files.key.exists() else None
    except (OSError, BadValue):
        return None
