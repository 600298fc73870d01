"""Which repositories may be fetched, from which Git servers, with which credentials."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings

from apps.core.errors import Invalid
from apps.core.models import Team
from apps.deployments.models import Deployment
from webops_host import repository
from webops_host.errors import BadValue
from webops_host.names import GitRef, HostName
from webops_host.values import Credential, FetchSpec, GitHost, RepositoryUrl


def allowed(team: Team) -> tuple[GitHost, ...]:
    """The platform's Git servers and those the team allowed. A team's entry goes before the platform's."""
    own = [
        GitHost(HostName(row.name), row.port, private=row.private, ca_pem=row.ca_pem)
        for row in team.git_servers.order_by("name", "port")
    ]
    return (*own, *(_setting(text) for text in settings.ENV.git_hosts))


def _setting(text: str) -> GitHost:
    name, _, port = text.partition(":")
    return GitHost(HostName(name.lower()), int(port or 443))


def parse(text: str, team: Team) -> tuple[RepositoryUrl, GitHost]:
    """The canonical URL and its server. Raises Invalid on the field `repository`."""
    try:
        return repository.parse(text, allowed(team))
    except BadValue as error:
        raise Invalid.of("repository", error) from None


def fetch_spec(deployment: Deployment) -> FetchSpec:
    """What to fetch for a deployment; checked again, since the allowed servers may have changed since."""
    url, server = parse(deployment.repository, deployment.team)
    credential = Credential(deployment.username or "x-access-token", deployment.token) if deployment.token else None
    return FetchSpec(
        url=url,
        git_host=server,
        ref=GitRef(deployment.ref) if deployment.ref else None,
        credential=credential,
        limit_mib=settings.ENV.fetch_limit_mib,
        timeout=float(settings.ENV.fetch_timeout),
    )


def with_ref(spec: FetchSpec, ref: str) -> FetchSpec:
    """The same repository at another branch, tag or commit."""
    return replace(spec, ref=GitRef(ref))
