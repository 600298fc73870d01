"""How a server reaches the package registries: as this machine does, by its variables and its certificates."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tests.server.lab.base import BUNDLE, CERTIFICATES
from tests.server.lab.places import SEARCH

HOME = "/" + "root"
PLAIN = {"PATH": SEARCH, "HOME": HOME, "LANG": "C.UTF-8", "TERM": "dumb", "USER": "root"}
COPIED = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "NPM_CONFIG_REGISTRY",
)  # fmt: skip
ANCHORED = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "NPM_CONFIG_CAFILE")
STORE = f"{HOME}/.cache"  # of root, in every server the same folder of this machine


def registry_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What has to be set so that pip, uv and npm work behind the proxy and the certificates of this machine."""
    found = {name: environ[name] for name in COPIED if environ.get(name)}
    if any(CERTIFICATES.glob("*.crt")):
        found.update(dict.fromkeys(ANCHORED, BUNDLE))
    return found


def environment() -> dict[str, str]:
    """The variables of a command in a server, and nothing else of this machine."""
    return PLAIN | registry_variables()
