"""The Git servers that a team allows beside those of the platform's setting."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from apps.core import access, audit
from apps.core.access import Actor, Capability
from apps.core.errors import Conflict, Invalid
from apps.core.models import GitServer, Team
from webops_host.errors import BadValue
from webops_host.names import HostName
from webops_host.values import GitHost

LARGEST_CA = 64 * 1024


def add(actor: Actor, team: Team, *, name: str, port: int = 443, private: bool = False, ca_pem: str = "") -> GitServer:
    """Allow repositories of the team to come from this name and port. Raises Invalid with the field, Conflict."""
    access.require(actor, Capability.ADMINISTER, team)
    server = _checked(name, port, private, _certificates(ca_pem))
    try:
        with transaction.atomic():
            row = GitServer.objects.create(
                team=team, name=server.name, port=server.port, private=private, ca_pem=server.ca_pem
            )
            audit.record(actor, "git_server.add", team=team, target=str(server)[:120], private=private)
    except IntegrityError:
        raise Conflict(
            f"{server} is allowed already.", hint="Remove it first to change it.", code="git_server_known"
        ) from None
    return row


def remove(actor: Actor, server: GitServer) -> None:
    """Allow it no more. Deployments that fetch from it keep what they have and can not fetch again."""
    access.require(actor, Capability.ADMINISTER, server.team)
    with transaction.atomic():
        audit.record(actor, "git_server.remove", team=server.team, target=f"{server.name}:{server.port}"[:120])
        server.delete()


def _checked(name: str, port: int, private: bool, ca_pem: str) -> GitHost:
    try:
        checked = HostName(name.strip().lower())
    except BadValue as error:
        raise Invalid.of("name", error) from None
    try:
        return GitHost(checked, port, private=private, ca_pem=ca_pem)
    except BadValue as error:
        raise Invalid.of("port", error) from None


def _certificates(text: str) -> str:
    """The bundle again, once every certificate in it could be read. A private key in it is refused."""
    pem = text.strip()
    if not pem:
        return ""
    from cryptography import x509  # 2.5 MiB, only where somebody brings certificates

    try:
        if len(pem) > LARGEST_CA or "PRIVATE KEY" in pem:
            raise ValueError
        x509.load_pem_x509_certificates(pem.encode("ascii"))
    except ValueError:
        raise Invalid(
            "That is not a bundle of PEM certificates.",
            hint="Paste the text between BEGIN CERTIFICATE and END CERTIFICATE, with both lines, and no key.",
            fields={"ca_pem": ["Not a bundle of PEM certificates."]},
        ) from None
    return pem + "\n"
