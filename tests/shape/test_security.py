"""The table of security cases is honest: each is tested by the files it names, on a server where it needs one, or waits
for what it is about."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

from tests.shape.tree import CODE, ROOT, named, parsed

PAGE = (ROOT / "docs/security.md").read_text()
TESTED, _, _REST = PAGE.partition("### Without a server")
APART, _, LATER = _REST.partition("## With the server")
NAME = re.compile(r"test_([a-z]+)_(\d\d)_")
WITHOUT = """
ARC-01 INJ-01 INJ-04 INJ-11 SSRF-01 SSRF-02 SSRF-03 SSRF-04 SSRF-07 AZ-01 AZ-02 AZ-03 AZ-04 AZ-05 AUTH-01 AUTH-02
AUTH-04 AUTH-05 AUTH-06 AUTH-07 AUTH-08 AUTH-09 AUTH-11 AUTH-12 WS-01 WS-02 WS-03 WS-04 WH-01 WH-02 WH-03 WH-04 WH-05
WH-06 SEC-04 DB-01 DB-02 DB-03 DB-04 FS-06 FS-07 REL-03 REL-04 REL-05 REL-13 REL-15 OPS-01 OPS-02
"""
"""Cases that are shown without a booted server: in the panel, in the host's own code, in a real PostgreSQL."""
ON_A_SERVER = """
INJ-02 INJ-03 INJ-05 INJ-06 INJ-07 INJ-08 INJ-09 INJ-10 SSRF-05 SSRF-06 AUTH-03 AUTH-10 SEC-01 SEC-02 SEC-03 SEC-05
PRIV-01 PRIV-02 PRIV-03 PRIV-04 PRIV-05 PRIV-06 PRIV-07 PRIV-08 PRIV-09 ISO-01 ISO-02 ISO-03 ISO-04 NET-01 NET-02
NET-03 FS-01 FS-02 FS-03 FS-04 FS-05 FS-08 NGX-01 NGX-02 NGX-03 REL-01 REL-02 REL-06 REL-07 REL-08 REL-09 REL-10
REL-11 REL-12 REL-14 REL-16 REL-17 REL-18 REL-19 REL-20 OPS-07
"""
"""Cases that a booted server shows, whole or in part."""


def rows(text: str) -> dict[str, set[str]]:
    """The files that each row of a table names."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for case in re.findall(r"[A-Z]+-\d\d", cells[0]):
            found[case] = set(re.findall(r"`([^`]+)`", cells[-1]))
    return found


def written() -> dict[str, set[str]]:
    """The files with a test of each case."""
    found = defaultdict(set)
    for path in CODE:
        if named(path).startswith("tests/") and path.name.startswith("test_"):
            for node in ast.walk(parsed(path)):
                if isinstance(node, ast.FunctionDef) and (match := NAME.match(node.name)):
                    found[f"{match[1].upper()}-{match[2]}"].add(named(path).removeprefix("tests/"))
    return dict(found)


def test_every_case_is_tested_or_waits_for_what_it_is_about() -> None:
    tested, later = rows(TESTED), rows(LATER)
    assert set(tested) | set(later) == set(WITHOUT.split()) | set(ON_A_SERVER.split())
    assert set(tested) & set(later) == set()


def test_every_listed_case_has_its_tests_in_the_files_that_are_named() -> None:
    assert rows(TESTED) == written()


def test_what_a_server_shows_is_tested_on_one_or_the_page_says_why_not() -> None:
    elsewhere = {
        case
        for case, files in rows(TESTED).items()
        if case in ON_A_SERVER.split() and not any(file.startswith("server/") for file in files)
    }
    assert elsewhere == set(rows(APART))
