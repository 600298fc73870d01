"""A static site as directives: pages, folders, the page for what is not there, and what the tree asks for itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from webops_host.linux.nginx_parts import HIDDEN, NOWHERE
from webops_host.linux.nginx_text import (
    Directive,
    Entry,
    Pattern,
    Phrase,
    Variable,
    Word,
    block,
    line,
    regex_of,
)
from webops_host.linux.site_rules import HeaderRule, PathPattern, Redirect, Rules, encoded

URI = Variable("uri")
FIXED = frozenset({"cache-control", "strict-transport-security"})
"""Fields that a site has anyway; a rule of its own takes the place of ours."""


def maps(prefix: str, rules: Rules) -> Iterator[Directive]:
    """For the top of the file: what redirects catch, and the fields of each path."""
    for number, redirect in enumerate(rules.redirects, 1):
        if redirect.source.names and not redirect.stays:
            yield _caught(f"{prefix}_to_{number}", redirect)
    for number, name in enumerate(_field_names(rules), 1):
        yield _field_map(
            f"{prefix}_field_{number}", name, [rule for rule in rules.headers if rule.name.lower() == name]
        )


def fields(prefix: str, rules: Rules, *, hsts: bool) -> Iterator[Directive]:
    """The fields of every answer. They stand in one block and nowhere below it: a block with one of its own would lose
    all of these."""
    names = _field_names(rules)
    shown = {rule.name.lower(): rule.name for rule in rules.headers}
    if "cache-control" not in names:
        yield line("add_header", "Cache-Control", Variable("webops_cache"))
    if hsts and "strict-transport-security" not in names:
        yield line("add_header", "Strict-Transport-Security", Variable("webops_hsts"), "always")
    for number, name in enumerate(names, 1):
        always = () if name == "cache-control" else ("always",)
        yield line("add_header", shown[name], Variable(f"{prefix}_field_{number}"), *always)


def locations(prefix: str, rules: Rules, *, fallback: bool) -> Iterator[Directive]:
    """Patterns are tried in this order: what is hidden, the tree's own rules, folders, names with a dot, all others."""
    missing = _missing(rules, fallback)
    yield block("location", "~", HIDDEN, body=[line("return", 404)])
    yield block("location", "~", Pattern("^/_(redirects|headers)$"), body=[line("return", 404)])
    for number, redirect in enumerate(rules.redirects, 1):
        if redirect.source.is_everything and not redirect.forced:
            break  # nothing can come after it
        yield from _rule(prefix, number, redirect)
    yield block("location", "~", Pattern("/$"), body=[line("try_files", Phrase(URI, "index.html"), *missing)])
    if fallback and not any(redirect.source.is_everything for redirect in rules.redirects):
        # a single page answers for pages, not for a script or a picture that is gone
        with_dot = Pattern(r"/[^/.]*\.[^/]*$")
        yield block("location", "~", with_dot, body=[line("try_files", URI, Phrase(URI, "/"), "=404")])
    pages = (URI, Phrase(URI, ".html"), Phrase(URI, "/"))
    yield block("location", "/", body=[line("try_files", *pages, *missing)])
    yield from _last_rule(prefix, rules)


def not_found(inside: tuple[Directive, ...] = ()) -> Iterator[Directive]:
    """The site's own page, else ours."""
    yield line("error_page", 404, "@webops_missing")
    yield block("location", "@webops_missing", body=[line("try_files", "/404.html", "@webops_page"), *inside])


# --- redirects -------------------------------------------------------------------------------------------------


def _missing(rules: Rules, fallback: bool) -> tuple[Word, ...]:
    """What comes when no file is there: the rule for everything, the single page, or nothing."""
    for number, redirect in enumerate(rules.redirects, 1):
        if redirect.source.is_everything and not redirect.forced:
            if redirect.status == 200:
                return (redirect.target, "=404")
            return ("=404",) if redirect.status == 404 else (f"@webops_rule_{number}",)
    return ("/index.html", "=404") if fallback else ("=404",)


def _rule(prefix: str, number: int, redirect: Redirect) -> Iterator[Directive]:
    files: tuple[Word, ...] = (URI, Phrase(URI, ".html"), Phrase(URI, "/index.html"))
    where = Pattern(_location_pattern(redirect.source))
    if redirect.stays:
        found = () if redirect.forced else files
        if redirect.status == 200:
            body = [line("try_files", *found, redirect.target, "=404")]
        else:
            body = [line("error_page", 404, redirect.target), line("try_files", *(found or (NOWHERE,)), "=404")]
        yield block("location", "~", where, body=body)
        return
    named = f"@webops_rule_{number}"
    yield block("location", "~", where, body=[line("try_files", *((NOWHERE,) if redirect.forced else files), named)])
    yield _leads(prefix, number, redirect)


def _last_rule(prefix: str, rules: Rules) -> Iterator[Directive]:
    for number, redirect in enumerate(rules.redirects, 1):
        if redirect.source.is_everything and not redirect.forced:
            if not redirect.stays:
                yield _leads(prefix, number, redirect)
            return


