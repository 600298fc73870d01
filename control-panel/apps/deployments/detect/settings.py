"""Django settings, read and not run: a module with everything it pulls in from the project."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from apps.deployments.tree import Tree

_FILES = 40


def path_of(tree: Tree, roots: Iterable[str], dotted: str) -> str:
    """The file of a module that the project has, or ""."""
    tail = dotted.replace(".", "/")
    for root in roots:
        base = posixpath.join(root, tail)
        for path in (f"{base}.py", f"{base}/__init__.py"):
            if tree.has(path):
                return path
    return ""


@dataclass(frozen=True)
class Settings:
    """`files` are the module's own file and those it imports settings from; `missing` are modules of the project that
    it imports and that are not there, with file:line."""

    module: str
    files: tuple[str, ...]
    missing: dict[str, str] = field(default_factory=dict)
    trees: tuple[tuple[str, ast.Module], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()

    @property
    def blank(self) -> bool:
        """Whether nothing is set, as in the __init__.py of a package whose modules are the settings."""
        parsed = {path for path, _ in self.trees}
        readable = all(path in parsed or not text.strip() for path, text in self.texts)
        return readable and all(isinstance(node, ast.Expr) for _, module in self.trees for node in module.body)

    @cached_property
    def apps(self) -> tuple[str, ...]:
        """Strings in any list whose name says APPS."""
        return tuple(dict.fromkeys(text for text, _ in self.listed("APPS")))

    @cached_property
    def middleware(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(text for text, _ in self.listed("MIDDLEWARE")))

    def listed(self, name: str) -> Iterator[tuple[str, str]]:
        """String constants assigned (or added) to a name that contains this one, with file:line."""
        for path, module in self.trees:
            for node in ast.walk(module):
                if _target_names(node) and any(name in target for target in _target_names(node)):
                    yield from ((text, f"{path}:{line}") for text, line in _strings(node))

    def text(self, *needles: str) -> str:
        """file:line of the first line of the settings that contains one of the needles, or ""."""
        for path, text in self.texts:
            for number, raw in enumerate(text.splitlines(), start=1):
                line = raw.split("#")[0]
                if any(needle in line for needle in needles):
                    return f"{path}:{number}"
        return ""

    @property
    def source(self) -> str:
        return "\n".join(text for _, text in self.texts)


def read(tree: Tree, roots: tuple[str, ...], module: str) -> Settings:
    """The settings of a module and of all it imports from the project."""
    first = path_of(tree, roots, module)
    todo, missing = [(module, first)], dict[str, str]()
    files: list[str] = []
    while todo and len(files) < _FILES:
        dotted, path = todo.pop(0)
        if not path or path in files:
            continue
        files.append(path)
        for name, number, optional in _pulled(tree, path, dotted):
            target = path_of(tree, roots, name)
            if target:
                todo.append((name, target))
            elif not optional and name.split(".")[0] == module.split(".")[0]:
                missing[name] = f"{path}:{number}"
        todo += [(dotted, extra) for extra in _included(tree, path)]
    texts = tuple((path, tree.text(path)) for path in files)
    trees = tuple((path, parsed) for path in files if (parsed := tree.module(path)) is not None)
    return Settings(module, tuple(files), missing, trees, texts)


def _pulled(tree: Tree, path: str, dotted: str) -> list[tuple[str, int, bool]]:
    """Modules a settings file imports from: name, line, and whether a failure is caught."""
    module = tree.module(path)
    if module is None:
        return []
    package = dotted if path.endswith("/__init__.py") else dotted.rpartition(".")[0]
    guarded = {
        id(inner) for node in ast.walk(module) if isinstance(node, (ast.Try, ast.If)) for inner in ast.walk(node)
    }
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom):
            base = _absolute(package, node)
            found.append((base, node.lineno, id(node) in guarded or base == package))
            if any(alias.name != "*" for alias in node.names):
                found += [(f"{base}.{alias.name}", node.lineno, True) for alias in node.names]
    return [entry for entry in found if entry[0]]


def _absolute(package: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    kept = parts[: len(parts) - node.level + 1]
    return ".".join([*kept, node.module] if node.module else kept)


def _included(tree: Tree, path: str) -> list[str]:
    """django-split-settings: include("components/*.py", optional("local.py"))."""
    text = tree.text(path)
    if "split_settings" not in text:
        return []
    folder = posixpath.dirname(path)
    patterns = re.findall(r"[\"']([\w./*-]+\.py)[\"']", text)
    return [found for pattern in patterns for found in tree.glob(posixpath.normpath(posixpath.join(folder, pattern)))]


def _target_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, (ast.AugAssign, ast.AnnAssign)) and isinstance(node.target, ast.Name):
        return [node.target.id]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
        return [node.func.value.id]  # INSTALLED_APPS.append("…")
    return []


def _strings(node: ast.AST) -> list[tuple[str, int]]:
    return [(n.value, n.lineno) for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
