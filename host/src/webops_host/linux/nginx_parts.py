"""What all server blocks of the platform have in common, as directives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from webops_host.linux.layout import ServerLayout
from webops_host.linux.nginx_text import Directive, Pattern, Phrase, Variable, Word, block, line

# Mozilla's guideline 5.7, “intermediate”, without the ciphers that need a group of their own.
PROTOCOLS = ("TLSv1.2", "TLSv1.3")
CIPHERS = ":".join(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    )
)  # fmt: skip
CURVES = "X25519:prime256v1:secp384r1"
HSTS_SECONDS = 63072000
TEXTUAL = (
    "application/atom+xml", "application/javascript", "application/json", "application/ld+json",
    "application/manifest+json", "application/rss+xml", "application/wasm", "application/xhtml+xml", "application/xml",
    "font/otf", "font/ttf", "image/svg+xml", "image/x-icon", "text/css", "text/csv", "text/javascript",
    "text/markdown", "text/plain", "text/xml",
)  # fmt: skip
"""Types that are worth compressing; text/html always is."""
WITH_CHARSET = (
    "application/javascript", "application/json", "application/manifest+json", "application/xml", "image/svg+xml",
    "text/css", "text/csv", "text/javascript", "text/markdown", "text/plain", "text/xml",
)  # fmt: skip
NOWHERE = "/.webops/none"
"""A file that no tree has: dot files are never published."""
PAGES = {
    403: ("Forbidden", "This site does not answer from where you are."),
    404: ("Not Found", "There is no page at this address."),
    413: ("Content Too Large", "The upload is too large."),
    502: ("Bad Gateway", "The site is not running."),
    503: ("Service Unavailable", "Too many visitors wait for this site at once."),
    504: ("Gateway Timeout", "The site did not answer in time."),
}
CLOSED = {
    "unpublished": ("Service Unavailable", "This site is not published now."),
    "maintenance": ("Back soon", "This site is being worked on. Please try again in a little while."),
}
AGAIN: dict[int | str, int] = {502: 5, 503: 5, 504: 5, "unpublished": 60, "maintenance": 120}
"""Seconds after which a visitor may ask again."""
KEPT, KEPT_AGE, KEPT_IDLE = 16, "100ms", "100ms"
"""How many connections to an app each process of nginx keeps; how old one may be at the end of a request to be kept for
the next, and for how long. So an old release gets none later than 0.2 s after the switch (docs/decisions/0009)."""
AT_ONCE, AT_ONCE_ZONE = 1024, "webops_apps"
"""How many requests to one app may be under way. Each takes two connections, and `setup.sh` gives a process of nginx
4,096: an app that hangs leaves the other sites room."""
HIDDEN = Pattern(r"/\.(?!well-known/)")
"""Paths of files that begin with a dot, but for those that the web agreed on (RFC 8615)."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """What the nginx of this server can do and where it listens. `known` are file extensions it has a type for."""

    version: tuple[int, ...] = (1, 22, 1)
    brotli: bool = False
    addresses: tuple[str, ...] = ("", "[::]:")
    http: int = 80
    https: int = 443
    log: Path = Path("/var/log/nginx/webops.log")
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """A certificate with its chain, and its key."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Ground:
    """Where and on what a configuration is written."""

    layout: ServerLayout = field(default_factory=ServerLayout)
    flavour: Flavour = Flavour()


def literal(path: Path) -> str:
    return str(path)


def listens(flavour: Flavour, port: int, *flags: str) -> Iterator[Directive]:
    for address in flavour.addresses:
        yield line("listen", f"{address}{port}", *flags)


def plain_listens(flavour: Flavour, *flags: str) -> Iterator[Directive]:
    yield from listens(flavour, flavour.http, *flags)


def tls_listens(flavour: Flavour, *flags: str) -> Iterator[Directive]:
    """HTTP/2 became a directive of its own in 1.25.1."""
    modern = flavour.version >= (1, 25, 1)
    yield from listens(flavour, flavour.https, "ssl", *(() if modern else ("http2",)), *flags)
    if modern:
        yield line("http2", "on")


def tls(files: TlsFiles | None) -> Iterator[Directive]:
    """Each name's own block says it again: what the default block says would else hold for all of them."""
    if files is not None:
        yield line("ssl_certificate", literal(files.chain))
        yield line("ssl_certificate_key", literal(files.key))
    yield line("ssl_protocols", *PROTOCOLS)
    yield line("ssl_ciphers", CIPHERS)
    yield line("ssl_ecdh_curve", CURVES)
    yield line("ssl_prefer_server_ciphers", "off")
    yield line("ssl_session_cache", "shared:webops:10m")
    yield line("ssl_session_timeout", "1d")
    yield line("ssl_session_tickets", "off")


def manners(flavour: Flavour) -> Iterator[Directive]:
    """Limits and habits towards visitors, the same for every block."""
    yield line("server_tokens", "off")
    yield line("access_log", literal(flavour.log), "webops", "buffer=64k", "flush=5s")
    yield line("log_not_found", "off")
    yield line("absolute_redirect", "off")
    yield line("merge_slashes", "on")
    yield line("underscores_in_headers", "off")
    yield line("client_header_timeout", "30s")
    yield line("client_body_timeout", "60s")
    yield line("send_timeout", "60s")
    yield line("keepalive_timeout", "75s")
    yield line("reset_timedout_connection", "on")
    yield line("large_client_header_buffers", 4, "16k")


