"""A visitor of a server: an HTTP client that finds every name at the server's address, as if it were in the DNS.

Certificates are checked against the names that were asked for, with the authorities given and no others.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2


class _OneAddress(httpx2.BaseTransport):
    """A connection serves one name only: it was checked for that one."""

    def __init__(self, address: str, verify: ssl.SSLContext) -> None:
        self.address, self.verify = address, verify
        self.names: dict[str, httpx2.HTTPTransport] = {}

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        name = request.url.host
        if name not in self.names:
            self.names[name] = httpx2.HTTPTransport(verify=self.verify, trust_env=False)
        sent = httpx2.Request(
            request.method,
            request.url.copy_with(host=self.address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": name},
        )
        return self.names[name].handle_request(sent)

    def close(self) -> None:
        for transport in self.names.values():
            transport.close()


def visitor(address: str, *authorities: str, timeout: float = 20) -> httpx2.Client:
    """With no authority, certificates are not checked. Redirects are answers, and not followed."""
    context = ssl.create_default_context() if authorities else ssl._create_unverified_context()
    if authorities:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata="\n".join(authorities))
    return httpx2.Client(transport=_OneAddress(address, context), timeout=timeout, trust_env=False)


@contextmanager
def connected(address: str, name: str, *, timeout: float = 20) -> Iterator[ssl.SSLSocket]:
    """A bare connection, for what no client would say. The certificate is not checked."""
    context = ssl._create_unverified_context()
    with (
        socket.create_connection((address, 443), timeout=timeout) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        yield secure
