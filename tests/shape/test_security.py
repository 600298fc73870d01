"""The table of security cases is honest: each is tested by the files it names, or waits for the server."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

from tests.shape.tree import CODE, ROOT, named, parsed

PAGE = (ROOT / "docs/security.md").read_text()
TESTED, _, LATER = PAGE.partition("## With the server")
NAME = re.compile(r"test_([a-z]+)_(\d\d)_")
CATALOGUE = """
ARC-01 INJ-01 INJ-02 INJ-03 INJ-04 INJ-05 INJ-08 INJ-09 INJ-10 INJ-11 SSRF-01 SSRF-02 SSRF-03 SSRF-04 SSRF-05 SSRF-07
AZ-01 AZ-02 AZ-03 AZ-04 AZ-05 AUTH-01 AUTH-02 AUTH-03 AUTH-04 AUTH-05 AUTH-06 AUTH-07 AUTH-08 AUTH-09 AUTH-10 AUTH-11
AUTH-12 WS-01 WS-02 WS-03 WS-04 WH-01 WH-02 WH-03 WH-04 WH-05 WH-06 SEC-04 PRIV-02 PRIV-05 PRIV-07 DB-01 DB-02 DB-03
DB-04 FS-06 FS-07 NGX-02 REL-03 REL-04 REL-05 REL-06 REL-11 REL-12 REL-13 REL-15 REL-20 OPS-01 OPS-02 OPS-07
"""
"""Those of the catalogue that need no server of their own."""


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


def test_every_case_is_tested_or_waits_for_the_server() -> None:
    tested, later = rows(TESTED), rows(LATER)
    assert set(CATALOGUE.split()) - set(tested) - set(later) == set()
    assert set(tested) & set(later) == set()


def test_every_listed_case_has_its_tests_in_the_files_that_are_named() -> None:
    assert rows(TESTED) == written()
