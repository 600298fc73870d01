"""A deployment's site to the text of its file in nginx's configuration.

The text says where the links of the deployment are, and never where they lead: a release changes the links, and nginx
is neither tested nor reloaded for it. (Only a static tree with other `_redirects` or `_headers` changes the text.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from webops_host.linux import cloudflare, nginx_static
from webops_host.linux.nginx_parts import (
    AT_ONCE,
    AT_ONCE_ZONE,
    HIDDEN,
    Ground,
    TlsFiles,
    can_keep,
    challenge,
    closed,
    compression,
    from_disk,
    lanes,
    literal,
    manners,
    our_pages,
    plain_listens,
    proxied,
    tls,
    tls_listens,
    to_lane,
    upstream,
)
from webops_host.linux.nginx_text import Directive, Phrase, Variable, block, line, render
from webops_host.linux.site_rules import Rules
from webops_host.names import DeploymentName, HostName
from webops_host.site_options import Cdn, SiteOptions, WwwRule
from webops_host.values import Area, Mount, Site

REALM = "This site is private"
URI, REQUEST = Variable("uri"), Variable("request_uri")


@dataclass(frozen=True, slots=True)
class Front:
    """All that a deployment's file is made of. Without a site, or when `closed`, it says that nothing is published.
    `own` is the name under the platform's domain; `tls` has the certificate of every name. `keeps` tells that the app's
    server leaves it to nginx when a connection ends."""

    name: DeploymentName
    own: HostName
    tls: Mapping[HostName, TlsFiles]
    site: Site | None = None
    rules: Rules = field(default_factory=Rules)
    closed: bool = False
    keeps: bool = False

    @property
    def options(self) -> SiteOptions:
        return self.site.options if self.site is not None else SiteOptions()

    @property
    def hosts(self) -> tuple[HostName, ...]:
        domains = self.site.domains if self.site is not None else ()
        return tuple(dict.fromkeys((self.own, *domains)))


def text(front: Front, ground: Ground) -> str:
    """The file. The same for every release of the same site."""
    return render(_lines(front, ground))


def leads_to(host: HostName, front: Front) -> HostName | None:
    """The name that visitors of this one are redirected to, or None when it answers itself."""
    options = front.options
    if host == front.own:
        return None
    target = _by_www(host, options.www, front.hosts)
    if options.canonical is not None and options.canonical in front.hosts:
        target = options.canonical
    return None if target in (None, host) else target


def _by_www(host: HostName, rule: WwwRule, hosts: Iterable[HostName]) -> HostName | None:
    if rule is WwwRule.TO_BARE and host.startswith("www."):
        wanted = host.removeprefix("www.")
    elif rule is WwwRule.TO_WWW and not host.startswith("www."):
        wanted = f"www.{host}"
    else:
        return None
    return next((other for other in hosts if other == wanted), None)


def _lines(front: Front, ground: Ground) -> Iterator[Directive]:
    if _is_static(front):
        yield from nginx_static.maps(_prefix(front), front.rules)
    if _is_kept(front, ground):
        yield upstream(_prefix(front), ground.layout.live(front.name))
    yield _plain_server(front, ground)
    for files, leads, hosts in _groups(front):
        if leads is None:
            yield block("server", body=_site_server(front, ground, files, hosts))
        else:
            yield block("server", body=_leading_server(front, ground, files, hosts, leads))


def _is_static(front: Front) -> bool:
    return _is_open(front) and front.site is not None and front.site.unit is None


def _is_kept(front: Front, ground: Ground) -> bool:
    """Whether connections to the app are kept."""
    is_app = _is_open(front) and front.site is not None and front.site.unit is not None
    return is_app and front.keeps and can_keep(ground.flavour)


def _is_open(front: Front) -> bool:
    return not (front.closed or front.options.maintenance)


def _prefix(front: Front) -> str:
    """Begins the names of variables, and names the app. A deployment's name has no underscore, so no two become one."""
    return f"webops_{front.name.replace('-', '_')}"


def _groups(front: Front) -> list[tuple[TlsFiles, HostName | None, list[HostName]]]:
    """Names that can share a block: those with the same certificate that do the same."""
    found: dict[tuple[TlsFiles, HostName | None], list[HostName]] = {}
    for host in front.hosts:
        found.setdefault((front.tls[host], leads_to(host, front)), []).append(host)
    return [(files, leads, hosts) for (files, leads), hosts in found.items()]


# --- server blocks ---------------------------------------------------------------------------------------------


def _plain_server(front: Front, ground: Ground) -> Directive:
    secure = Phrase("https://", Variable("host"), _port(ground), REQUEST)
    body = [
        *plain_listens(ground.flavour),
        line("server_name", *front.hosts),
        *manners(ground.flavour),
        challenge(ground),
        block("location", "/", body=[line("return", 301, secure)]),
    ]
    return block("server", body=body)


def _port(ground: Ground) -> str:
    return "" if ground.flavour.https == 443 else f":{ground.flavour.https}"


def _secure_start(ground: Ground, files: TlsFiles, hosts: Iterable[HostName]) -> Iterator[Directive]:
    yield from tls_listens(ground.flavour)
    yield line("server_name", *hosts)
    yield from tls(files)
    yield from manners(ground.flavour)


