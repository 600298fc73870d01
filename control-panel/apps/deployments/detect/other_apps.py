"""Python web apps that are not Django's: by their Procfile or contract, or a Flask, FastAPI or WSGI object in sight."""

from __future__ import annotations

import ast
import posixpath
import re
from dataclasses import dataclass

from apps.deployments.detect import dependencies, environ, environments, imports, kinds, lines, supply, variables
from apps.deployments.detect.choices import Context
from apps.deployments.detect.lines import Command
from apps.deployments.detect.notes import Notes
from apps.deployments.detect.supply import Supply
from apps.deployments.plan import Kind, Plan, Process
from apps.deployments.tree import Tree
from webops_host.names import RelativePath
from webops_host.values import Gunicorn

_WSGI = frozenset({"Flask", "Bottle", "Sanic_", "Dash_"})
_ASGI = frozenset({"FastAPI", "Starlette", "Quart", "Litestar"})
_FILES = ("app.py", "main.py", "wsgi.py", "application.py", "server.py", "run.py", "api.py", "index.py", "asgi.py")


@dataclass(frozen=True)
class _Found:
    """An application object in a file."""

    path: str
    name: str
    asgi: bool
    framework: str


def detect(context: Context, notes: Notes) -> Plan | None:
    """A plan for the app, or None when nothing here serves."""
    commands = lines.read(context, context.root, notes)
    found = _application(context.tree, context.root)
    python = _is_python(context.tree, context.root)
    if found is None and not ("web" in commands and python):
        return None
    root = context.root
    if found is not None:
        notes.found("Kind", f"{found.framework} app", "an application object is defined there", where=found.path)
    else:
        notes.found(
            "Kind",
            "Python app",
            "a web line says how to start it",
            origin=commands["web"].origin,
            where=commands["web"].where,
        )
    web = _web(context, commands, found, root, notes)
    broker = kinds.has_broker(context)
    others = kinds.others(context, commands.values(), root, broker, notes)
    return _plan(context, web, others, notes)


def _is_python(tree: Tree, root: str) -> bool:
    prefix = f"{root}/" if root else ""
    names = ("requirements.txt", "Pipfile", "pyproject.toml", "setup.py", "runtime.txt", "uv.lock", "poetry.lock")
    return any(tree.has(prefix + name) for name in names) or any(
        p.startswith(prefix) and p.endswith(".py") for p in tree.own
    )


def _web(context: Context, commands: dict[str, Command], found: _Found | None, root: str, notes: Notes) -> Process:
    if found is None:
        default = kinds.Default("app:app")
    else:
        module = (
            found.path[len(root) + 1 if root else 0 :].removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        )
        default = kinds.Default(f"{module}:{found.name}", found.asgi, found.path)
    return kinds.web(context, commands.get("web"), default, root, notes)


def _plan(context: Context, web: Process, others: list[Process], notes: Notes) -> Plan:
    tree, root = context.tree, context.root
    tree.prefetch(imports.sources(tree, root))
    declared = dependencies.read(tree, root, notes, django=False)
    python = environments.version(context, declared, root, notes)
    box = Supply(environments.lines(declared, python, notes), environments.known_lines(tree), notes)
    if not declared.source:
        environments.infer(context, root, box, notes)
    if isinstance(web.program, Gunicorn) or "gunicorn" in web.program.line:
        supply.server(box, asgi=getattr(web.program, "asgi", False))
    supply.database(box, wanted=False, where="")
    supply.setuptools(box, "")
    paths = imports.sources(tree, root)
    needs = variables.needs(
        environ.uses(tree, paths),
        frozenset(p for p in paths if "/" not in p),
        variables.examples(tree, context.folders),
    )
    return Plan(
        kind=Kind.PYTHON,
        root=RelativePath(root),
        python=environments.build(tree, python, box.lines.values(), declared.project, notes),
        processes=(web, *others),
        wanted=needs.wanted,
        fills=needs.fills,
    )


def _application(tree: Tree, root: str) -> _Found | None:
    """`app = Flask(__name__)` and the like at the top of a usual file, or of a package beside it."""
    paths = [posixpath.join(root, name) for name in _FILES]
    prefix = f"{root}/" if root else ""
    paths += tree.glob(f"{prefix}*/__init__.py", f"{prefix}*/main.py", f"{prefix}*/app.py", f"{prefix}*/wsgi.py")
    for path in paths:
        if tree.has(path) and re.search(r"Flask|FastAPI|Starlette|Bottle|Quart|Litestar", tree.text(path)):
            found = _assigned(tree, path)
            if found is not None:
                return found
    return None


def _assigned(tree: Tree, path: str) -> _Found | None:
    module = tree.module(path)
    for node in module.body if module else ():
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
            called = node.value.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            if name in _WSGI | _ASGI:
                return _Found(path, node.targets[0].id, name in _ASGI, name)
    return None
