"""The `_redirects` and `_headers` files of static sites become typed values, or notices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webops_host.linux.site_rules import HeaderRule, PathPattern, Redirect, Rules, parse


def redirects(text: str) -> tuple[Redirect, ...]:
    rules = parse(text.encode(), None)
    assert rules.notices == ()
    return rules.redirects


def headers(text: str) -> tuple[HeaderRule, ...]:
    rules = parse(None, text.encode())
    assert rules.notices == ()
    return rules.headers


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("/old /new", Redirect(PathPattern("/old"), "/new")),
        ("/old /new 302", Redirect(PathPattern("/old"), "/new", 302)),
        ("/old\t/new\t301!  # moved", Redirect(PathPattern("/old"), "/new", 301, True)),
        ("/old https://example.com/new#part 308", Redirect(PathPattern("/old"), "https://example.com/new#part", 308)),
        ("/* /index.html 200", Redirect(PathPattern("/*"), "/index.html", 200)),
        ("/x/* /x/404.html 404", Redirect(PathPattern("/x/*"), "/x/404.html", 404)),
        ("/n/:year/:slug/* /b/:slug/:splat?y=1", Redirect(PathPattern("/n/:year/:slug/*"), "/b/:slug/:splat?y=1")),
        ("/a%20b /c", Redirect(PathPattern("/a%20b"), "/c")),
        ("/* https://example.com/:splat 301!", Redirect(PathPattern("/*"), "https://example.com/:splat", 301, True)),
    ],
)  # fmt: skip
def test_a_redirect_is_read(line, wanted):
    assert redirects(line) == (wanted,)


@pytest.mark.parametrize(
    "line",
    [
        "/old", "old /new", "/old /new 410", "/old /new 3o1", "/old /new 301 Country=au", "/store id=:id /blog/:id 301",
        "/api/* https://api.example.com/:splat 200", "https://x.example/* /y", "/a/*/b /c", "/old /new/:slug",
        "/a /b$host", "/a /b{c", "/a$ /b", "/%0d%0a /b", "/a /\x01", "/%2e%2e/x /y", "/a%2fb /y", "/a //evil.example",
        "/%ff /y", "/:a/:a /y", "//x /y", "".join(f"/:n{n}" for n in range(21)) + " /y",
        "/a javascript:alert(1)", "/a /b;c{d", "/a http://user@host/", "/x /y/* 200",
    ],
)  # fmt: skip
def test_inj_08_a_redirect_that_can_not_be_had_is_told_and_left_out(line):
    rules = parse(f"# first\n{line}\n/kept /here\n".encode(), None)
    assert [rule.target for rule in rules.redirects] == ["/here"]
    assert len(rules.notices) == 1
    assert "_redirects, line 2" in rules.notices[0]


def test_fields_are_read_below_their_path():
    text = "# all\n/*\n  X-Frame-Options: DENY\n  Content-Security-Policy: default-src 'self'; img-src *\n"
    text += "/a/*.js\n  X-A:b\n"
    text += "/:year/:slug/*\n  X-B: c\n/%2A/%3Aa*%2a\n  X-C: d\n"
    assert headers(text) == (
        HeaderRule("/*", "X-Frame-Options", "DENY"),
        HeaderRule("/*", "Content-Security-Policy", "default-src 'self'; img-src *"),
        HeaderRule("/a/*.js", "X-A", "b"),
        HeaderRule("/:year/:slug/*", "X-B", "c"),
        HeaderRule("/%2A/%3Aa*%2a", "X-C", "d"),
    )


def test_only_what_is_written_as_a_wildcard_is_one():
    rule = HeaderRule("/%2A/:a/%3Ab*%2a%c3%bc", "X-A", "b")
    assert (list(rule.head()), rule.tail()) == (["/*/", None, "/:b"], "*ü")
    assert HeaderRule("/a", "X-A", "b").tail() is None


@pytest.mark.parametrize(
    "field",
    [
        "Content-Length: 3", "Set-Cookie: a=b", "X y: z", "X-A: $host", "X-A:", "X-A: ü", "no field", "Basic-Auth: a:b",
        "X-A: a\x7fb", f"X-A: {'a' * 2001}", "X-A: " + '"' * 1950, "Transfer-Encoding: chunked", "Location: /x",
    ],
)  # fmt: skip
def test_inj_08_a_field_that_can_not_be_sent_is_told_and_left_out(field):
    rules = parse(None, f"/*\n  {field}\n  X-Kept: yes\n".encode())
    assert [rule.name for rule in rules.headers] == ["X-Kept"]
    assert len(rules.notices) == 1
    assert "_headers, line 2" in rules.notices[0]


@pytest.mark.parametrize(
    "path",
    ["/*a*b", "/*/*", "/**", "/*/:a", "/:a*", "/:a/:b*", "/:a-b", "/:a.html/x", f"/*{'a' * 101}"],
)
def test_iso_04_a_path_that_could_match_in_many_ways_is_told_and_left_out(path):
    rules = parse(None, f"{path}\n  X-A: b\n/kept\n  X-Kept: yes\n".encode())
    assert [rule.path for rule in rules.headers] == ["/kept"]
    assert len(rules.notices) == 1
    assert "_headers, line 2" in rules.notices[0]


def test_a_field_without_a_path_is_told():
    assert parse(None, b"X-A: b").notices == (
        "_headers, line 1 was left out: It is neither a path nor a field below one.",
    )


def test_files_that_are_no_text_or_too_much_are_left_out_as_a_whole():
    assert parse(b"\xff\xfe", None).redirects == ()
    assert "larger than 64 KiB" in parse(b"/a /b\n" * 20_000, None).notices[0]
    rules = parse("\n".join(f"/{n} /b" for n in range(400)).encode(), None)
    assert len(rules.redirects) == 300
    assert rules.notices == ("_redirects: only the first 300 rules are kept.",)


def test_a_place_to_lead_to_has_an_end():
    lines = [f"/a /{'b' * 1999}", f"/a /{'b' * 2000}", "/:a/x " + "/:a" * 20, "/:a/y " + "/:a" * 21]
    rules = parse("\n".join(lines).encode(), None)
    assert [rule.source.text for rule in rules.redirects] == ["/a", "/:a/x"]
    assert [notice.partition(" was")[0] for notice in rules.notices] == ["_redirects, line 2", "_redirects, line 4"]


def test_what_one_path_says_too_often_is_told_and_left_out():
    link = "Link: </assets/fonts/inter.woff2>; rel=preload; as=font; type=font/woff2; crossorigin"
    rules = parse(None, "\n".join(["/*", *[link] * 60, "/a", link, link.lower()]).encode())
    kept = [rule for rule in rules.headers if rule.path == "/*"]
    assert 30 < len(kept) < 60
    assert len(rules.headers) == len(kept) + 2
    assert len(rules.notices) == 60 - len(kept)
    assert f"_headers, line {len(kept) + 2} was left out: With it, Link of '/*' would be longer" in rules.notices[0]


def test_nothing_asks_for_nothing():
    assert parse(None, None) == Rules()


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_read_or_told(one, other):
    parse(one, other)


@given(st.text(st.sampled_from("/ab:*%2eF.? #!012$\t\n"), max_size=200))
def test_any_words_are_read_or_told(text):
    parse(text.encode(), text.encode())