def _leading_server(
    front: Front, ground: Ground, files: TlsFiles, hosts: Iterable[HostName], leads: HostName
) -> Iterator[Directive]:
    yield from _secure_start(ground, files, hosts)
    if front.options.hsts:
        yield line("add_header", "Strict-Transport-Security", Variable("webops_hsts"), "always")
    yield challenge(ground)
    yield block("location", "/", body=[line("return", 301, Phrase(f"https://{leads}{_port(ground)}", REQUEST))])


def _site_server(front: Front, ground: Ground, files: TlsFiles, hosts: Iterable[HostName]) -> Iterator[Directive]:
    options = front.options
    yield from _secure_start(ground, files, hosts)
    if options.cdn is Cdn.CLOUDFLARE:
        yield from (line("set_real_ip_from", network) for network in cloudflare.NETWORKS)
        yield line("real_ip_header", cloudflare.FIELD)
    yield challenge(ground, *_opened(options))
    if front.site is None or front.closed or options.maintenance:
        yield from _closed("maintenance" if front.site is not None and not front.closed else "unpublished", options)
        return
    yield from _walls(front, ground)
    yield from our_pages(403, 413, 502, 503, 504, inside=_opened(options))
    if front.site.unit is None:
        yield from _static_site(front, ground)
    else:
        yield from _app(front, front.site, ground)


def _closed(page: str, options: SiteOptions) -> Iterator[Directive]:
    """Nothing but a page that says why, for every address."""
    if options.hsts:
        yield line("add_header", "Strict-Transport-Security", Variable("webops_hsts"), "always")
    yield from closed(page)


def _walls(front: Front, ground: Ground) -> Iterator[Directive]:
    if front.options.allow:
        yield from (line("allow", network) for network in front.options.allow)
        yield line("deny", "all")
    if front.options.wall:
        yield line("auth_basic", REALM)
        yield line("auth_basic_user_file", literal(wall_file(front.name, ground)))


def wall_file(name: DeploymentName, ground: Ground) -> Path:
    """Who may pass the wall; nginx reads it for each request, so a change needs no reload."""
    return ground.layout.settings / "nginx/walls" / name


def _opened(options: SiteOptions) -> tuple[Directive, ...]:
    """For a place behind which one stands already, or that must be reached from outside."""
    allow = (line("allow", "all"),) if options.allow else ()
    return (*allow, line("auth_basic", "off")) if options.wall else allow


def _static_site(front: Front, ground: Ground) -> Iterator[Directive]:
    assert front.site is not None
    current = ground.layout.current(front.name)
    opened = _opened(front.options)
    yield line("root", literal(current / "public"))
    yield line("index", "index.html")
    yield from compression(ground.flavour)
    yield from from_disk(ground.flavour, current)
    yield from nginx_static.fields(_prefix(front), front.rules, hsts=front.options.hsts)
    yield from nginx_static.not_found(opened)
    yield from nginx_static.locations(_prefix(front), front.rules, fallback=front.site.fallback)


# --- apps ------------------------------------------------------------------------------------------------------


def _app(front: Front, site: Site, ground: Ground) -> Iterator[Directive]:
    options = front.options
    opened = _opened(options)
    yield line("root", literal(ground.layout.current(site.name) / "public"))
    yield line("limit_conn", AT_ONCE_ZONE, AT_ONCE)
    yield line("client_max_body_size", f"{options.body_limit_mib}m")
    yield line("client_body_buffer_size", "64k")
    yield from compression(ground.flavour)
    if options.hsts:
        yield line("add_header", "Strict-Transport-Security", Variable("webops_hsts"), "always")
    kept = _is_kept(front, ground)
    yield from proxied(kept=kept)
    if options.wall:
        yield line("proxy_set_header", "Authorization", "")  # the wall's password is nothing that the app should see
    yield from lanes(_prefix(front) if kept else f"unix:{ground.layout.live(site.name)}", *opened)
    mounts = {mount.prefix: mount for mount in reversed(site.mounts)}
    for prefix, mount in mounts.items():
        yield block("location", prefix, body=_shelf(front, mount, ground))
    yield block("location", "~", HIDDEN, body=[to_lane()])
    if "/" not in mounts:
        yield block("location", "/", body=[to_lane()])


def _shelf(front: Front, mount: Mount, ground: Ground) -> Iterator[Directive]:
    """Files under a prefix; whatever is no file there is asked of the app."""
    folder, beyond = _area(front.name, mount.area, ground)
    yield line("alias", f"{folder}/")
    yield from from_disk(ground.flavour, beyond)
    is_media = mount.area is Area.MEDIA
    yield line("add_header", "Cache-Control", "no-cache" if is_media else Variable("webops_cache"))
    if is_media:
        yield line("add_header", "X-Content-Type-Options", "nosniff")
    if front.options.hsts:
        yield line("add_header", "Strict-Transport-Security", Variable("webops_hsts"), "always")
    yield line("error_page", 403, "@webops_page")  # one of its own takes the place of all above
    yield line("error_page", 405, "=", "@webops_app")
    yield to_lane(URI)


def _area(name: DeploymentName, area: Area, ground: Ground) -> tuple[Path, Path]:
    """The folder, and the part of its path that belongs to root, below which no link is followed."""
    layout = ground.layout
    current = layout.current(name)
    match area:
        case Area.MEDIA:
            return layout.media(name), layout.home(name)
        case Area.STATIC:
            return current / "static", current
        case Area.PUBLIC:
            return current / "public", current
