"""Asks a certificate authority by certbot, in a transient unit: it has a network, root's files of certificates and the
folder of challenges, and nothing else of the server to write."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from webops_host import runner
from webops_host.command import Command
from webops_host.errors import CertificateRefused, CommandTimedOut
from webops_host.linux import systemd
from webops_host.linux.layout import ServerLayout
from webops_host.linux.platform import Platform
from webops_host.values import Console

PROGRAM = Path("/opt/webops/current/certbot/bin/certbot")
SECONDS = 300
UNREACHABLE = re.compile(
    r"Max retries exceeded|Connection refused|Name or service not known|Temporary failure in name resolution"
    r"|Read timed out|ConnectTimeout|CERTIFICATE_VERIFY_FAILED|An unexpected error occurred:\s*requests|ServerError"
    r"|serverInternal|:: (Service|The server) (busy|is down)",
    re.IGNORECASE,
)
LIMITED = re.compile(r"rateLimited|too many (certificates|failed|new|requests)|rate limit", re.IGNORECASE)
RETRY = re.compile(r"retry after (\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)", re.IGNORECASE)
ACCOUNT_GONE = re.compile(r"accountDoesNotExist|account that does not exist|Account \S+ not found", re.IGNORECASE)
WORDS = re.compile(r"An unexpected error occurred:\s*(\S[^\n]*)")
CHALLENGE = re.compile(
    r"(?:Domain|Identifier):\s*(?P<host>\S+)\s+Type:\s*(?P<type>\S+)\s+Detail:\s*(?P<detail>.+?)"
    r"(?=\n\s*\n|\n\s*Hint|\n\s*(?:Domain|Identifier):|\Z)",
    re.DOTALL,
)


class Authority(Protocol):
    """Who gives certificates."""

    def obtain(self, lineage: str, hosts: Iterable[str], console: Console | None = None) -> None:
        """Have a new certificate for exactly these names under this name. Raises CertificateRefused."""

    def delete(self, lineage: str) -> None:
        """Keep it no more. Absent is fine."""


class Certbot:
    """Satisfies `Authority`."""

    def __init__(
        self,
        layout: ServerLayout,
        platform: Platform,
        *,
        program: Path = PROGRAM,
        run: Callable[..., runner.Result] = runner.run,
    ) -> None:
        self._layout, self._platform, self._program, self._run = layout, platform, program, run

    def obtain(self, lineage: str, hosts: Iterable[str], console: Console | None = None) -> None:
        wanted = self._wanted(lineage, tuple(hosts))
        result = self._attempt(wanted, console)
        if result.status != 0 and ACCOUNT_GONE.search(result.output):
            shutil.rmtree(self._account, ignore_errors=True)  # the authority forgot us: we make ourselves known anew
            result = self._attempt(wanted, console)
        if result.status != 0:
            raise refused(result.output)

    def _attempt(self, wanted: tuple[str, ...], console: Console | None) -> runner.Result:
        unit = f"webops-certbot-{secrets.token_hex(6)}.service"
        try:
            return self._run(self.command(unit, "certonly", *wanted), console, check=False)
        except CommandTimedOut:
            self._stop(unit)
            raise CertificateRefused(
                "The certificate authority did not answer in time.", facts={"reason": "ca_down"}
            ) from None
        except BaseException:
            self._stop(unit)
            raise

    def delete(self, lineage: str) -> None:
        if (self._folder / "renewal" / f"{lineage}.conf").exists():
            unit = f"webops-certbot-{secrets.token_hex(6)}.service"
            self._run(self.command(unit, "delete", "--cert-name", lineage), check=False)

    def command(self, unit: str, *words: str) -> Command:
        """certbot with these words in its unit."""
        folder, authority = self._folder, self._platform.acme_ca
        properties = (
            ("ProtectSystem", "strict"), ("ReadWritePaths", f"{folder} {self._layout.challenges}"),
            ("ProtectHome", "yes"), ("PrivateTmp", "yes"), ("PrivateDevices", "yes"), ("NoNewPrivileges", "yes"),
            ("CapabilityBoundingSet", ""), ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
            ("RestrictNamespaces", "yes"), ("LockPersonality", "yes"), ("ProtectKernelTunables", "yes"),
            ("ProtectControlGroups", "yes"), ("MemoryMax", "512M"), ("TasksMax", "32"), ("UMask", "0022"),
            ("RuntimeMaxSec", str(SECONDS)), ("Environment", "LANG=C.UTF-8"),
            *((("Environment", f"REQUESTS_CA_BUNDLE={authority}"),) if authority else ()),
        )  # fmt: skip
        argv = (
            "/usr/bin/systemd-run", "--pipe", "--wait", "--collect", "--quiet", "--service-type=exec",
            f"--unit={unit}", "--slice=webops-platform.slice", "--description=WebOps: a certificate",
            *(word for key, value in properties for word in ("--property", f"{key}={value}")), "--",
            str(self._program), *words, "--non-interactive", "--config-dir", str(folder),
            "--work-dir", str(folder / "work"), "--logs-dir", str(folder / "logs"),
        )  # fmt: skip
        return Command(argv, env=systemd.ENV, timeout=SECONDS + 30.0)

    @property
    def _folder(self) -> Path:
        return self._layout.variable / "certbot"

    @property
    def _account(self) -> Path:
        """Where certbot keeps who we are to this authority."""
        place = urlsplit(self._platform.acme_server)
        return self._folder / "accounts" / place.netloc / place.path.strip("/")

    def _wanted(self, lineage: str, hosts: tuple[str, ...]) -> tuple[str, ...]:
        email = self._platform.acme_email
        return (
            "--webroot", "--webroot-path", str(self._layout.challenges), "--server", self._platform.acme_server,
            "--agree-tos", *(("--email", email, "--no-eff-email") if email else ("--register-unsafely-without-email",)),
            "--key-type", "ecdsa", "--elliptic-curve", "secp256r1", "--force-renewal", "--renew-with-new-domains",
            "--cert-name", lineage, *(word for host in hosts for word in ("--domain", host)),
        )  # fmt: skip

    def _stop(self, unit: str) -> None:
        self._run(systemd.systemctl("stop", "--", unit), check=False)


def refused(output: str) -> CertificateRefused:
    """Why, from what certbot printed."""
    if LIMITED.search(output):
        until = RETRY.search(output)
        when = f" before {until[1]} UTC" if until else " for now"
        return CertificateRefused(
            f"The certificate authority gives no more certificates for these names{when}.",
            hint="It limits how often it is asked. The certificate in use stays; WebOps asks again by itself.",
            facts={"reason": "rate_limited", **({"until": until[1]} if until else {})},
        )
    found = CHALLENGE.search(output)
    if found is not None:
        detail = " ".join(found["detail"].split())[:300]
        return CertificateRefused(
            f"The certificate authority could not check {found['host']}: {detail}",
            hint="Its DNS records must lead to this server alone, and port 80 must be reachable from everywhere.",
            facts={"reason": "challenge", "host": found["host"], "type": found["type"]},
        )
    if UNREACHABLE.search(output):
        return CertificateRefused(
            "The certificate authority can not be reached, or has trouble of its own.",
            hint="The certificate in use stays; WebOps asks again by itself.",
            facts={"reason": "ca_down"},
        )
    told = WORDS.search(output)
    last = told[1] if told else next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "")
    return CertificateRefused(
        f"The certificate authority gave no certificate: {last[:300]}", facts={"reason": "other", "last": last[:300]}
    )
