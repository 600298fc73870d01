"""The files that nginx reads: golden texts, and what holds for every site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.nginx_words import every, read
from tests.support.regexes import Ambiguous, refuse_ambiguous

from webops_host.errors import BadValue
from webops_host.linux import nginx_main, nginx_site
from webops_host.linux.nginx_parts import Flavour, Ground, TlsFiles
from webops_host.linux.nginx_site import Front
from webops_host.linux.platform import Platform
from webops_host.linux.site_rules import Rules, parse
from webops_host.names import DeploymentName, Domain, HostName, ProcessKind
from webops_host.site_options import Cdn, Network, PasswordHash, SiteOptions, Visitor, WallEntry, WwwRule
from webops_host.values import Area, Mount, Site, UnitRef

GOLDEN = Path(__file__).with_name("golden")
BLOG, OWN = DeploymentName("my-blog"), HostName("my-blog.apps.example.com")
WEB = UnitRef(BLOG, 7, ProcessKind("web"))
MOUNTS = (Mount("/static/", Area.STATIC), Mount("/media/", Area.MEDIA))
PLATFORM = TlsFiles(Path("/etc/webops/tls/.platform/fullchain.pem"), Path("/etc/webops/tls/.platform/privkey.pem"))
OF_DOMAINS = TlsFiles(Path("/etc/webops/tls/my-blog/fullchain.pem"), Path("/etc/webops/tls/my-blog/privkey.pem"))
DOMAINS = (Domain("example.com"), Domain("www.example.com"))
HASH = PasswordHash("$6$saltsalt$" + "x" * 86)
RULES = parse(
    b"/old /new\n/n/:year/:slug/* /b/:slug/:splat 302!\n/app/* /app/index.html 200\n/* https://example.org/:splat 308",
    b"/*\n  X-Frame-Options: DENY\n  Cache-Control: max-age=60\n/a/*.js\n  X-Frame-Options: SAMEORIGIN\n",
)


def front(site: Site | None, rules: Rules | None = None, *, keeps: bool = False) -> Front:
    domains = {domain: OF_DOMAINS for domain in (site.domains if site else ())}
    return Front(BLOG, OWN, {OWN: PLATFORM, **domains}, site, rules or Rules(), keeps=keeps)


def written(
    site: Site | None, rules: Rules | None = None, flavour: Flavour | None = None, *, keeps: bool = False
) -> str:
    return nginx_site.text(front(site, rules, keeps=keeps), Ground(flavour=flavour or Flavour()))


MODERN = Flavour(version=(1, 26, 3), brotli=True)
ALL = SiteOptions(
    canonical=DOMAINS[0],
    allow=(Network("203.0.113.0/24"), Network("2001:db8::1")),
    wall=(WallEntry(Visitor("ada"), HASH),),
    body_limit_mib=5,
    cdn=Cdn.CLOUDFLARE,
)
FILES = {
    "static": lambda: written(Site(BLOG, 7)),
    "fallback": lambda: written(Site(BLOG, 7, fallback=True)),
    "rules": lambda: written(Site(BLOG, 7, fallback=True), RULES),
    "app": lambda: written(Site(BLOG, 7, WEB, MOUNTS)),
    "kept": lambda: written(Site(BLOG, 7, WEB, MOUNTS), keeps=True),
    "options": lambda: written(Site(BLOG, 7, WEB, MOUNTS, DOMAINS, options=ALL), flavour=MODERN),
    "maintenance": lambda: written(Site(BLOG, 7, WEB, MOUNTS, options=SiteOptions(maintenance=True))),
    "unpublished": lambda: written(None),
    "webops": lambda: nginx_main.text(
        Platform(HostName("apps.example.com"), HostName("panel.example.com")), PLATFORM, Ground()
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_written_as_it_was_read_over(name):
    assert FILES[name]() == (GOLDEN / f"nginx-{name}.conf").read_text()


@pytest.mark.parametrize("name", FILES)
def test_ngx_02_no_file_has_a_directive_that_computes(name):
    names = {found.name for found in every(read(FILES[name]()))}
    assert names & {"rewrite", "if", "set", "perl", "lua", "ssi", "autoindex", "proxy_intercept_errors"} == set()


def patterns(text: str) -> set[str]:
    """The regular expressions of a file: of locations, and of what maps are looked up by."""
    lines = [found.words for found in every(read(text))]
    of_maps = {re.sub(r"^~\*?", "", words[0]) for words in lines if words[0].startswith("~")}
    return of_maps | {words[2] for words in lines if words[:2] == ["location", "~"]}


@pytest.mark.parametrize("name", FILES)
def test_iso_04_no_address_can_be_tried_in_many_ways(name):
    """nginx tries them in the process that serves every site, and there is no limit to the time that it may take."""
    for pattern in patterns(FILES[name]()):
        refuse_ambiguous(pattern)


@given(st.lists(st.text(st.sampled_from("/ab:*%2e.?-"), max_size=40).map("/{}".format), max_size=5))
def test_iso_04_no_rules_of_a_tree_can_be_tried_in_many_ways(paths):
    rules = parse(
        "".join(f"{path} /x\n" for path in paths).encode(), "".join(f"{p}\n X-A: b\n" for p in paths).encode()
    )
    for pattern in patterns(written(Site(BLOG, 7), rules)):
        refuse_ambiguous(pattern)


@pytest.mark.parametrize(
    "pattern", ["^/.*a.*b$", "^/[^?]*[^ ]*x", "/[^/]*\\.[^/]*$", "-(?=[\\w-]*\\d)", "^(a|b)*$", "-.*b"]
)
def test_a_pattern_that_can_be_tried_in_many_ways_is_found(pattern):
    with pytest.raises(Ambiguous):
        refuse_ambiguous(pattern)


OLD = Flavour(version=(1, 18, 0))


@pytest.mark.parametrize(
    ("site", "flavour"),
    [
        (Site(BLOG, 7), Flavour()),
        (Site(BLOG, 7, WEB, options=SiteOptions(maintenance=True)), Flavour()),
        (None, Flavour()),
        (Site(BLOG, 7, WEB), OLD),
    ],
)
def test_no_connection_is_kept_without_an_app_or_where_it_would_not_end(site, flavour):
    assert written(site, flavour=flavour, keeps=True) == written(site, flavour=flavour)


def names_of(text: str) -> list[list[str]]:
    return [found.words[1:] for found in every(read(text)) if found.name == "server_name"]


@settings(max_examples=20)
@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_release_does_not_change_the_text(one, other):
    texts = {written(Site(BLOG, n, UnitRef(BLOG, n, ProcessKind("web")), MOUNTS, DOMAINS)) for n in (one, other)}
    assert len(texts) == 1
    assert written(Site(BLOG, one), RULES) == written(Site(BLOG, other), RULES)


LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
DOMAIN = st.builds(lambda a, b: f"{a}.{b}.example", LABEL, LABEL).map(Domain)


@settings(max_examples=30)
@given(st.lists(DOMAIN, max_size=5, unique=True).map(tuple), st.sampled_from(WwwRule), st.booleans())
def test_inj_08_the_file_names_exactly_the_given_names(domains, www, canonical):
    options = SiteOptions(www=www, canonical=domains[0] if canonical and domains else None)
    plain, *secure = names_of(written(Site(BLOG, 1, domains=domains, options=options)))
    assert plain == [OWN, *domains]
    assert sorted(name for names in secure for name in names) == sorted([OWN, *domains])


@pytest.mark.parametrize(
    "text",
    ["a.test; } server {", "a.test\n", "$host", "*.a.test", "a_b.test", "a." * 126 + "test", "localhost", "1.2.3.4"],
)
def test_inj_08_what_is_no_domain_never_becomes_one(text):
    with pytest.raises(BadValue):
        Domain(text)


def leads(www=WwwRule.AS_IS, canonical=None, domains=DOMAINS) -> dict[str, str | None]:
    given_front = front(Site(BLOG, 1, domains=domains, options=SiteOptions(www=www, canonical=canonical)))
    return {host: nginx_site.leads_to(host, given_front) for host in given_front.hosts}


def test_names_answer_themselves_or_lead_to_the_one_that_does():
    bare, full = DOMAINS
    assert leads() == {OWN: None, bare: None, full: None}
    assert leads(WwwRule.TO_BARE) == {OWN: None, bare: None, full: bare}
    assert leads(WwwRule.TO_WWW) == {OWN: None, bare: full, full: None}
    assert leads(WwwRule.TO_WWW, canonical=bare) == {OWN: None, bare: None, full: bare}
    assert leads(WwwRule.TO_BARE, domains=(full,)) == {OWN: None, full: None}
    assert leads(canonical=Domain("elsewhere.example")) == {OWN: None, bare: None, full: None}


def test_a_modern_nginx_gets_http2_as_a_directive_and_brotli_where_it_is():
    old, new = (every(read(written(Site(BLOG, 1), flavour=flavour))) for flavour in (Flavour(), MODERN))
    assert [found.words for found in new if found.name == "http2"] == [["http2", "on"]]
    assert [found.words[-1] for found in old if found.name == "listen"] == ["80", "[::]:80", "http2", "http2"]
    assert {found.name for found in new} - {found.name for found in old} == {
        "http2", "brotli", "brotli_static", "brotli_types",
    }  # fmt: skip


def test_a_server_that_had_sites_before_keeps_its_own_default():
    platform = Platform(HostName("apps.example.com"), HostName("panel.example.com"))
    text = nginx_main.text(platform, PLATFORM, Ground(), defaults=False)
    assert "default_server" not in text
    assert names_of(text) == [["panel.example.com"]] * 2


def test_a_type_that_nginx_knows_is_not_given_again():
    platform = Platform(HostName("apps.example.com"), HostName("panel.example.com"))
    text = nginx_main.text(platform, PLATFORM, Ground(flavour=Flavour(known=frozenset(nginx_main.TYPES))))
    assert not [found for found in read(text) if found.name == "types"]


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, 10**9])
def test_a_limit_of_uploads_is_a_sensible_number(limit):
    with pytest.raises(BadValue):
        SiteOptions(body_limit_mib=limit)


@pytest.mark.parametrize(
    "text", ["10.0.0.0/33", "10.0.0.1/24", "all", "::/129", "1.2.3", "2001:DB8::", "0:0::1", "1.2.3.4/32;"]
)
def test_a_network_is_written_plainly(text):
    with pytest.raises(BadValue):
        Network(text)


@pytest.mark.parametrize(
    "text",
    ["secret", "{PLAIN}secret", "$1$salt$x", "$6$s$short", "$apr1$x$y", "$2b$31$" + "a" * 53, "$6$a:b$" + "x" * 86],
)
def test_a_password_is_never_kept_as_it_is(text):
    with pytest.raises(BadValue):
        PasswordHash(text)


def test_nobody_is_on_the_wall_twice():
    entry = WallEntry(Visitor("ada"), HASH)
    with pytest.raises(BadValue):
        SiteOptions(wall=(entry, entry))
    assert "x" * 86 not in repr(entry)
