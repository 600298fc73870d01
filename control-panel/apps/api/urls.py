"""The API as one object; each noun adds its router. Everything but signing in needs a token."""

from __future__ import annotations

from apps.api import (
    certificates,
    commands,
    databases,
    deployments,
    domains,
    errors,
    git_servers,
    logs,
    me,
    plans,
    releases,
    scaling,
    session,
    sites,
    tokens,
    variables,
)
from apps.api.auth import TokenAuth
from apps.api.edge import Api

api = Api(
    title="WebOps",
    version="1",
    description="Everything the panel and the command line can do. Errors are problem documents (RFC 9457).",
    docs_url=None,
    openapi_url="openapi.json",
    auth=TokenAuth(),
)
errors.install(api)
api.add_router("session", session.router)
api.add_router("me", me.router)
api.add_router("tokens", tokens.router)
api.add_router("git-servers", git_servers.router)
api.add_router("databases", databases.router)
for part in (deployments, releases, plans, logs, variables, domains, certificates, sites, scaling, commands):
    api.add_router("deployments", part.router)
