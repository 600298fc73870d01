"""A Django project in a repository: manage.py, the settings it names, and what serves it."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apps.deployments.detect import settings
from apps.deployments.tree import Tree, line_of

KEY = "DJANGO_SETTINGS_MODULE"
_NOT_THE_PROJECT = re.compile(
    r"(^|/)(tests?|testproject|test_project|examples?|sample|demo|sandbox|docs?|template|project_template)/"
)
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_TEMPLATE = re.compile(r"\{\{|\{%")


@dataclass(frozen=True)
class Named:
    """A settings module that a file names. `fixed` when the file sets it whatever the environment says."""

    module: str
    where: str
    fixed: bool = False


@dataclass(frozen=True)
class Project:
    """`root` is the folder of manage.py; `roots` are the folders its modules are looked for in."""

    root: str
    manage: str
    roots: tuple[str, ...]
    named: tuple[Named, ...]  # by manage.py
    others: tuple[str, ...]  # other manage.py files that were not taken

    def module_path(self, tree: Tree, dotted: str) -> str:
        return settings.path_of(tree, self.roots, dotted)


def find(tree: Tree, root: str) -> Project | None:
    """The project at or below a folder: the shallowest manage.py that is Django's, and not an example or a test."""
    prefix = f"{root}/" if root else ""
    found = [p for p in tree.glob("manage.py", "**/manage.py") if p.startswith(prefix) and _is_django(tree, p)]
    if not found:
        return None
    ranked = sorted(
        found, key=lambda p: (bool(_NOT_THE_PROJECT.search(p[len(prefix) :])), p.count("/"), -_weight(tree, p))
    )
    manage = ranked[0]
    home = posixpath.dirname(manage)
    roots = tuple(dict.fromkeys([home, *_path_additions(tree, manage, home)]))
    named = tuple(n for n in names(tree, manage))
    return Project(home, manage, roots, named, tuple(ranked[1:]))


def _is_django(tree: Tree, path: str) -> bool:
    text = tree.text(path)
    return (KEY in text or "django" in text) and not _TEMPLATE.search(path + text)


def template(tree: Tree, root: str) -> str:
    """A manage.py that still has placeholders in its path or text, with its line: a project has yet to be made."""
    prefix = f"{root}/" if root else ""
    paths = [path for path in tree.glob("manage.py", "**/manage.py") if path.startswith(prefix)]
    path = next((path for path in paths if _TEMPLATE.search(path + tree.text(path))), "")
    return path and f"{path}:{line_of(tree.text(path), '{{') or 1}"


def _weight(tree: Tree, manage: str) -> int:
    home = posixpath.dirname(manage)
    return sum(p.startswith(f"{home}/") if home else 1 for p in tree.own if p.endswith(".py"))


def _path_additions(tree: Tree, manage: str, home: str) -> Iterator[str]:
    """Folders that manage.py puts on the path, when they exist; and src and apps, which people so often mean."""
    text = tree.text(manage)
    if "sys.path" in text:
        for word in re.findall(r"[\"']([\w./-]+)[\"']", text):
            folder = posixpath.normpath(posixpath.join(home, word))
            if tree.folder(folder) and folder != "." and not folder.startswith(".."):
                yield folder
    for name in ("src", "apps"):
        folder = posixpath.join(home, name)
        if tree.folder(folder):
            yield folder


def names(tree: Tree, path: str) -> list[Named]:
    """Settings modules that a manage.py, wsgi.py or celery.py names, as written."""
    module = tree.module(path)
    if module is None:
        text = tree.text(path)
        match = re.search(KEY + r"[\"'\]]\s*(?:,|\]?\s*=)\s*[\"']([\w.]+)[\"']", text)
        return [Named(match[1], f"{path}:{line_of(text, KEY)}")] if match else []
    found: list[Named] = []
    for node in ast.walk(module):
        value, fixed = _assigned(node)
        if value is not None:
            found += [Named(text, f"{path}:{value.lineno}", fixed) for text in _modules(value)]
    return found


def _assigned(node: ast.AST) -> tuple[ast.expr | None, bool]:
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "setdefault" and len(node.args) == 2:
        return (node.args[1], False) if _is_key(node.args[0]) else (None, False)
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        return (node.value, True) if _is_key(node.targets[0].slice) else (None, False)
    return None, False


def _is_key(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == KEY


def _modules(node: ast.expr) -> list[str]:
    """Dotted names among the constants of an expression: a literal, a default, both arms of a condition."""
    constants = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return [
        text for text in constants if _DOTTED.fullmatch(text) and text != KEY and ("." in text or "settings" in text)
    ]


def candidates(tree: Tree, project: Project) -> list[str]:
    """Modules that look like settings, when nothing names one that exists."""
    prefix = f"{project.root}/" if project.root else ""
    found = [
        p
        for p in tree.own
        if p.startswith(prefix) and re.search(r"(^|/)settings(/[\w]+)?\.py$|(^|/)\w*settings\w*\.py$", p)
    ]
    found = [p for p in found if "INSTALLED_APPS" in tree.text(p) or "import *" in tree.text(p)]
    return [_dotted(p[len(prefix) :]) for p in found]


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def servers(tree: Tree, project: Project, kind: str, prefer: Iterable[str]) -> tuple[str, str]:
    """The wsgi (or asgi) module and its file: beside the settings first, then anywhere in the project."""
    prefix = f"{project.root}/" if project.root else ""
    near = [f"{'.'.join(module.split('.')[:depth])}.{kind}" for module in prefer for depth in (1, 2, 3)]
    for dotted in dict.fromkeys([*near, kind, f"config.{kind}"]):
        path = project.module_path(tree, dotted)
        if path and "get_" in tree.text(path) + "get_":
            return dotted, path
    for path in tree.glob(f"{prefix}**/{kind}.py", f"{prefix}**/{kind}/*.py", f"{prefix}{kind}_*.py"):
        if f"get_{kind}_application" in tree.text(path):
            return _dotted(path[len(prefix) :]), path
    return "", ""


def application(tree: Tree, path: str) -> str:
    """The name of the application object in a wsgi or asgi module."""
    module = tree.module(path)
    assigned = {
        target.id
        for node in ast.walk(module or ast.Module([], []))
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return next((name for name in ("application", "app", "handler") if name in assigned), "application")
