"""What stands before all sites in nginx's configuration: shared variables, the answer to unknown names, the panel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from webops_host import files
from webops_host.lasting import DIGEST, FOREVER
from webops_host.linux.nginx_control import Nginx
from webops_host.linux.nginx_parts import (
    AGAIN,
    AT_ONCE_ZONE,
    CLOSED,
    HSTS_SECONDS,
    PAGES,
    Ground,
    TlsFiles,
    challenge,
    compression,
    literal,
    manners,
    our_pages,
    plain_listens,
    proxied,
    tls,
    tls_listens,
)
from webops_host.linux.nginx_text import Directive, Entry, Pattern, Phrase, Variable, block, line, render
from webops_host.linux.platform import Platform

TYPES = {
    "webmanifest": "application/manifest+json", "mjs": "text/javascript", "avif": "image/avif", "woff2": "font/woff2",
    "wasm": "application/wasm", "webp": "image/webp", "map": "application/json", "md": "text/markdown",
    "csv": "text/csv", "ttf": "font/ttf", "otf": "font/otf",
}  # fmt: skip
FILE = Path("/etc/nginx/conf.d/webops.conf")
LAST_FILE = Path("/etc/nginx/sites-enabled/zz-webops.conf")
"""Read after the sites that were there before us: the first server of a port gets the names that nobody has."""
PANEL_BODY = "1024m"  # a dump of a database may be brought in


def text(platform: Platform, panel: TlsFiles, ground: Ground, *, defaults: bool = True) -> str:
    """The file `/etc/nginx/conf.d/webops.conf`. Without `defaults` unknown names stay with whoever has them now, for a
    server on which nginx served others before."""
    return render(_lines(platform, panel, ground, defaults))


def file_of(platform: Platform) -> Path:
    return LAST_FILE if platform.shares_nginx else FILE


def install(written: str, nginx: Nginx, sites: Path, file: Path = FILE) -> None:
    """Have nginx answer from this text. What it refuses is taken back. The same text again: nothing but a reload."""
    before = file.read_text() if file.exists() else None
    if written != before:
        files.write_whole(file, written.encode(), 0o644)
    try:
        nginx.test(sites)
        nginx.reload()
    except BaseException:
        if before is None:
            file.unlink(missing_ok=True)
        elif written != before:
            files.write_whole(file, before.encode(), 0o644)
        raise


def _lines(platform: Platform, panel: TlsFiles, ground: Ground, defaults: bool) -> Iterator[Directive]:
    yield from _sizes()
    yield from _variables()
    missing = {kind: name for name, kind in TYPES.items() if name not in ground.flavour.known}
    if missing:
        yield block("types", body=[Entry(kind, name) for kind, name in missing.items()])
    yield line("log_format", "webops", *_log())
    yield line("limit_conn_zone", Variable("server_name"), f"zone={AT_ONCE_ZONE}:1m")
    if defaults:
        yield from _unknown_names(ground)
    yield _plain_panel(platform, ground)
    yield block("server", body=_panel(platform, panel, ground))
    yield line("include", f"{ground.layout.settings}/nginx/sites/*.conf")


def _sizes() -> Iterator[Directive]:
    """Room for a thousand sites with long names."""
    yield line("server_names_hash_bucket_size", 256)
    yield line("server_names_hash_max_size", 16384)
    yield line("variables_hash_bucket_size", 128)
    yield line("variables_hash_max_size", 16384)
    yield line("map_hash_bucket_size", 256)


def _variables() -> Iterator[Directive]:
    yield _map("http_upgrade", "webops_connection", Entry("default", "upgrade"), Entry("", "close"))
    yield _map("http_upgrade", "webops_kept", Entry("default", "upgrade"), Entry("", ""))
    yield _map(
        "http_accept",
        "webops_lane",
        Entry("default", "webops_app"),
        Entry(Pattern("~*text/event-stream"), "webops_stream"),
    )
    yield _map("uri", "webops_cache", Entry("default", "no-cache"), Entry(Pattern(f"~{DIGEST}"), FOREVER))
    hsts = Entry("", f"max-age={HSTS_SECONDS}")
    yield _map("upstream_http_strict_transport_security", "webops_hsts", Entry("default", ""), hsts)
    shown = (Entry(status, page(status, *words)) for status, words in PAGES.items())
    yield _map("status", "webops_page", Entry("default", ""), *shown)
    again = (Entry(status, AGAIN[status]) for status in PAGES if status in AGAIN)
    yield _map("status", "webops_again", Entry("default", ""), *again)
    for name, words in CLOSED.items():
        yield _map("host", f"webops_page_{name}", Entry("default", page(503, *words)))


def _map(source: str, made: str, *entries: Entry) -> Directive:
    return block("map", Variable(source), Variable(made), body=entries)


def page(status: int, title: str, words: str) -> str:
    """A small page that says what happened and names nothing of the inside."""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>body{{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:32rem;"
        f"padding:0 1rem;color-scheme:light dark}}</style><h1>{status} {title}</h1><p>{words}</p></html>"
    )


def _log() -> Iterator[Phrase]:
    """One line a request, fields that a visitor writes at the end and in quotes; nginx escapes what is in them."""
    yield Phrase(
        Variable("time_iso8601"), " ", Variable("host"), " ", Variable("remote_addr"), " ", Variable("status"), " ",
        Variable("body_bytes_sent"), " ", Variable("request_time"), ' "', Variable("request"), '" "',
        Variable("http_user_agent"), '"',
    )  # fmt: skip


def _unknown_names(ground: Ground) -> Iterator[Directive]:
    """A name that is nobody's gets no answer, and no certificate of somebody else's. The path of challenges is open
    all the same, so that a certificate can be had before its site is there."""
    plain = [
        *plain_listens(ground.flavour, "default_server"),
        line("server_name", ""),
        *manners(ground.flavour),
        challenge(ground),
        block("location", "/", body=[line("return", 444)]),
    ]
    yield block("server", body=plain)
    secure = [
        *tls_listens(ground.flavour, "default_server"),
        line("server_name", ""),
        *tls(None),
        *manners(ground.flavour),
        line("ssl_reject_handshake", "on"),
        line("return", 444),
    ]
    yield block("server", body=secure)


def _plain_panel(platform: Platform, ground: Ground) -> Directive:
    secure = Phrase("https://", Variable("host"), Variable("request_uri"))
    body = [
        *plain_listens(ground.flavour),
        line("server_name", platform.panel),
        *manners(ground.flavour),
        challenge(ground),
        block("location", "/", body=[line("return", 301, secure)]),
    ]
    return block("server", body=body)


def _panel(platform: Platform, files: TlsFiles, ground: Ground) -> Iterator[Directive]:
    """The panel streams its output, takes uploads as they come and sets its cookies on this name alone, so that no
    site ever sees them."""
    yield from tls_listens(ground.flavour)
    yield line("server_name", platform.panel)
    yield from tls(files)
    yield from manners(ground.flavour)
    yield line("client_max_body_size", PANEL_BODY)
    yield from compression(ground.flavour)
    yield line("add_header", "Strict-Transport-Security", Variable("webops_hsts"), "always")
    yield from proxied()
    yield line("proxy_buffering", "off")
    yield line("proxy_request_buffering", "off")
    yield from our_pages(502, 504)
    to_panel = line("proxy_pass", f"http://unix:{literal(ground.layout.run / 'panel.sock')}")
    yield block("location", "/", body=[to_panel])
