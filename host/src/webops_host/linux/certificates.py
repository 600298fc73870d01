"""Certificates of a server: the `Certificates` port, over certbot and nginx.

An authority is asked only for names that were seen to lead here, and never while a failure is fresh. What is in use
stays in use until something better is on disk; nginx is then told to read it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import ssl
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from webops_host import files
from webops_host.certificate_values import (
    CertificateFacts,
    CertificateSource,
    CertificateStatus,
    HostCertificate,
    NameCheck,
    PrivateKey,
    Renewal,
)
from webops_host.errors import BadValue, CertificateRefused, HostError, NotFound
from webops_host.linux import nginx_control, nginx_main, reach, tls_files, x509
from webops_host.linux.attempts import AttemptsBook
from webops_host.linux.certbot import Authority, Certbot
from webops_host.linux.layout import ServerLayout
from webops_host.linux.nginx_control import NginxControl
from webops_host.linux.nginx_parts import Ground
from webops_host.linux.platform import LETS_ENCRYPT, Platform
from webops_host.linux.reach import Question
from webops_host.linux.sites import LinuxSites
from webops_host.linux.tls_files import PANEL
from webops_host.names import DeploymentName, Domain, HostName
from webops_host.site_options import Cdn
from webops_host.values import Console

LARGEST_PEM, MOST_CERTIFICATES = 64 << 10, 10
SILENT = Console(lambda line: None)


class LinuxCertificates:
    """Satisfies `ports.Certificates`. The authority, the look from outside and the clock can be handed in."""

    def __init__(
        self,
        layout: ServerLayout,
        platform: Platform,
        sites: LinuxSites,
        *,
        authority: Authority | None = None,
        ask: reach.Ask = reach.ask,
        clock: Callable[[], float] = time.time,
        main: Callable[[], None] | None = None,
    ) -> None:
        self._layout, self._platform, self._sites = layout, platform, sites
        self._authority = authority or Certbot(layout, platform)
        self._ask, self._clock = ask, clock
        self._main = main or (lambda: write_main(layout, platform))
        self._book = AttemptsBook(layout.state / "certificates")
        sites.when_forgotten(self.forget)

    # --- the port ----------------------------------------------------------------------------------------------

    def check(self, name: DeploymentName) -> tuple[NameCheck, ...]:
        return self._look(name, self._sites.hosts(name))

    def issue(self, name: DeploymentName, console: Console) -> CertificateStatus:
        if self._sites.served(name) is None:
            raise NotFound(f"{name} is not published.", hint="Deploy it first: its names must answer here.")
        with self._alone():
            wanted = self._wanted(name)
            if wanted and not self._is_good_for(name, wanted):
                self._book.read(name).check(self._clock())
                self._obtain(name, self._worth_asking(name, wanted, console), console)
                self._sites.refresh(name, reload=True)
        return self.status(name)

    def renew_due(self) -> tuple[Renewal, ...]:
        folder = tls_files.lineage(self._layout, PANEL).parent
        names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
        known = {*self._sites.names(), PANEL}
        with self._alone():
            for name in set(names) - known:
                self._authority.delete(name)  # its deployment went
                self._book.forget(name)
            done = tuple(self._renew(name) for name in names if name in known and self._is_due(name))
        self._give_way()
        return done

    def upload(self, name: DeploymentName, chain_pem: str, key: PrivateKey) -> CertificateStatus:
        facts = self._fitting(chain_pem, key)
        hosts = self._sites.hosts(name)
        if not any(facts.covers(host) for host in hosts):
            raise BadValue(
                f"The certificate is for {', '.join(facts.names)}, and not for a name of this site.",
                hint=f"The site answers to {', '.join(hosts)}.",
            )
        self._sites.refresh(name, reload=True, first=lambda: self._lay(self._layout.tls(name), chain_pem, key))
        return self.status(name)

    def remove(self, name: DeploymentName) -> None:
        folder = self._layout.tls(name)
        if folder.is_dir():
            self._sites.refresh(name, first=lambda: shutil.rmtree(folder))

    def status(self, name: DeploymentName) -> CertificateStatus:
        hosts = self._sites.hosts(name)
        wire = dict(zip(hosts, self._on_the_wire(hosts), strict=True))
        attempts = self._book.read(name)
        here = list(tls_files.candidates(self._layout, name))
        return CertificateStatus(
            tuple(self._shown(host, here, wire[host]) for host in hosts),
            attempts.failures,
            attempts.last_error,
            attempts.next_try,
        )

    # --- for setup and for removal -----------------------------------------------------------------------------

    def issue_panel(self, console: Console) -> None:
        """Have one for the panel's own name, and nginx show it. Raises CertificateRefused."""
        host = self._platform.panel
        with self._alone():
            if not self._is_good_for(PANEL, [host]):
                self._book.read(PANEL).check(self._clock())
                self._obtain(PANEL, self._worth_asking(PANEL, [host], console), console)
        self._main()

    def forget(self, name: DeploymentName) -> None:
        """Keep nothing for a deployment that goes. Absent is fine."""
        self._authority.delete(name)
        self._book.forget(name)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time asks an authority, whether the daemon or the timer."""
        place = self._layout.state / "certificates.lock"
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with place.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    # --- asking ------------------------------------------------------------------------------------------------

    def _look(self, name: str, hosts: Iterable[HostName]) -> tuple[NameCheck, ...]:
        wanted, own = tuple(hosts), self._platform.addresses
        site = None if name == PANEL else self._sites.served(DeploymentName(name))
        proxied = site is not None and site.options.cdn is not Cdn.NONE
        with self._token() as token:
            return self._ask(Question(names=wanted, token=token, own=own, proxied=proxied)).names

    @contextmanager
    def _token(self) -> Iterator[str]:
        """A file where challenges lie: whoever answers with it is this server."""
        token = f"webops-{secrets.token_hex(16)}"
        file = self._layout.challenges / ".well-known/acme-challenge" / token
        file.parent.mkdir(parents=True, exist_ok=True)
        for folder in (file.parent, file.parent.parent):
            folder.chmod(0o755)
        files.write_whole(file, token.encode(), 0o644)
        try:
            yield token
        finally:
            file.unlink(missing_ok=True)

    def _wanted(self, name: DeploymentName) -> list[HostName]:
        """Names that need one of the authority's: all that no better certificate covers already. Of Let's Encrypt none
        is asked for a name such as `blog.apps.internal`, which it can not know."""
        lasts = self._clock() + tls_files.AHEAD
        better = [
            facts
            for source, _, facts in tls_files.candidates(self._layout, name)
            if source is not CertificateSource.ACME and facts.not_after > lasts and not tls_files.is_ours(facts)
        ]
        hosts = [host for host in self._sites.hosts(name) if not any(facts.covers(host) for facts in better)]
        return [host for host in hosts if self._platform.acme_server != LETS_ENCRYPT or _is_public(host)]

    def _worth_asking(self, name: str, hosts: Iterable[HostName], console: Console) -> tuple[str, ...]:
        """Those that lead here. Raises CertificateRefused when the certificate in use is as good as another one would
        be, or better: while there is time, a name of it that does not lead here any more is not left out. It may be a
        name server that is out of order, and a certificate without the name would break its site for sure."""
        checks = self._look(name, hosts)
        away = [found for found in checks if not found.ok]
        for found in away:
            console.emit(f"{found.problem} Set this record: {found.record or 'its address'}")
        good = tuple(found.host for found in checks if found.ok)
        facts = self._facts(name)
        held = () if facts is None or _is_late(facts, self._clock(), 6) else facts.names
        lost = [found for found in away if found.host in held]
        if away and (lost or not good or self._is_good_for(name, good)):
            raise _leads_away((lost or away)[0])
        return good

    def _obtain(self, name: str, hosts: Iterable[str], console: Console) -> None:
        """Ask, and write down how it went."""
        try:
            self._authority.obtain(name, hosts, console)
        except CertificateRefused as error:
            self._book.write(name, self._book.read(name).after(error, self._clock()))
            raise
        self._book.forget(name)

    # --- renewing ----------------------------------------------------------------------------------------------

    def _facts(self, name: str) -> CertificateFacts | None:
        return tls_files.facts_of(tls_files.files_in(tls_files.lineage(self._layout, name)))

    def _is_good_for(self, name: str, hosts: Iterable[str]) -> bool:
        facts = self._facts(name)
        return facts is not None and not _is_late(facts, self._clock(), 3) and all(facts.covers(host) for host in hosts)

    def _is_due(self, name: str) -> bool:
        """Whether it ends soon, and any name needs it still."""
        facts = self._facts(name)
        return facts is not None and _is_late(facts, self._clock(), 3) and bool(self._needing(name))

    def _renew(self, name: str) -> Renewal:
        try:
            self._book.read(name).check(self._clock())
            self._obtain(name, self._worth_asking(name, self._needing(name), SILENT), SILENT)
            self._main() if name == PANEL else self._sites.refresh(DeploymentName(name), reload=True)
        except HostError as error:
            return Renewal(name, error.message)
        return Renewal(name)

    def _needing(self, name: str) -> list[HostName]:
        """The names that a certificate of the authority's is for."""
        return [self._platform.panel] if name == PANEL else self._wanted(DeploymentName(name))

    def _give_way(self) -> None:
        """Have nginx show another certificate where an uploaded one ends, when there is another. Where that can not be
        now, the next look does it."""
        for name in self._sites.names():
            if self._layout.tls(name).is_dir():
                with suppress(HostError):
                    self._sites.refresh(name)

    # --- uploaded ----------------------------------------------------------------------------------------------

    def _fitting(self, chain_pem: str, key: PrivateKey) -> CertificateFacts:
        """What the certificate says. Raises BadValue when the parts do not belong together."""
        if len(chain_pem) > LARGEST_PEM or len(key.pem) > LARGEST_PEM:
            raise BadValue("That is too large for a certificate.", hint="Give the certificate and its chain in PEM.")
        chain = x509.certificates(chain_pem.encode())
        if len(chain) > MOST_CERTIFICATES:
            raise BadValue(f"There are {len(chain)} certificates in it.", hint="Leave out those that it does not need.")
        facts = x509.facts_of(chain[0])
        if not facts.not_before <= self._clock() < facts.not_after:
            raise BadValue("The certificate is not valid now.", hint="Look at its dates, and at the clock here.")
        _belong_together(chain_pem, key)
        return facts

    def _lay(self, folder: Path, chain_pem: str, key: PrivateKey) -> None:
        files.private_folder(folder.parent)
        files.private_folder(folder)
        files.write_whole(folder / "privkey.pem", key.pem.encode())
        files.write_whole(folder / "fullchain.pem", chain_pem.encode())

    # --- showing -----------------------------------------------------------------------------------------------

    def _on_the_wire(self, hosts: tuple[HostName, ...]) -> tuple[str, ...]:
        try:
            return self._ask(Question(wire=hosts)).wire
        except HostError:
            return ("",) * len(hosts)

    def _shown(self, host: HostName, here: list[tls_files.Candidate], wire: str) -> HostCertificate:
        source, _, facts = tls_files.choose(self._layout, here, host, self._clock())
        said = facts or CertificateFacts((), "nobody", 0.0, 0.0, "")
        covered = said.covers(host) and said.not_after > self._clock()
        return HostCertificate(host, source, said, covered, wire)


