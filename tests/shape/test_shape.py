"""The budget of sizes and the rules of names, as in CONTRIBUTING.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.shape.tree import CODE, PRODUCT, named, parsed

Function = ast.FunctionDef | ast.AsyncFunctionDef
BANNED = {"util", "utils", "helper", "helpers", "manager", "handler", "handlers", "processor", "misc", "common", "info"}
LONGEST_FILE, LONGEST_FUNCTION, USUAL_FUNCTION = 400, 50, 35


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, Function) and node.end_lineno:
            yield node.name, node.end_lineno - node.lineno + 1


def test_a_file_fits_in_the_head() -> None:
    lengths = {named(path): path.read_text().count("\n") for path in CODE}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}, "split by subject"


def test_no_function_is_long() -> None:
    lengths = {(named(path), name): length for path in CODE for name, length in functions(path)}
    assert {name: length for name, length in lengths.items() if length >= LONGEST_FUNCTION} == {}, "take a step out"


def test_nine_functions_in_ten_fit_on_a_screen() -> None:
    lengths = [length for path in PRODUCT for _, length in functions(path)]
    assert sum(length < USUAL_FUNCTION for length in lengths) >= 0.9 * len(lengths)


def test_a_module_opens_with_what_it_is_for() -> None:
    modules = [path for path in PRODUCT if path.name != "apps.py" and path.read_text().strip()]
    assert [named(path) for path in modules if not ast.get_docstring(parsed(path))] == []


def test_a_name_says_what_is_inside() -> None:
    words = {name: set(name.removesuffix(".py").lower().replace("/", "_").split("_")) for name in map(named, CODE)}
    assert {name: found & BANNED for name, found in words.items() if found & BANNED} == {}
