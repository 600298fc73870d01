"""Sites on loopback ports of this machine: the `Sites` port without nginx."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace

from webops_host import codec, files
from webops_host.embedded.processes import EmbeddedProcesses
from webops_host.embedded.proxy import Upstream
from webops_host.embedded.web import Route, Shelf, WebServer
from webops_host.errors import BadValue, HostError, NotFound
from webops_host.layout import Layout
from webops_host.names import DeploymentName
from webops_host.values import Area, Mount, Site, SiteAddress, UnitRef

log = logging.getLogger("webops.host")

SITE_PORTS = 2000  # how many ports are tried for sites
BODY_LIMIT = 100 << 20
PANEL_COOKIES = ("webops_session", "webops_csrf")


@dataclass(frozen=True, slots=True)
class Place:
    """The port that belongs to a deployment, and what is served there now."""

    port: int
    site: Site | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """All places, as they are kept on disk."""

    by_name: dict[DeploymentName, Place]


class EmbeddedSites:
    """Satisfies `ports.Sites`. Ports are given from `first_port` up and kept for good."""

    def __init__(
        self,
        layout: Layout,
        processes: EmbeddedProcesses,
        *,
        first_port: int = 8100,
        panel_cookies: Iterable[str] = PANEL_COOKIES,
        body_limit: int = BODY_LIMIT,
    ) -> None:
        self._layout, self._processes, self._first_port = layout, processes, first_port
        self._panel_cookies, self._body_limit = frozenset(panel_cookies), body_limit
        self._file = layout.state / "sites.json"
        self._lock = threading.RLock()
        self._web = WebServer()
        self._places: dict[DeploymentName, Place] = {}

    # --- the port ----------------------------------------------------------------------------------------------

    def publish(self, site: Site) -> SiteAddress:
        with self._lock:
            route = self._route(site)
            place = self._reserve(site.name)
            if not self._web.listens(site.name):
                self._listen(site.name, place.port)
            if site.unit is not None:
                self._processes.prove(site.unit)
            if place.site != site:
                self._keep(site.name, replace(place, site=site))
            self._web.route(site.name, route)
            return SiteAddress(_url(place.port), site.release)

    def unpublish(self, name: DeploymentName) -> None:
        with self._lock:
            place = self._places.get(name)
            if place is not None and place.site is not None:
                self._keep(name, replace(place, site=None))
            self._web.route(name, None)

    def address(self, name: DeploymentName) -> SiteAddress | None:
        place = self._places.get(name)
        if place is None or place.site is None:
            return None
        return SiteAddress(_url(place.port), place.site.release)

    def reserve(self, name: DeploymentName) -> str:
        with self._lock:
            return _url(self._reserve(name).port)

    def drain(self, ref: UnitRef, timeout: float) -> bool:
        return self._web.drained(ref, timeout)

    # --- for the other parts of the host -----------------------------------------------------------------------

    def served(self, name: DeploymentName) -> Site | None:
        place = self._places.get(name)
        return None if place is None else place.site

    def forget(self, name: DeploymentName) -> None:
        """Close the port and give it back."""
        with self._lock:
            self._web.unlisten(name)
            if self._places.pop(name, None) is not None:
                self._save()

    def restore(self) -> None:
        """After a start of the host: answer again where it answered before."""
        self._web.start()
        self._places = self._read()
        for name, place in self._places.items():
            try:
                self._web.route(name, None if place.site is None else self._route(place.site))
                self._listen(name, place.port)
            except HostError as error:
                log.warning("the site of %s did not come back: %s", name, error.message)

    def close(self) -> None:
        self._web.close()

    # --- parts -------------------------------------------------------------------------------------------------

    def _route(self, site: Site) -> Route:
        """Raises NotFound, BadValue for what can not be served."""
        if site.unit is None:
            public = self._layout.public(site.name, site.release)
            if not public.is_dir():
                raise NotFound(
                    f"Release {site.release} of {site.name} has no published files.", hint="Deploy it again."
                )
            return Route(public=public, fallback=site.fallback)
        ref = site.unit
        if self._processes.installed(ref) is None:
            raise NotFound(f"There is no unit {ref}.", hint="Install and start it first.")
        door = self._processes.door(ref)
        if door is None:
            raise BadValue(f"{ref} serves no requests.", hint="Publish the web process.")
        upstream = Upstream(door, lambda: self._processes.may_come_back(ref), self._panel_cookies, self._body_limit)
        return Route(shelves=tuple(self._shelf(site, mount) for mount in site.mounts), unit=ref, upstream=upstream)

    def _shelf(self, site: Site, mount: Mount) -> Shelf:
        roots = {
            Area.PUBLIC: self._layout.public(site.name, site.release),
            Area.STATIC: self._layout.static(site.name, site.release),
            Area.MEDIA: self._layout.media(site.name),
        }
        return Shelf(mount.prefix, roots[mount.area], media=mount.area is Area.MEDIA)

    def _reserve(self, name: DeploymentName) -> Place:
        found = self._places.get(name)
        if found is not None:
            return found
        taken = {place.port for place in self._places.values()}
        for port in range(self._first_port, self._first_port + SITE_PORTS):
            if port in taken:
                continue
            try:
                self._web.listen(name, port)
            except OSError:
                continue
            self._keep(name, Place(port))
            return self._places[name]
        raise HostError(
            "No loopback port is free for another site.", hint="Remove a deployment, or change --port-base."
        )

    def _listen(self, name: DeploymentName, port: int) -> None:
        try:
            self._web.listen(name, port)
        except OSError as error:
            raise HostError(
                f"Port {port}, which belongs to {name}, is taken by another program.",
                hint="End that program and deploy again.",
                facts={"port": port},
            ) from error

    def _keep(self, name: DeploymentName, place: Place) -> None:
        self._places = {**self._places, name: place}
        self._save()

    def _save(self) -> None:
        files.write_whole(self._file, json.dumps(codec.dump(Places(self._places))).encode())

    def _read(self) -> dict[DeploymentName, Place]:
        if not self._file.exists():
            return {}
        return dict(codec.load(Places, json.loads(self._file.read_bytes())).by_name)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"
