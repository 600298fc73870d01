"""What root's timer does for certificates, and what setup asks for the panel's name. Safe to run at any time."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from webops_host.errors import CertificateRefused, HostError
from webops_host.linux import platform
from webops_host.linux.certificates import LinuxCertificates
from webops_host.linux.layout import ServerLayout
from webops_host.linux.sites import LinuxSites
from webops_host.names import DeploymentName
from webops_host.values import Console, UnitRef

USAGE = "usage: certificates.py renew | panel"
OK, FAILED, WRONG_USE = 0, 1, 2


class NoUnits:
    """Nothing is published here, so no unit is asked for."""

    def installed(self, name: DeploymentName) -> tuple[UnitRef, ...]:
        return ()

    def serves(self, ref: UnitRef) -> bool:
        return False


def main(words: Sequence[str] | None = None, certificates: LinuxCertificates | None = None) -> int:
    """0 when all went well, 1 when an authority refused, 2 for words that are not known."""
    given = tuple(sys.argv[1:] if words is None else words)
    if given not in (("renew",), ("panel",)):
        _say(USAGE)
        return WRONG_USE
    try:
        subject = certificates or _certificates()
        return _renew(subject) if given == ("renew",) else _panel(subject)
    except HostError as error:
        _say(f"{error.message} {error.hint}".strip())
        return FAILED


def _renew(certificates: LinuxCertificates) -> int:
    done = certificates.renew_due()
    for renewal in done:
        _say(f"{renewal.name}: {renewal.error or 'renewed'}")
    if not done:
        _say("Nothing is due.")
    return FAILED if any(renewal.error for renewal in done) else OK


def _panel(certificates: LinuxCertificates) -> int:
    try:
        certificates.issue_panel(Console(_say))
    except CertificateRefused as error:
        _say(f"The panel keeps the certificate it has. {error.message} {error.hint}".strip())
        return FAILED
    _say("The panel has a certificate of its own.")
    return OK


def _certificates() -> LinuxCertificates:
    layout, settings = ServerLayout(), platform.read()
    return LinuxCertificates(layout, settings, LinuxSites(layout, settings, NoUnits()))


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
