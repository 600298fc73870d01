"""What may be typed as a repository."""

from __future__ import annotations

import pytest

from webops_host import repository
from webops_host.errors import BadValue
from webops_host.names import HostName
from webops_host.values import GitHost

OWN = GitHost(HostName("git.team.example"), 8443, private=True)
HOSTS = (*repository.FORGES, OWN)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("https://github.com/owner/site", "https://github.com/owner/site"),
        ("https://GitHub.com/Owner/Site.git", "https://github.com/Owner/Site.git"),
        ("github.com/owner/site/", "https://github.com/owner/site"),
        (" https://github.com:443/owner/site ", "https://github.com/owner/site"),
        ("https://gitlab.com/group/sub/sub/site", "https://gitlab.com/group/sub/sub/site"),
        ("https://git.team.example:8443/~ada/site_1.x", "https://git.team.example:8443/~ada/site_1.x"),
        ("https://github.com/owner/.github", "https://github.com/owner/.github"),
    ],
)
def test_a_plain_address_has_one_canonical_form(text: str, canonical: str):
    url, host = repository.parse(text, HOSTS)
    assert str(url) == canonical
    assert (host.name, host.port) == (url.host, url.port)
    assert repository.parse(str(url), HOSTS)[0] == url


@pytest.mark.parametrize(
    "text",
    [
        "-uid;", "--upload-pack=touch x", "-u/tmp/x", "https://-oProxyCommand=x/owner/site", "https://github.com/-o/x",
        "https://github.com/owner/--upload-pack=x", "https://github.com/owner/-site",
    ],
)  # fmt: skip
def test_inj_02_an_option_like_url_is_refused(text: str):
    with pytest.raises(BadValue):
        repository.parse(text, HOSTS)


@pytest.mark.parametrize(
    "text",
    [
        "ext::sh -c touch%20x", "file:///etc", "file://github.com/owner/site", "/srv/webops/apps/other", "../x", "./x",
        "git://github.com/owner/site", "http://github.com/owner/site", "ssh://git@github.com/owner/site",
        "git@github.com:owner/site", "ftp://github.com/a/b", "HTTP://github.com/owner/site", "https:/github.com/o/s",
    ],
)  # fmt: skip
def test_inj_03_other_transports_are_refused(text: str):
    with pytest.raises(BadValue):
        repository.parse(text, HOSTS)


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com\\@127.0.0.1/a/b", "https://git\thub.com/a/b", "https://github.com/a/b\n",
        "\nhttps://github.com/a/b", "https://github.com/a\n/b", "https://user:pw@github.com/a/b",
        "https://user@github.com/a/b", "https://github.com@evil.com/a/b", "https://github.com/a/b%00",
        "https://github.com/%61/b", "https://github.com/a/b\x00", "https://github.com/a/b?x=1",
        "https://github.com/a/b#x", "https://gіthub.com/a/b", "https://ｇithub.com/a/b", "https://[::1]/a/b",
        "https://127.0.0.1/a/b", "https://2130706433/a/b", "https://0x7f000001/a/b", "https://github.com:22/a/b",
        "https://github.com:8443/a/b", "https://git.team.example/a/b", "https://github.com:99999/a/b",
        "https://github.com./a/b", "https://github.com/a/../b", "https://github.com/a//b", "https://github.com/a/.git",
        "https://github.com/a", "https://github.com/", "https://github.com", "", "https://", "x" * 600,
        "https://github.com/a/b/c/d/e/f/g", "https://github.com/a/b//",
    ],
)  # fmt: skip
def test_inj_04_anything_that_two_parsers_could_read_differently_is_refused(text: str):
    with pytest.raises(BadValue):
        repository.parse(text, HOSTS)


def test_an_unknown_server_is_refused_with_the_allowed_ones_and_the_way_to_allow_it():
    with pytest.raises(BadValue) as caught:
        repository.parse("https://code.example.com/a/b", HOSTS)
    assert "github.com" in caught.value.message
    assert "git.team.example:8443" in caught.value.message
    assert "allow" in caught.value.hint


def test_the_ssh_form_is_answered_with_the_https_form():
    with pytest.raises(BadValue) as caught:
        repository.parse("git@github.com:owner/site.git", HOSTS)
    assert "https://github.com/owner/site.git" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://github.com/o/r/tree/main/site/x", ("https://github.com/o/r", "main", "site/x")),
        ("https://github.com/o/r/blob/main/index.html", ("https://github.com/o/r", "main", "")),
        ("https://github.com/o/r?tab=readme-ov-file#readme", ("https://github.com/o/r", None, "")),
        ("https://gitlab.com/a/b/c/-/tree/dev", ("https://gitlab.com/a/b/c", "dev", "")),
        ("https://codeberg.org/o/r/src/branch/main/web", ("https://codeberg.org/o/r", "main", "web")),
        ("git@github.com:o/r.git", ("https://github.com/o/r.git", None, "")),
        ("git clone https://github.com/o/r.git", ("https://github.com/o/r.git", None, "")),
        ("github.com/o/r", ("https://github.com/o/r", None, "")),
    ],
)
def test_what_people_paste_is_understood(text: str, expected: tuple[str, str | None, str]):
    url, ref, path = repository.suggest(text, HOSTS)
    assert (str(url), ref, path) == expected


@pytest.mark.parametrize("text", ["https://github.com/o/r/tree/--x", "https://evil.com/o/r/tree/main", "ext::sh -c x"])
def test_a_suggestion_is_no_way_around_the_rules(text: str):
    with pytest.raises(BadValue):
        repository.suggest(text, HOSTS)


def test_the_same_repository_is_recognised_without_case_and_suffix():
    one, _ = repository.parse("https://github.com/Owner/Site.git", HOSTS)
    other, _ = repository.parse("https://github.com/owner/site", HOSTS)
    assert repository.same(one, other)
