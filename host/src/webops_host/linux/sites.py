"""Sites behind nginx: the `Sites` port of a server.

What a deployment's file in nginx's configuration says changes seldom; then it is tested beside the live ones, swapped,
and taken back if nginx does not take it. Which release answers is said by two links, and that is all that a release
changes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from webops_host import codec, files
from webops_host.errors import BadValue, HostError, NotFound
from webops_host.linux import (
    connections,
    nginx_control,
    nginx_site,
    site_links,
    site_rules,
    site_trees,
    tls_files,
    units,
)
from webops_host.linux.layout import ServerLayout
from webops_host.linux.nginx_control import Nginx, NginxControl
from webops_host.linux.nginx_parts import Flavour, Ground, TlsFiles
from webops_host.linux.nginx_site import Front
from webops_host.linux.platform import Platform
from webops_host.linux.site_rules import Rules
from webops_host.linux.walls import Walls
from webops_host.names import DeploymentName, HostName
from webops_host.values import Site, SiteAddress, UnitRef

QUIET = 0.05  # seconds between the two looks that must both find nobody
KEPT_LONGEST = 0.4  # seconds; nginx keeps a connection to an app for 0.2 at most


class Units(Protocol):
    """What sites ask of processes."""

    def installed(self, name: DeploymentName) -> tuple[UnitRef, ...]: ...

    def serves(self, ref: UnitRef) -> bool: ...


@dataclass(frozen=True, slots=True)
class Record:
    """What was asked for last, as it is kept on disk; not `up` when it was unpublished since."""

    site: Site | None = None
    rules: Rules = field(default_factory=Rules)
    up: bool = True

    @property
    def shown(self) -> Site | None:
        return self.site if self.up else None


class LinuxSites:
    """Satisfies `ports.Sites`. `flavour` is what nginx can do; asked of it when not given."""

    def __init__(
        self,
        layout: ServerLayout,
        platform: Platform,
        units: Units,
        *,
        nginx: Nginx | None = None,
        flavour: Flavour | None = None,
        sockets: Path = connections.TABLE,
    ) -> None:
        self._layout, self._platform, self._units = layout, platform, units
        self._nginx = nginx or NginxControl(layout)
        self._flavour, self._sockets = flavour, sockets
        self._walls = Walls(layout)
        self._leaving: list[Callable[[DeploymentName], None]] = []
        self._lock = threading.Lock()

    # --- the port ----------------------------------------------------------------------------------------------

    def publish(self, site: Site) -> SiteAddress:
        self._check(site)
        with self._locked():
            before = self._record(site.name)
            record = Record(site, self._rules(site))
            self._walls.have(site.name, site.options.wall)
            with self._led_early(before.shown, site):
                self._have_text(site.name, record)
            if record != before:
                self._keep(site.name, record)
            self._lead(site)
        self._let_go(before.shown, site)
        return SiteAddress(self.reserve(site.name), site.release)

    def unpublish(self, name: DeploymentName) -> None:
        with self._locked():
            before = self._record(name)
            if before.shown is not None:
                after = replace(before, up=False)
                self._have_text(name, after)
                self._keep(name, after)
            for link in (self._layout.live(name), self._layout.current(name)):
                site_links.remove(link)

    def address(self, name: DeploymentName) -> SiteAddress | None:
        site = self._record(name).shown
        if site is None:
            return None
        link = self._layout.current(name) if site.unit is None else self._layout.live(name)
        release = site_links.release_of(link)
        return None if release is None else SiteAddress(self.reserve(name), release)

    def reserve(self, name: DeploymentName) -> str:
        return f"https://{self._own(name)}"

    def drain(self, ref: UnitRef, timeout: float) -> bool:
        """Two looks must find nobody: a request that was on its way during the first is seen by the second."""
        socket, deadline, quiet = self._layout.socket(ref), time.monotonic() + timeout, 0
        while True:
            quiet = 0 if connections.count(socket, self._sockets) else quiet + 1
            if quiet == 2:
                return True
            if time.monotonic() + QUIET > deadline:
                return False
            time.sleep(QUIET)

    # --- for the other parts of the host -----------------------------------------------------------------------

    def served(self, name: DeploymentName) -> Site | None:
        """What was asked for, of the release that answers now."""
        site, address = self._record(name).shown, self.address(name)
        return site if site is None or address is None else replace(site, release=address.release)

    def notices(self, name: DeploymentName) -> tuple[str, ...]:
        """What the published tree asked for and can not have."""
        return self._record(name).rules.notices

    def hosts(self, name: DeploymentName) -> tuple[HostName, ...]:
        """All names that the deployment answers to, its own under the platform first."""
        return self._front(name, self._record(name)).hosts

    def names(self) -> tuple[DeploymentName, ...]:
        """Deployments with a file here."""
        return tuple(DeploymentName(path.stem) for path in sorted(self._layout.nginx_sites.glob("*.conf")))

    def refresh(self, name: DeploymentName, *, reload: bool = False, first: Callable[[], None] | None = None) -> None:
        """Write the file anew, as after a change of certificates. `reload` for those whose content alone changed;
        `first` is done when nobody else changes anything."""
        with self._locked():
            if first is not None:
                first()
            changed = self._layout.nginx_site(name).exists() and self._have_text(name, self._record(name))
            if reload and not changed:
                self._nginx.reload()

    def texts(self) -> dict[Path, str]:
        """What the file of each deployment would say if it were written now, as by another version. One whose record
        can not be read, because a later version wrote it, is left out."""
        found = {}
        for name in self.names():
            with suppress(BadValue):
                found[self._layout.nginx_site(name)] = self._text(name, self._record(name))
        return found

    def forget(self, name: DeploymentName) -> None:
        """Remove all that is here of a deployment that goes."""
        with self._locked():
            for link in (self._layout.live(name), self._layout.current(name)):
                site_links.remove(link)
            self._swap({name: None})
            self._walls.have(name, ())
            self._layout.site_record(name).unlink(missing_ok=True)
            shutil.rmtree(self._layout.tls(name), ignore_errors=True)
        for act in self._leaving:
            act(name)

    def when_forgotten(self, act: Callable[[DeploymentName], None]) -> None:
        """Have this done, too, for a deployment that goes."""
        self._leaving.append(act)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One change at a time, in this process and in those of timers."""
        with self._lock:
            place = self._layout.state / "sites.lock"
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with place.open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._have_read()
                yield

    def _have_read(self) -> None:
        """nginx reads what a daemon wrote that ended before nginx was told."""
        if self._unread.exists():
            self._nginx.reload()
            self._unread.unlink()

    @property
    def _unread(self) -> Path:
        """Is there while files of nginx's are new to it."""
        return self._layout.state / "nginx-unread"

    # --- what is asked for -------------------------------------------------------------------------------------

    def _check(self, site: Site) -> None:
        """Raises NotFound, BadValue for what can not be served."""
        if site.unit is None:
            with self._public(site) as folder:
                if folder is None:
                    raise NotFound(
                        f"Release {site.release} of {site.name} has no published files.", hint="Deploy it again."
                    )
        elif site.unit not in self._units.installed(site.name):
            raise NotFound(f"There is no unit {site.unit}.", hint="Install and start it first.")
        elif site.unit.name != site.name or not self._units.serves(site.unit):
            raise BadValue(f"{site.unit} serves no requests.", hint="Publish the web process.")
        for domain in site.domains:
            if domain in (self._platform.panel, self._platform.domain) or domain.endswith(f".{self._platform.domain}"):
                raise BadValue(f"{domain} is a name of the platform itself.", hint="Use a domain of your own.")

    def _rules(self, site: Site) -> Rules:
        if site.unit is not None:
            return Rules()
        with self._public(site) as folder:
            assert folder is not None
            return site_rules.parse(*(site_trees.content(folder, name) for name in ("_redirects", "_headers")))

    def _public(self, site: Site) -> AbstractContextManager[int | None]:
        return site_trees.opened(self._layout.home(site.name), self._layout.public(site.name, site.release))

    def _left(self, name: DeploymentName, hosts: Iterable[HostName]) -> dict[DeploymentName, Record]:
        """What unpublished deployments keep when these names are another's. Raises BadValue for a name that a published
        one answers to: nginx would take either, without a word."""
        wanted, found = set(hosts), {}
        for other in self.names():
            record = self._record(other) if other != name else Record()
            both = wanted & set(record.site.domains) if record.site is not None else set()
            if both and record.up:
                hint = "Take it from there first."
                raise BadValue(f"{min(both)} belongs to {other}.", hint=hint, facts={"holder": str(other)})
            if both and record.site is not None:
                kept = tuple(domain for domain in record.site.domains if domain not in wanted)
                found[other] = replace(record, site=replace(record.site, domains=kept))
        return found

    # --- the text ----------------------------------------------------------------------------------------------

    def _own(self, name: DeploymentName) -> HostName:
        return HostName(f"{name}.{self._platform.domain}")

    def _front(self, name: DeploymentName, record: Record) -> Front:
        unit = None if record.site is None else record.site.unit
        keeps = unit is not None and units.keeps(self._layout, unit)
        nameless = Front(name, self._own(name), {}, record.site, record.rules, closed=not record.up, keeps=keeps)
        tls: Mapping[HostName, TlsFiles] = tls_files.chosen(self._layout, name, nameless.hosts)
        return replace(nameless, tls=tls)

    def _text(self, name: DeploymentName, record: Record) -> str:
        if self._flavour is None:
            self._flavour = nginx_control.flavour()
        return nginx_site.text(self._front(name, record), Ground(self._layout, self._flavour))

    def _have_text(self, name: DeploymentName, record: Record) -> bool:
        """Whether anything had to change."""
        text = self._text(name, record)
        if _read(self._layout.nginx_site(name)) == text:
            return False
        left = self._left(name, record.site.domains) if record.site is not None else {}
        for other, kept in left.items():
            self._keep(other, kept)
        self._swap({name: text, **{other: self._text(other, kept) for other, kept in left.items()}})
        return True

    def _swap(self, wanted: Mapping[DeploymentName, str | None]) -> None:
        """Have these files say this (None: be absent), all or none, in what nginx answers from."""
        before = {name: _read(self._layout.nginx_site(name)) for name in wanted}
        changes = {name: text for name, text in wanted.items() if before[name] != text}
        if not changes:
            return
        with self._staged(changes) as staged:
            self._nginx.test(staged)
        self._unread.touch()
        try:
            self._write(self._layout.nginx_sites, changes)
            self._nginx.reload()
        except BaseException:
            self._write(self._layout.nginx_sites, {name: before[name] for name in changes})
            with suppress(HostError):
                self._nginx.reload()
            raise
        finally:
            self._unread.unlink(missing_ok=True)

    @contextmanager
    def _staged(self, changes: Mapping[DeploymentName, str | None]) -> Iterator[Path]:
        """A folder like the live one but for the changes. What stays is the same file under a second name."""
        live = self._layout.nginx_sites
        staged = live.with_name("staged")
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(mode=0o700, parents=True)
        try:
            for file in live.glob("*.conf"):
                os.link(file, staged / file.name)
            self._write(staged, changes)
            yield staged
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _write(self, folder: Path, texts: Mapping[DeploymentName, str | None]) -> None:
        for name, text in texts.items():
            file = folder / self._layout.nginx_site(name).name
            if text is None:
                file.unlink(missing_ok=True)
            else:
                files.write_whole(file, text.encode(), 0o644)

    # --- links and records -------------------------------------------------------------------------------------

    @contextmanager
    def _led_early(self, before: Site | None, site: Site) -> Iterator[None]:
        """The link that nginx does not look at yet leads there already when it does; back, when it never will."""
        was = None if before is None else before.unit is not None
        link = self._layout.current(site.name) if site.unit is None else self._layout.live(site.name)
        if was == (site.unit is not None):
            yield
            return
        target = site_links.target_of(link)
        self._lead_one(site)
        try:
            yield
        except BaseException:
            site_links.lead(link, target) if target else site_links.remove(link)
            raise

    def _let_go(self, before: Site | None, site: Site) -> None:
        """Wait until nginx has ended the connections that it kept to the release before: who comes after this
        reaches the new one. At most for as long as it keeps them; what still answers an older request goes on."""
        unit = None if before is None else before.unit
        if unit is not None and unit != site.unit and units.keeps(self._layout, unit):
            self.drain(unit, KEPT_LONGEST)

    def _lead_one(self, site: Site) -> None:
        """The link that says what answers."""
        if site.unit is None:
            site_links.lead(self._layout.current(site.name), f"releases/{site.release}")
        else:
            site_links.lead(self._layout.live(site.name), str(self._layout.socket(site.unit)))

    def _lead(self, site: Site) -> None:
        self._lead_one(site)
        if site.unit is None:
            site_links.remove(self._layout.live(site.name))
        else:
            site_links.lead(self._layout.current(site.name), f"releases/{site.release}")

    def _record(self, name: DeploymentName) -> Record:
        file = self._layout.site_record(name)
        try:
            kept = json.loads(file.read_bytes())
        except FileNotFoundError:
            return Record()
        return codec.load(Record, {**kept, "rules": site_rules.still_taken(kept["rules"])})

    def _keep(self, name: DeploymentName, record: Record) -> None:
        files.write_whole(self._layout.site_record(name), json.dumps(codec.dump(record)).encode())


def _read(file: Path) -> str | None:
    try:
        return file.read_text()
    except FileNotFoundError:
        return None
