"""Input that must be refused at every door, by the ids of the security catalogue."""

from __future__ import annotations

LONG = "a" * 300
REFS = {
    "INJ-01": [
        "main; id", "$(id)", "`id`", "a\nb", "HEAD'; x; #", LONG, "a\x00b", "main\n", " main", "a b", "a..b", "@{-1}",
    ],
    "INJ-02": ["--output=/x", "-x", "--upload-pack=touch x"],
}  # fmt: skip
REPOSITORIES = {
    "INJ-02": [
        "-uid;", "--upload-pack=touch x", "https://-oProxyCommand=x/a/b", "https://github.com/-o/x",
    ],
    "INJ-03": [
        "ext::sh -c id", "file:///etc", "/srv/webops/apps/other", "git://github.com/a/b", "http://github.com/a/b",
        "../x", "ssh://git@github.com/a/b", "git@github.com:a/b", "fd::17", "https://github.com/../x",
    ],
    "INJ-04": [
        "https://github.com\\@127.0.0.1/a", "https://github.com/a\t/b", "https://github.com/a\n/b",
        "https://user:pw@github.com/a/b", "https://github.com/a/b%00", "https://gіthub.com/a/b",
        "https://[::1]/a/b", "https://127.0.0.1/a/b", "https://github.com:22/a/b", "https://github.com/a/b?x=1",
        "https://github.com/a/b#x", "https://github.com", "", "https://github.com.evil.example/a/b",
        "https://0x7f000001/a/b", "https://2130706433/a/b",
    ],
}  # fmt: skip
NAMES = {
    "INJ-05": [
        "a;id", "a$(id)", "../x", "x\nroot::0:0", "-rf", "Blog", "a" * 64, "www", "blog\n", "a b", "a--b", "a-", "1a",
        "a_b", "é", "a\x00b", "api",
    ],
}  # fmt: skip


def cases(table: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(case, text) for case, texts in table.items() for text in texts]


def label(part: str) -> str:
    """For the id of a test: readable, and ASCII."""
    return ascii(part)[1:-1][:40]
