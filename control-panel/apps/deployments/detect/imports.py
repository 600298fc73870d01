"""What a project's own code imports, and which of it is neither its own nor Python's."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator

from apps.deployments.tree import Tree

_SKIPPED = re.compile(
    r"(^|/)(tests?|testing|migrations|docs?|examples?|scripts?|fabfile\.py|conftest\.py|test_[^/]*|[^/]*_tests?\.py)(/|$)"
)
_OLD_STDLIB = frozenset(
    {"distutils", "imp", "cgi", "asyncore", "asynchat", "smtpd", "pipes", "crypt", "telnetlib", "imghdr"}
)
_PYTHON_2 = frozenset({"urllib2", "urlparse", "StringIO", "cStringIO", "ConfigParser", "Queue", "httplib", "cookielib"})
STDLIB = frozenset(sys.stdlib_module_names) | _OLD_STDLIB | _PYTHON_2 | {"__main__"}
FILES = 1500


def sources(tree: Tree, under: str = "") -> tuple[str, ...]:
    """Python files of the project that run in production: no tests, no migrations."""
    prefix = f"{under}/" if under else ""
    found = [
        p for p in tree.own if p.endswith(".py") and p.startswith(prefix) and not _SKIPPED.search(p[len(prefix) :])
    ]
    return tuple(found[:FILES])


def local_names(tree: Tree, roots: Iterable[str]) -> frozenset[str]:
    """Top-level names that the project itself provides: what lies in the folders that are on its path."""
    homes = {home for root in roots for home in (root, *(f"{root}/{n}".lstrip("/") for n in ("src", "apps")))}
    found: set[str] = set()
    for path in tree.own:
        if path.endswith(".py"):
            found.update(_first(path, home) for home in homes if not home or path.startswith(f"{home}/"))
    return frozenset(found)


def _first(path: str, home: str) -> str:
    return path[len(home) + 1 if home else 0 :].split("/")[0].removesuffix(".py")


def all_names(tree: Tree) -> frozenset[str]:
    """Every name that a module of the project has anywhere."""
    parts = (path.removesuffix(".py").split("/") for path in tree.own if path.endswith(".py"))
    return frozenset(part for names in parts for part in names)


def modules(tree: Tree, paths: Iterable[str]) -> dict[str, str]:
    """Imported modules by dotted name, each with the file:line that first imports it. Guarded imports are left out."""
    found: dict[str, str] = {}
    for path in paths:
        module = tree.module(path)
        for name, number in _in_module(module) if module else _in_text(tree.text(path)):
            found.setdefault(name, f"{path}:{number}")
    return found


def foreign(imported: dict[str, str], local: frozenset[str]) -> dict[str, str]:
    """Those that some package must bring."""
    return {
        name: where
        for name, where in imported.items()
        if (top := name.split(".")[0]) not in STDLIB and top not in local and not top.startswith("_")
    }


def _in_module(module: ast.Module) -> Iterator[tuple[str, int]]:
    todo: list[ast.AST] = [module]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module and not node.level:
                yield node.module, node.lineno
        elif isinstance(node, ast.Try) and any(_catches_imports(handler) for handler in node.handlers):
            todo += [*node.orelse, *node.finalbody]
        elif not (isinstance(node, ast.If) and _is_type_checking(node)):
            todo += [child for child in ast.iter_child_nodes(node) if isinstance(child, (ast.stmt, ast.ExceptHandler))]


def _catches_imports(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or bool(re.search("ImportError|ModuleNotFound|Exception", ast.dump(handler.type)))


def _is_type_checking(node: ast.If) -> bool:
    return "TYPE_CHECKING" in ast.dump(node.test)


def _in_text(text: str) -> Iterator[tuple[str, int]]:
    """For files that this Python can not parse (another era's syntax): top-level import lines."""
    for number, raw in enumerate(text.splitlines(), start=1):
        match = re.match(r"(?:from\s+([\w.]+)\s+import|import\s+([\w.]+))", raw)
        if match and not (match[1] or match[2]).startswith("."):
            yield match[1] or match[2], number
