"""No certificates: the sites of this host answer on this computer alone, without TLS."""

from __future__ import annotations

from typing import NoReturn

from webops_host.certificate_values import CertificateStatus, NameCheck, PrivateKey, Renewal
from webops_host.errors import NotSupported
from webops_host.names import DeploymentName
from webops_host.values import Console


class EmbeddedCertificates:
    """Satisfies `ports.Certificates` by saying so."""

    def check(self, name: DeploymentName) -> tuple[NameCheck, ...]:
        _no()

    def issue(self, name: DeploymentName, console: Console) -> CertificateStatus:
        _no()

    def renew_due(self) -> tuple[Renewal, ...]:
        return ()

    def upload(self, name: DeploymentName, chain_pem: str, key: PrivateKey) -> CertificateStatus:
        _no()

    def remove(self, name: DeploymentName) -> None:
        """There is none."""

    def status(self, name: DeploymentName) -> CertificateStatus:
        return CertificateStatus(())


def _no() -> NoReturn:
    raise NotSupported(
        "Sites on this computer are served without TLS, so there are no certificates.",
        hint="Install WebOps on a server to have domains and certificates.",
    )