def _leads(prefix: str, number: int, redirect: Redirect) -> Directive:
    """The redirect itself. It stands apart, so that a wall is passed before it is told where things went."""
    where: Word = Variable(f"{prefix}_to_{number}") if redirect.source.names else Phrase(*_with_query(redirect.target))
    return block("location", f"@webops_rule_{number}", body=[line("return", redirect.status, where)])


def _with_query(target: str) -> tuple[str | Variable, ...]:
    """The visitor's query goes along, unless the target has one."""
    place, mark, part = target.partition("#")
    if "?" in place:
        return (target,)
    return (place, Variable("is_args"), Variable("args"), f"{mark}{part}")


def _caught(variable: str, redirect: Redirect) -> Directive:
    """Where a rule leads, made of what its path caught from the address as it was sent: a decoded one could hold a line
    end. What begins with a slash is not caught: `//elsewhere` would be another site."""
    inside = {name: Variable(f"webops_in_{n}") for n, name in enumerate(redirect.source.names, 1)}
    parts: list[str | Variable] = []
    for part in _with_query(redirect.target):
        if isinstance(part, Variable):
            parts.append(part)
            continue
        for n, text in enumerate(re.split(r"(?<=/):([A-Za-z]\w*)", part, flags=re.ASCII)):
            parts.append(inside[text] if n % 2 else text)
    start = next((text for text in parts if isinstance(text, str)), "/") or "/"
    entries = [Entry("default", start), Entry(Pattern(_address_pattern(redirect.source)), Phrase(*parts))]
    return block("map", Variable("request_uri"), Variable(variable), body=entries)


def _location_pattern(source: PathPattern) -> str:
    """Of the decoded path. A slash at the end makes no difference, and `/a/*` is also `/a`."""
    pieces = ["[^/]+" if piece is None else regex_of(piece) for piece in source.pieces()]
    if source.ends_open():
        before = "/".join(["", *pieces[:-1]])
        return f"^{before}(?:/.*)?$"
    path = "/".join(["", *pieces]).rstrip("/")
    return f"^{path}/?$"


def _address_pattern(source: PathPattern) -> str:
    """Of the address as it was sent, catching."""
    pattern, number = "", 0
    pieces = list(source.pieces())
    for place, piece in enumerate(pieces):
        if piece is not None:
            pattern += f"/{regex_of(encoded(piece))}"
            continue
        number += 1
        if source.ends_open() and place == len(pieces) - 1:
            pattern += rf"(?:/(?<webops_in_{number}>(?![/\\])[^?\\]*))?"
        else:
            pattern += rf"/(?<webops_in_{number}>[^/?\\]+)"
    return rf"~*^{pattern.rstrip('/')}/?(?:\?|$)"


# --- fields ----------------------------------------------------------------------------------------------------


def _field_names(rules: Rules) -> list[str]:
    return list(dict.fromkeys(rule.name.lower() for rule in rules.headers))


def _field_map(variable: str, name: str, rules: list[HeaderRule]) -> Directive:
    """The value for the path asked for, and for the file that answers. The last rule that fits wins; what one path says
    twice is joined."""
    ours = {"cache-control": Variable("webops_cache"), "strict-transport-security": Variable("webops_hsts")}
    joined: dict[str, list[HeaderRule]] = {}
    for rule in rules:
        joined.setdefault(rule.path, []).append(rule)
    entries = [Entry("default", ours.get(name, ""))]
    for same in reversed(joined.values()):
        entries.append(Entry(Pattern(_field_pattern(same[0])), ", ".join(rule.value for rule in same)))
    return block("map", Phrase(Variable("request_uri"), " ", Variable("uri")), Variable(variable), body=entries)


def _field_pattern(rule: HeaderRule) -> str:
    """Of the address as it was sent and the path that answers. It runs in the process that serves the neighbours too,
    so nothing is tried twice: what `*` took it never gives back, and the text after it is compared once, at its end."""
    sent = "".join("[^/? ]+" if text is None else regex_of(encoded(text)) for text in rule.head())
    found = "".join("[^/]+" if text is None else regex_of(text) for text in rule.head())
    tail = rule.tail()
    if tail is None:
        return rf"~^(?:{sent}(?:\?\S*)? |\S+ {found}(?:\.html|/?index\.html)?$)"
    if not tail:
        return rf"~^(?:{sent}|\S+ {found})"
    folder = tail if tail.endswith("/") else f"{tail}/"
    ends = "|".join(_ends(".", text) for text in (tail, f"{tail}.html", f"{folder}index.html"))
    return rf"~^(?:{sent}{_ends('[^? ]', encoded(tail))}|\S+ {found}(?:{ends})$)"


def _ends(kind: str, tail: str) -> str:
    """As much of this kind as there is, if it ends with this text. nginx counts bytes."""
    return f"{kind}{{{len(tail.encode())},}}+(?<={regex_of(tail)})"