def write_main(layout: ServerLayout, platform: Platform) -> None:
    """nginx's main file of the platform, anew: the panel's certificate may be another one now."""
    flavour = nginx_control.flavour()
    files, ground = tls_files.of_panel(layout, platform.panel), Ground(layout, flavour)
    text = nginx_main.text(platform, files, ground, defaults=not platform.shares_nginx)
    nginx_main.install(text, NginxControl(layout), layout.nginx_sites, nginx_main.file_of(platform))


def _is_public(host: HostName) -> bool:
    try:
        return bool(Domain(host))
    except BadValue:
        return False


def _is_late(facts: CertificateFacts, now: float, part: int) -> bool:
    """Whether less than one of so many parts of its life is left."""
    return facts.not_after - now < (facts.not_after - facts.not_before) / part


def _leads_away(found: NameCheck) -> CertificateRefused:
    hint = f"Set this record where the domain is managed: {found.record}" if found.record else ""
    return CertificateRefused(found.problem, hint=hint, facts={"reason": "names", "host": found.host})


def _belong_together(chain_pem: str, key: PrivateKey) -> None:
    """As OpenSSL sees it, which is who will serve them. Files, because it takes nothing else; in memory."""
    with tempfile.TemporaryDirectory(prefix="webops-tls-") as folder:
        chain_file, key_file = Path(folder) / "chain.pem", Path(folder) / "key.pem"
        chain_file.write_text(chain_pem)
        handle = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(key.pem)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain_file, key_file, password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", "") or str(error)
            raise BadValue(
                f"The certificate and the key can not be used together: {str(reason).lower().replace('_', ' ')[:100]}.",
                hint="Give the key of this certificate, in PEM and without a password.",
            ) from None


def _no_password() -> str:
    raise ValueError("the key has a password")
