"""Looks from outside the daemon, which has no network: where names lead, whether this server answers there, and which
certificates it shows. Runs as a user of its own in a transient unit, reads one question and prints one answer.

It speaks to an address only when that is this server's own, or public: what the owner of a domain writes into the DNS
must not have us knock at doors of a private network.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from webops_host import codec, runner
from webops_host.certificate_values import NameCheck
from webops_host.command import Command
from webops_host.errors import HostError
from webops_host.linux import systemd, x509
from webops_host.names import HostName

PROGRAM = Path("/opt/webops/current/host/reach.py")
PATH = "/.well-known/acme-challenge/"
PATIENCE = 5.0
MOST_HOSTS, MOST_ADDRESSES = 100, 8


@dataclass(frozen=True, slots=True)
class Question:
    """`names` are looked up, and asked for the file `token`; `wire` are asked for their certificate. `own` are the
    addresses under which the world reaches this server; a CDN stands before it when it is `proxied`."""

    names: tuple[HostName, ...] = ()
    wire: tuple[HostName, ...] = ()
    token: str = ""
    own: tuple[str, ...] = ()
    proxied: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    names: tuple[NameCheck, ...] = ()
    wire: tuple[str, ...] = ()  # fingerprints, in the order of the question; empty for none


Ask = Callable[[Question], Answer]


def ask(question: Question, *, program: Path = PROGRAM, run: Callable[..., bytes] = runner.run_binary) -> Answer:
    """The answer of the program in its unit. Raises HostError."""
    properties = (
        ("DynamicUser", "yes"), ("ProtectSystem", "strict"), ("ProtectHome", "yes"), ("PrivateDevices", "yes"),
        ("NoNewPrivileges", "yes"), ("CapabilityBoundingSet", ""),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
        ("InaccessiblePaths", "-/etc/webops -/var/lib/webops -/srv/webops -/run/webops"), ("MemoryMax", "128M"),
        ("TasksMax", "16"), ("RuntimeMaxSec", "120"), ("SystemCallFilter", "@system-service"),
    )  # fmt: skip
    argv = (
        "/usr/bin/systemd-run", "--pipe", "--wait", "--collect", "--quiet", "--service-type=exec",
        "--slice=webops-platform.slice", "--description=WebOps: a look from outside",
        *(word for key, value in properties for word in ("--property", f"{key}={value}")),
        "--", "/usr/bin/python3", "-I", str(program),
    )  # fmt: skip
    sent = json.dumps(codec.dump(question)).encode()
    try:
        return codec.load(Answer, json.loads(run(Command(argv, env=systemd.ENV, stdin=sent, timeout=150.0))))
    except ValueError as error:
        raise HostError("The look from outside gave no answer that can be read.") from error


def main() -> int:
    """One question from standard input, one answer to standard output."""
    question = codec.load(Question, json.load(sys.stdin))
    print(json.dumps(codec.dump(answer(question))))  # noqa: T201
    return 0


def answer(question: Question) -> Answer:
    return Answer(
        tuple(checked(host, question) for host in question.names[:MOST_HOSTS]),
        tuple(shown(host) for host in question.wire[:MOST_HOSTS]),
    )


def checked(
    host: HostName,
    question: Question,
    *,
    look: Callable[[str], tuple[str, ...]] | None = None,
    fetch: Callable[[str, str, str], str | None] | None = None,
    is_here: Callable[[str], bool] | None = None,
) -> NameCheck:
    """Every address of the name must be answered by this server: the authority may choose any."""
    addresses = (look or looked_up)(host)[:MOST_ADDRESSES]
    record = "; ".join(_record(host, address) for address in question.own)
    if not addresses:
        problem = f"{host} has no address in the DNS."
        return NameCheck(host, False, (), problem, record)
    for address in addresses:
        problem = _problem(host, address, question, fetch or fetched, is_here or is_local)
        if problem:
            return NameCheck(host, False, addresses, problem, record)
    return NameCheck(host, True, addresses, "", record)


def _problem(
    host: str,
    address: str,
    question: Question,
    fetch: Callable[[str, str, str], str | None],
    is_here: Callable[[str], bool],
) -> str:
    ours = is_here(address)
    if not ours and not is_public(address):
        return f"{host} leads to {address}, which is no public address."
    said = fetch(address, host, question.token)
    if said == question.token:
        return ""
    if said is None:
        if address in question.own and not ours:
            return ""  # behind a router that does not lead back in; the authority comes from outside
        if question.proxied and ":" in address and not any(":" in one for one in question.own):
            return ""  # a server without IPv6 can not ask there; the CDN answers as on its other addresses
        return f"{host} leads to {address}, where port 80 can not be reached."
    return f"{host} leads to {address}, where another server answers."


def _record(host: str, address: str) -> str:
    return f"{host}. {'AAAA' if ':' in address else 'A'} {address}"


def is_public(address: str) -> bool:
    found = ipaddress.ip_address(address)
    embedded = getattr(found, "ipv4_mapped", None)
    return (embedded or found).is_global and not found.is_multicast


def is_local(address: str) -> bool:
    """Whether an interface of this machine has the address: only then can something be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def looked_up(host: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(place[4][0]).partition("%")[0] for place in found))


def fetched(address: str, host: str, token: str) -> str | None:
    """What the address says at the path of challenges; None when it can not be reached. Redirects are not followed."""
    connection = http.client.HTTPConnection(address, 80, timeout=PATIENCE)
    try:
        connection.request("GET", f"{PATH}{token}", headers={"Host": host})
        return connection.getresponse().read(200).decode("ascii", "replace")
    except http.client.HTTPException:
        return ""
    except OSError:
        return None
    finally:
        connection.close()


def shown(host: str, port: int = 443) -> str:
    """The fingerprint of the certificate that the web server here shows for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is looked at, nothing is trusted
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=host) as wrapped,
        ):
            return x509.fingerprint(wrapped.getpeercert(binary_form=True) or b"")
    except OSError:
        return ""
