"""Names that can not hold a bad value: tables of what attackers have sent to others (INJ-01, 05, 08)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webops_host.errors import BadValue
from webops_host.names import (
    DeploymentName,
    Domain,
    DottedName,
    GitRef,
    HostName,
    PersonKey,
    ProcessKind,
    PythonVersion,
    RelativePath,
    VariableKey,
)
from webops_host.values import Area, GitHost, Mount, ProjectLine

BAD = {
    GitRef: [
        "main; id", "$(id)", "`id`", "a\nb", "HEAD'; x; #", "x" * 300, "a\x00b", "-x", "--output=/x",
        "--upload-pack=id", "a..b", "@{1}", "@", ".a", "a/.b", "a.lock", "a/b.lock", "a//b", "/a", "a/", "a.",
        "a b", "a\\b", "a~1", "a^", "a:b", "a?", "a*", "a[", "", "main\n", "ma\u0456n", "refs/../../x",
    ],
    DeploymentName: [
        "a;id", "a$(id)", "../x", "x\nroot::0:0", "-rf", "Blog", "a" * 64, "www", "blog\n", "", "a", "9a", "a_b", "a.b",
        "a--b", "a-", "a b", "a/b", "blog\x00", "bl\u00f6g", "\uff41bc", "root", "panel", "a" * 32,
    ],
    Domain: [
        "a.test; } server {", "a.test\n", "$host", "*.a.test", "a_b.test", f"{'a.' * 126}test", "localhost", "a",
        "A.test", "-a.test", "a-.test", "a..test", ".a.test", "a.test.", "1.2.3.4", "[::1]", "a.test:80", "a.test/x",
        "a.test\x00", "\u0430.test", "0x7f.1", "127.1", "a.local", "x.localhost", f"{'a' * 64}.test", "",
    ],
    HostName: ["a b", "1.2.3.4", "0x7f000001", "a\n", "::1", "", "a@b", "a:1"],
    ProcessKind: ["Web", "web;id", "-web", "../x", "", "web\n", "a" * 40, "w b"],
    VariableKey: ["LD_PRELOAD", "ld_x", "DYLD_X", "A-B", "1A", "", "A=B", "A\n", "A\x00", "A B", "a" * 129],
    PersonKey: [
        "PATH", "path", "HOME", "LD_PRELOAD", "WEBOPS_UNIT", "webops_x", "BASH_ENV", "IFS", "PYTHONSTARTUP",
        "GUNICORN_CMD_ARGS", "A=B",
    ],
    RelativePath: ["/etc", "../x", "a/../b", "a//b", "./a", "a/.", ".git", "a/.git/config", "a\nb", "a\x00", "a\\b",
                   "a/"],
    DottedName: ["a b", "a;b", "a.b:c:d", "a.", ".a", "1a", "a-b", "", "a:b()", "a\n", "--bind=0.0.0.0"],
    PythonVersion: ["3", "3.12.1", "3.x", "v3.12", "3.12\n", "", "4.1", "3.123", "\u0663.12"],
}  # fmt: skip
IDS = {GitRef: "inj_01", DeploymentName: "inj_05", Domain: "inj_08"}
CASES = [
    pytest.param(kind, text, id=f"{IDS.get(kind, 'name')}-{kind.__name__}-{number}")
    for kind, texts in BAD.items()
    for number, text in enumerate(texts)
]
GOOD = [
    (GitRef, ["main", "feature/x", "v1.2.3", "a" * 200, "0" * 40, "release-1", "fix#12", "user@x", "_x"]),
    (DeploymentName, ["ab", "my-site", "a" * 31, "blog2", "www-1"]),
    (Domain, ["example.com", "www.example.co.uk", "xn--bcher-kva.example", "1a.test", "a-b.test"]),
    (HostName, ["localhost", "github.com", "git.example.com"]),
    (ProcessKind, ["web", "worker", "beat_2", "a-b"]),
    (VariableKey, ["A", "_x", "DATABASE_URL", "PATH_X", "a1"]),
    (RelativePath, ["", "site", "web/public", ".github/x", "a b", "ünï"]),
    (DottedName, ["a", "shop.settings", "shop.wsgi:application"]),
    (PythonVersion, ["3.12", "2.7"]),
]


@pytest.mark.parametrize(("kind", "text"), CASES)
def test_a_bad_name_can_not_be_made(kind, text):
    with pytest.raises(BadValue):
        kind(text)


@pytest.mark.parametrize(("kind", "texts"), GOOD, ids=lambda value: getattr(value, "__name__", ""))
def test_good_names_are_kept_as_they_are(kind, texts):
    assert [kind(text) for text in texts] == texts


@pytest.mark.parametrize("kind", BAD, ids=lambda kind: kind.__name__)
def test_only_text_is_a_name(kind):
    for other in (None, 1, True, b"main", ["main"]):
        with pytest.raises(BadValue):
            kind(other)


@given(st.text(max_size=40))
def test_inj_05_a_deployment_name_is_safe_everywhere(text):
    """Whatever gets through is safe as a file name, a word, a user name and a piece of a unit file."""
    try:
        name = DeploymentName(text)
    except BadValue:
        return
    assert re.fullmatch(r"[a-z][a-z0-9-]{1,30}", name)


@given(st.text(max_size=60))
def test_inj_01_a_ref_is_never_an_option_or_two_words(text):
    try:
        ref = GitRef(text)
    except BadValue:
        return
    assert not ref.startswith("-")
    assert not set(ref) & set(" \t\n\r\0;&|$`'\"\\<>(){}*?[]~^:")


@given(st.text(max_size=80))
def test_inj_08_a_domain_is_only_a_domain(text):
    try:
        domain = Domain(text)
    except BadValue:
        return
    assert re.fullmatch(r"[a-z0-9.-]+", domain)
    assert "." in domain


@pytest.mark.parametrize(
    "prefix", ["static/", "/static", "/a;b/", "/../", "/a b/", "/a\n/", "/a{/", '/"/', "/%2e/", "/a?/", "/ä/", ""]
)
def test_inj_08_a_prefix_is_only_a_path(prefix):
    with pytest.raises(BadValue):
        Mount(prefix, Area.STATIC)


@pytest.mark.parametrize("port", [0, -1, 65536, True], ids=repr)
def test_a_port_is_a_port(port):
    with pytest.raises(BadValue):
        GitHost(HostName("example.com"), port=port)


@pytest.mark.parametrize("line", ["", "  ", "a\nb", "a\x00b", "x" * 4001])
def test_inj_09_a_command_line_is_one_line(line):
    with pytest.raises(BadValue):
        ProjectLine(line)
