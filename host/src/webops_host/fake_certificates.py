"""Certificates of the machine in memory: given at once, for a clock that does not run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from webops_host.certificate_values import (
    CertificateFacts,
    CertificateSource,
    CertificateStatus,
    HostCertificate,
    NameCheck,
    PrivateKey,
    Renewal,
)
from webops_host.errors import BadValue, CertificateRefused, NotFound
from webops_host.names import DeploymentName
from webops_host.values import Console, Site

BORN, DAY = 1_700_000_000.0, 86_400.0
DOMAIN, ADDRESS = "apps.test", "203.0.113.10"


class FakeCertificates:
    """`elsewhere` are names that lead to other servers, with the address they lead to. `due` are deployments whose
    certificate is due; the value is the error that its renewal meets, empty for none."""

    def __init__(self, sites: Mapping[DeploymentName, Site]) -> None:
        self._sites = sites
        self.elsewhere: dict[str, str] = {}
        self.due: dict[DeploymentName, str] = {}
        self.given: dict[tuple[DeploymentName, CertificateSource], CertificateFacts] = {}
        self.failures: dict[DeploymentName, CertificateStatus] = {}

    def check(self, name: DeploymentName) -> tuple[NameCheck, ...]:
        return tuple(self._check(host) for host in self._hosts(name))

    def issue(self, name: DeploymentName, console: Console) -> CertificateStatus:
        if name not in self._sites:
            raise NotFound(f"{name} is not published.", hint="Deploy it first.")
        good = [found.host for found in self.check(name) if found.ok]
        if not good:
            raise CertificateRefused("No name leads here.", hint="Set the records.", facts={"reason": "names"})
        console.emit(f"Asking for a certificate for {', '.join(good)}.")
        self.given[name, CertificateSource.ACME] = facts(*good)
        return self.status(name)

    def renew_due(self) -> tuple[Renewal, ...]:
        done = tuple(Renewal(name, error) for name, error in sorted(self.due.items()))
        self.due = {name: error for name, error in self.due.items() if error}
        return done

    def upload(self, name: DeploymentName, chain_pem: str, key: PrivateKey) -> CertificateStatus:
        if "BEGIN CERTIFICATE" not in chain_pem or "PRIVATE KEY" not in key.pem:
            raise BadValue("That is not a certificate with its key.", hint="Give both in PEM.")
        self.given[name, CertificateSource.UPLOADED] = facts(*self._hosts(name), issuer="A company")
        return self.status(name)

    def remove(self, name: DeploymentName) -> None:
        self.given.pop((name, CertificateSource.UPLOADED), None)

    def status(self, name: DeploymentName) -> CertificateStatus:
        known = self.failures.get(name, CertificateStatus(()))
        return replace(known, hosts=tuple(self._shown(name, host) for host in self._hosts(name)))

    def _hosts(self, name: DeploymentName) -> tuple[str, ...]:
        site = self._sites.get(name)
        return (f"{name}.{DOMAIN}", *(site.domains if site is not None else ()))

    def _check(self, host: str) -> NameCheck:
        address = self.elsewhere.get(host, ADDRESS)
        if address == ADDRESS:
            return NameCheck(host, True, (ADDRESS,))
        return NameCheck(host, False, (address,), f"{host} leads to {address}.", f"{host}. A {ADDRESS}")

    def _shown(self, name: DeploymentName, host: str) -> HostCertificate:
        for source in (CertificateSource.UPLOADED, CertificateSource.ACME):
            found = self.given.get((name, source))
            if found is not None and found.covers(host):
                return HostCertificate(host, source, found, found.not_after > BORN, found.fingerprint)
        own = replace(facts(f"*.{DOMAIN}", issuer="WebOps, this server"), self_signed=True)
        return HostCertificate(host, CertificateSource.PLATFORM, own, own.covers(host), own.fingerprint)


def facts(*names: str, issuer: str = "A certificate authority", days: float = 90) -> CertificateFacts:
    """Of a certificate that began when the fake's clock stands."""
    mark = hashlib.sha256(repr((names, issuer, days)).encode()).hexdigest()
    return CertificateFacts(names, issuer, BORN, BORN + days * DAY, mark)