def compression(flavour: Flavour) -> Iterator[Directive]:
    yield line("gzip", "on")
    yield line("gzip_comp_level", 4)
    yield line("gzip_min_length", 512)
    yield line("gzip_vary", "on")
    yield line("gzip_types", *TEXTUAL)
    if flavour.brotli:
        yield line("brotli", "on")
        yield line("brotli_types", *TEXTUAL)


def from_disk(flavour: Flavour, beyond: Path) -> Iterator[Directive]:
    """How files are sent. No link below `beyond` is followed, whoever made it and wherever it leads."""
    yield line("sendfile", "on")
    yield line("tcp_nopush", "on")
    yield line("etag", "on")
    yield line("gzip_static", "on")
    if flavour.brotli:
        yield line("brotli_static", "on")
    yield line("charset", "utf-8")
    yield line("charset_types", *WITH_CHARSET)
    yield line("disable_symlinks", "on", f"from={literal(beyond)}")


def challenge(ground: Ground, *inside: Directive) -> Directive:
    """The path that a certificate authority asks for (RFC 8555, 8.3), before any redirect, wall or app."""
    root = line("root", literal(ground.layout.challenges))
    lines = (root, line("default_type", "text/plain"), line("try_files", Variable("uri"), "=404"), *inside)
    return block("location", "^~", "/.well-known/acme-challenge/", body=lines)


def can_keep(flavour: Flavour) -> bool:
    """Since 1.19.10 a kept connection ends after a time also when it is never idle, which the switch needs."""
    return flavour.version >= (1, 19, 10)


def upstream(name: str, socket: Path) -> Directive:
    """An app to which connections are kept. The link is followed whenever one is made."""
    body = (
        line("server", f"unix:{socket}"),
        line("keepalive", KEPT),
        line("keepalive_time", KEPT_AGE),
        line("keepalive_timeout", KEPT_IDLE),
    )
    return block("upstream", name, body=body)


def proxied(*, kept: bool = False) -> Iterator[Directive]:
    """What an app is told, and how long it may take. What a visitor claims about the way here is replaced or dropped.

    Unless `kept`, an app's server is asked to close its connection after each answer.
    """
    told: tuple[tuple[str, Word], ...] = (
        ("Host", Variable("host")),
        ("Connection", Variable("webops_kept" if kept else "webops_connection")),
        ("Upgrade", Variable("http_upgrade")),
        ("X-Forwarded-For", Variable("remote_addr")),
        ("X-Forwarded-Proto", Variable("scheme")),
        ("X-Forwarded-Host", Variable("host")),
        ("X-Forwarded-Port", Variable("server_port")),
        ("X-Real-IP", Variable("remote_addr")),
        ("Forwarded", ""),
        ("X-Forwarded-Server", ""),
        ("X-Forwarded-Prefix", ""),
        ("X-Forwarded-Ssl", ""),
        ("Proxy", ""),
    )
    yield line("proxy_http_version", "1.1")
    for name, value in told:
        yield line("proxy_set_header", name, value)
    # an app that ends a kept connection is asked again over a new one, unless it may have changed something
    yield line("proxy_next_upstream", "error" if kept else "off")
    yield line("proxy_connect_timeout", "10s")
    yield line("proxy_read_timeout", "300s")
    yield line("proxy_send_timeout", "60s")
    yield line("proxy_max_temp_file_size", "64m")


def lanes(app: str, *inside: Directive) -> Iterator[Directive]:
    """The two ways to an app: through buffers, so that a slow visitor does not hold a worker, and straight through
    for those who ask for a stream of events. Any answer goes straight through with `X-Accel-Buffering: no`."""
    to_app = line("proxy_pass", f"http://{app}")
    yield block("location", "@webops_app", body=(to_app, *inside))
    yield block("location", "@webops_stream", body=(to_app, line("proxy_buffering", "off"), *inside))


def to_lane(*files: Word) -> Directive:
    """A file that is there, else the app."""
    return line("try_files", *(files or (NOWHERE,)), Phrase("@", Variable("webops_lane")))


def our_pages(*statuses: int, inside: tuple[Directive, ...] = ()) -> Iterator[Directive]:
    """Pages for what only the web server can say. One place shows them all: the status stays the one it was called
    for, and each block that nginx need not hold a thousand times is memory for something else."""
    yield line("error_page", *statuses, "@webops_page")
    yield _page("webops_page", Variable("webops_again"), inside)


def closed(page: str) -> Iterator[Directive]:
    """Nothing but this page, for every address."""
    yield line("error_page", 503, "@webops_page")
    yield _page(f"webops_page_{page}", AGAIN[page], ())
    yield block("location", "/", body=[line("return", 503)])


def _page(text: str, again: Word, inside: tuple[Directive, ...]) -> Directive:
    body = (
        line("default_type", "text/html"),
        line("charset", "utf-8"),
        line("add_header", "Cache-Control", "no-store", "always"),
        line("add_header", "Retry-After", again, "always"),
        *inside,
        line("return", 200, Variable(text)),
    )
    return block("location", "@webops_page", body=body)
