"""Typed directives to the text of an nginx configuration, through one function that can emit no foreign text.

A word is a value: literal text, a number, a variable, a phrase of both, or a pattern of ours. Whatever is in a literal,
nginx reads back exactly that word: it is quoted where needed, and what no quoting can carry is refused (control
characters, and `$`, which nginx has no way to write literally). Names of directives come from a closed list without
`rewrite`, `if` and `set`: what those do, `return`, `try_files`, `map` and `error_page` do without their surprises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from webops_host.errors import BadValue

DIRECTIVES = frozenset(
    {
        "absolute_redirect", "access_log", "add_header", "alias", "allow", "auth_basic", "auth_basic_user_file",
        "brotli", "brotli_static", "brotli_types", "charset", "charset_types", "client_body_buffer_size",
        "client_body_timeout", "client_header_timeout", "client_max_body_size", "default_type", "deny",
        "disable_symlinks", "error_page", "etag", "gzip", "gzip_comp_level", "gzip_min_length", "gzip_static",
        "gzip_types", "gzip_vary", "http2", "include", "index", "internal", "keepalive", "keepalive_time",
        "keepalive_timeout", "large_client_header_buffers", "limit_conn", "limit_conn_zone", "listen", "location",
        "log_format", "log_not_found", "map", "map_hash_bucket_size", "map_hash_max_size", "merge_slashes",
        "proxy_buffering", "proxy_connect_timeout", "proxy_http_version", "proxy_max_temp_file_size",
        "proxy_next_upstream", "proxy_pass", "proxy_read_timeout", "proxy_request_buffering", "proxy_send_timeout",
        "proxy_set_header", "real_ip_header", "reset_timedout_connection", "return", "root", "satisfy", "send_timeout",
        "sendfile", "server", "server_name", "server_names_hash_bucket_size", "server_names_hash_max_size",
        "server_tokens", "set_real_ip_from", "ssl_certificate", "ssl_certificate_key", "ssl_ciphers", "ssl_ecdh_curve",
        "ssl_prefer_server_ciphers", "ssl_protocols", "ssl_reject_handshake", "ssl_session_cache",
        "ssl_session_tickets", "ssl_session_timeout", "tcp_nopush", "try_files", "types", "underscores_in_headers",
        "upstream", "variables_hash_bucket_size", "variables_hash_max_size",
    }
)  # fmt: skip

LONGEST = 3900  # bytes as written; nginx reads a word into a buffer of 4,096
PLAIN = re.compile(r"[A-Za-z0-9_./:@=,+~^*-]+", re.ASCII)
NAME = re.compile(r"[a-z][a-z0-9_]{0,119}", re.ASCII)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of nginx, by its name without the `$`."""

    name: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise BadValue(f"{self.name!r:.80} is not a variable.")


@dataclass(frozen=True, slots=True)
class Phrase:
    """Literal text and variables, one after the other, as one word."""

    parts: tuple[str | Variable, ...]

    def __init__(self, *parts: str | Variable) -> None:
        object.__setattr__(self, "parts", parts)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression, as `location` and `map` take one. A `$` in it is the end of the text."""

    text: str


Word = str | int | Variable | Phrase | Pattern


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a `map` or `types` block: no directive, only words."""

    words: tuple[Word, ...]

    def __init__(self, *words: Word) -> None:
        object.__setattr__(self, "words", words)


@dataclass(frozen=True, slots=True)
class Directive:
    """A directive with its words and, when it is a block, what is inside."""

    name: str
    words: tuple[Word, ...] = ()
    body: tuple[Directive | Entry, ...] | None = None

    def __post_init__(self) -> None:
        if self.name not in DIRECTIVES:
            raise BadValue(f"{self.name!r:.80} is not a directive that is written here.")


Lines = Iterable[Directive | Entry]


def line(name: str, *words: Word) -> Directive:
    return Directive(name, words)


def block(name: str, *words: Word, body: Lines) -> Directive:
    return Directive(name, words, tuple(body))


def render(lines: Lines) -> str:
    """The text of a file."""
    return "".join(f"{row}\n" for row in ("# Written by WebOps. Changes made here are lost.", *_rows(lines, "")))


def regex_of(text: str) -> str:
    """A regular expression that matches exactly this text. Raises BadValue for text that no word can hold."""
    _check(text)
    return re.sub(r"([^A-Za-z0-9_/])", r"\\\1", text) if text.isascii() else _escape_wide(text)


def _escape_wide(text: str) -> str:
    """Beyond ASCII nginx compares bytes, and those need no escape."""
    return "".join(regex_of(letter) if letter.isascii() else letter for letter in text)


def _rows(lines: Lines, indent: str) -> Iterator[str]:
    for item in lines:
        words = item.words if isinstance(item, Entry) else (item.name, *item.words)
        start = indent + " ".join(_word(word) for word in words)
        if isinstance(item, Entry) or item.body is None:
            yield f"{start};"
            continue
        yield f"{start} {{"
        yield from _rows(item.body, indent + "    ")
        yield f"{indent}}}"


def _word(word: Word) -> str:
    """The one place where a value becomes text of a configuration."""
    text = _written(word)
    if len(text.encode()) > LONGEST:
        raise BadValue(f"{text[:40]!r}… is too long for a word of a configuration.")
    return text


def _written(word: Word) -> str:
    match word:
        case bool():
            raise BadValue(f"{word!r} is not a word.")
        case int():
            return str(int(word))
        case Variable(name):
            return f"${name}"
        case Phrase(parts):
            inside = "".join(f"${{{p.name}}}" if isinstance(p, Variable) else _literal(p) for p in parts)
            return f'"{inside}"'
        case Pattern(text):
            return f'"{_quoted(text)}"'
        case str():
            checked = _literal(word)
            return checked if PLAIN.fullmatch(word) else f'"{checked}"'
    raise BadValue(f"{word!r:.80} is not a word.")


def _literal(text: str) -> str:
    if "$" in text:
        raise BadValue(f"{text!r:.80} holds a “$”, which nginx can not take literally.")
    return _quoted(text)


def _quoted(text: str) -> str:
    _check(text)
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _check(text: str) -> None:
    found = CONTROL.search(text)
    if found is not None:
        raise BadValue(f"{text!r:.80} holds a control character.", hint="Use one line of printable text.")
