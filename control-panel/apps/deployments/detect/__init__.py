"""What a repository is and how it is run: detection, Procfile, contract and panel made into one plan.

Nothing of the repository is run, and nothing is written. A repository however strange gives a plan: what stands in the
way is a blocker in it, with the file, the line and the fix.
"""

from __future__ import annotations

from apps.deployments.contract import PlatformLimits
from apps.deployments.detect import contracts, django, environments, merge, other_apps, project, static
from apps.deployments.detect.choices import Context, Overrides
from apps.deployments.detect.notes import Notes
from apps.deployments.plan import Kind, Plan
from apps.deployments.tree import Tree
from webops_host.names import PythonVersion, RelativePath

NOTHING = Overrides()
ROOT = RelativePath("")
PLATFORM = PlatformLimits()

__all__ = ["Overrides", "plan"]


def plan(
    tree: Tree, *, pythons: tuple[PythonVersion, ...], root: RelativePath = ROOT, overrides: Overrides = NOTHING,
    limits: PlatformLimits = PLATFORM, postgres: bool = False,
) -> Plan:  # fmt: skip
    """How this commit is built and run: platform limits over panel over webops.toml over Procfile over detection.

    `root` is the folder of the app that a person chose; `pythons` are the versions on the machine; `postgres` says that
    the host's databases are PostgreSQL, so that a driver is installed.
    """
    notes = Notes()
    tree.prefetch(path for path in tree.own if _interesting(path) or path in tree.small)
    contract, path = contracts.read(tree, root, limits, notes)
    if contract is None:
        return merge.finish(Plan(Kind.STATIC, root), notes)
    where = RelativePath(root or contract.app.root or "")
    if not tree.folder(where):
        notes.block(
            "folder_missing", f"There is no folder “{where}” in the repository.", fix="Check the folder of the app."
        )
        return merge.finish(Plan(Kind.STATIC, where), notes)
    context = Context(tree, where, tuple(sorted(pythons, key=lambda p: p.pair)), overrides, contract, path, postgres)
    found = _detected(context, notes)
    return merge.finish(merge.chosen(context, found, limits, notes), notes)


_NAMES = frozenset(
    {
        "manage.py",
        "wsgi.py",
        "asgi.py",
        "celery.py",
        "urls.py",
        "Procfile",
        "package.json",
        "app.json",
        "pyproject.toml",
        "uv.lock",
    }
    | {
        "poetry.lock",
        "Pipfile",
        "Pipfile.lock",
        "setup.py",
        "setup.cfg",
        "runtime.txt",
        ".python-version",
        "Dockerfile",
        "index.html",
    }
    | {
        "webops.toml",
        "mkdocs.yml",
        "_config.yml",
        "hugo.toml",
        "config.toml",
        "environment.yml",
        "pelicanconf.py",
        "conf.py",
    }
)


def _interesting(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    if path.count("/") > 4:
        return False
    return (
        name in _NAMES or "settings" in path or "requirements" in path or name.startswith(".env") or ".config." in name
    )


def _detected(context: Context, notes: Notes) -> Plan:
    kind = Kind(context.kind.value) if context.kind else None
    if context.kind:
        notes.found("Kind", context.kind.value, "chosen by you", origin=context.kind.origin, where=context.kind.where)
    found = project.find(context.tree, context.root) if kind in (None, Kind.DJANGO) else None
    if found is not None:
        return django.detect(context, found, notes)
    template = project.template(context.tree, context.root) if kind in (None, Kind.DJANGO) else ""
    if template:
        notes.block(
            "project_template",
            "This is a template to make projects from: its files still hold placeholders such as {{ project_name }}.",
            where=template,
            fix="Make a project from it (django-admin startproject --template, or cookiecutter) and deploy that one.",
        )
        return Plan(Kind.DJANGO, RelativePath(context.root))
    if kind is Kind.DJANGO:
        notes.block(
            "manage_missing",
            "There is no manage.py of Django's in this folder.",
            where=context.root,
            fix="Choose the folder that holds manage.py.",
        )
        return Plan(Kind.DJANGO, RelativePath(context.root))
    return _other(context, kind, notes)


def _other(context: Context, kind: Kind | None, notes: Notes) -> Plan:
    """An app with a web line, else a static site, else an app object in sight, else nothing."""
    publish = context.publish.value if context.publish else None
    if kind is not Kind.STATIC and publish is None:
        app = other_apps.detect(context, notes)
        if app is not None:
            return app
    if kind is Kind.PYTHON:
        notes.block(
            "web_missing",
            "Nothing says how to start the app.",
            fix="Add a Procfile with a line such as “web: gunicorn app:app”.",
        )
        return Plan(Kind.PYTHON, RelativePath(context.root))
    maker = environments.for_generator(context, notes)
    found = static.detect(context.tree, context.root, publish, maker, notes)
    if found is None:
        found = static.nothing(context.tree, context.root, notes)
    return found
