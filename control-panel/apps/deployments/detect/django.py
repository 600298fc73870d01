"""A plan for a Django project."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from apps.deployments.detect import (
    dependencies,
    environ,
    environments,
    imports,
    kinds,
    lines,
    locks,
    processes,
    project,
    settings_choice,
    supply,
    undeclared,
    variables,
)
from apps.deployments.detect.choices import Context
from apps.deployments.detect.declared import Declared
from apps.deployments.detect.django_facts import front_end, judge_database, migrations, needs_postgres, statics
from apps.deployments.detect.lines import Command
from apps.deployments.detect.notes import Notes
from apps.deployments.detect.project import Project
from apps.deployments.detect.settings_choice import Candidate, Judged
from apps.deployments.detect.supply import Supply
from apps.deployments.plan import Django, Kind, Plan, Process, Wanted
from webops_host.names import DottedName, PythonVersion, RelativePath
from webops_host.values import PythonPlan


@dataclass(frozen=True)
class _Parts:
    """What the steps of the detection hand on."""

    found: Project
    judged: Judged
    commands: dict[str, Command]
    wsgi: tuple[str, str]
    asgi: tuple[str, str]
    wants_asgi: bool


def detect(context: Context, found: Project, notes: Notes) -> Plan:
    """Read the project as Django would, and decide what it needs to run here."""
    _say_found(found, notes)
    tree = context.tree
    tree.prefetch(imports.sources(tree, found.root))
    commands = lines.read(context, found.root, notes)
    near = [named.module for named in found.named]
    wsgi = project.servers(tree, found, "wsgi", near)
    judged = settings_choice.choose(context, found, _hints(commands), wsgi[1], notes)
    empty = Plan(Kind.DJANGO, RelativePath(found.root))
    if judged is None:
        return empty
    asgi = project.servers(tree, found, "asgi", [judged.settings.module, *near])
    parts = _Parts(found, judged, commands, wsgi, asgi, _wants_asgi(judged, commands, asgi[1], notes))
    default = _server(context, parts, notes)
    if default is None:
        return empty
    return _plan(context, parts, default, notes)


def _say_found(found: Project, notes: Notes) -> None:
    others = f"; also there: {', '.join(found.others[:4])} (choose a folder to take another)" if found.others else ""
    notes.found("Kind", "Django", f"{found.manage} is Django's{others}", where=found.manage)


def _hints(commands: dict[str, Command]) -> tuple[Candidate, ...]:
    """Settings modules on the lines of the Procfile."""
    found = []
    for command in sorted(commands.values(), key=lambda c: c.kind != "web"):
        match = re.search(r"(?:DJANGO_SETTINGS_MODULE=|--settings[= ])([\w.]+)", command.text)
        if match:
            found.append(Candidate(match[1], f"its {command.kind} line names it", command.origin, command.where))
    return tuple(found)


def _wants_asgi(judged: Judged, commands: dict[str, Command], asgi: str, notes: Notes) -> bool:
    """ASGI costs an ordinary page a multiple of its processor time: only where it is asked for."""
    web = processes.web(commands["web"].text) if "web" in commands else None
    if web is not None and not web.default:
        return web.asgi
    apps = {name.split(".")[0] for name in judged.settings.apps}
    asked = bool(apps & {"channels", "daphne"}) and "ASGI_APPLICATION" in judged.settings.source
    if asked and not asgi:
        notes.warn(
            "asgi_missing",
            "The settings ask for ASGI and there is no asgi.py; it is served by WSGI, without WebSockets.",
            where=judged.settings.text("ASGI_APPLICATION"),
            fix="Add an asgi.py beside wsgi.py.",
        )
    return asked and bool(asgi)


def _server(context: Context, parts: _Parts, notes: Notes) -> kinds.Default | None:
    module, path = parts.asgi if parts.wants_asgi else parts.wsgi
    asgi = parts.wants_asgi
    if not module and parts.asgi[0]:
        (module, path), asgi = parts.asgi, True
    if not module:
        package = parts.judged.settings.module.split(".")[0]
        target = posixpath.join(parts.found.root, package, "wsgi.py")
        notes.block(
            "wsgi_missing",
            "There is no wsgi.py to serve.",
            where=parts.found.manage,
            fix=f"Add {target} with: import os; from django.core.wsgi import get_wsgi_application; "
            f'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{parts.judged.settings.module}"); '
            "application = get_wsgi_application()",
        )
        return None
    for named in project.names(context.tree, path):
        if named.fixed:
            notes.warn(
                "settings_fixed",
                f"{path} sets the settings module whatever the platform says, so the overlay can not reach it.",
                where=named.where,
                fix='Write os.environ.setdefault("DJANGO_SETTINGS_MODULE", …) instead.',
            )
    return kinds.Default(f"{module}:{project.application(context.tree, path)}", asgi, path)


def _plan(context: Context, parts: _Parts, default: kinds.Default, notes: Notes) -> Plan:
    tree, root = context.tree, parts.found.root
    declared = dependencies.read(tree, root, notes, django=True)
    if not declared.source:
        declared = undeclared.django(context, parts.found, parts.judged.settings, notes)
    declared = undeclared.capped(context, declared, root, notes)
    python = environments.version(context, declared, root, notes)
    web = kinds.web(context, parts.commands.get("web"), default, root, notes)
    asgi = getattr(web.program, "asgi", False)
    environment, version = _environment(context, parts, declared, python, asgi, notes)
    needs = _needs(context, parts, default.where)
    judge_database(context, parts.judged.settings, notes)
    node = front_end(context, root, parts.judged.settings, notes)
    return Plan(
        kind=Kind.DJANGO,
        root=RelativePath(root),
        python=environment,
        node=node,
        processes=(web, *_beside(context, parts, notes)),
        django=Django(
            settings=DottedName(parts.judged.settings.module),
            version=version,
            overlay="configurations" not in tree.text(parts.found.manage),
            migrations=migrations(tree, root),
            statics=statics(tree, root, parts.judged.settings, environment.requirements, node),
            needs_postgres=needs_postgres(context, root, parts.judged.settings, notes),
        ),
        wanted=needs.wanted,
        fills=needs.fills,
    )


def _beside(context: Context, parts: _Parts, notes: Notes) -> list[Process]:
    broker = kinds.has_broker(context, parts.judged.settings.source)
    found = kinds.others(context, parts.commands.values(), parts.found.root, broker, notes)
    named = any("celery" in command.text for command in parts.commands.values())
    return found if named else [*found, *kinds.celery(context, parts.found.root, broker, notes)]


def _environment(
    context: Context, parts: _Parts, declared: Declared, python: PythonVersion, asgi: bool, notes: Notes
) -> tuple[PythonPlan, str]:
    """The packages: what is declared, then what it forgot."""
    tree, root = context.tree, parts.found.root
    given = undeclared.without_mysql(context, environments.lines(declared, python, notes), root, notes)
    box = Supply(given, environments.known_lines(tree), notes)
    if not declared.source:
        environments.infer(context, root, box, notes)
    elif not box.has("django") and declared.project is None:
        box.add("Django", "the project is Django's and nothing declares it", declared.source)
    undeclared.settings_need(context, parts.found, parts.judged.settings, box, default_file=parts.wsgi[1])
    source = parts.judged.settings.source
    where = parts.judged.settings.text("postgresql", "postgis", "contrib.postgres")
    supply.database(box, wanted=bool(where) or context.postgres, where=where)
    supply.server(box, asgi=asgi)
    supply.setuptools(box, source)
    if undeclared.uses_images(tree, root):
        box.add("Pillow", "a model has an ImageField")
    pinned = box.pinned("django")
    version = str(pinned) if pinned else ""
    return environments.build(tree, python, box.lines.values(), declared.project, notes), version


def _needs(context: Context, parts: _Parts, server: str) -> variables.Needs:
    """Variables of the whole project; only files that every start reads can require one."""
    tree, root = context.tree, parts.found.root
    settings = parts.judged.settings
    started = {server, *settings.files, *(posixpath.join(posixpath.dirname(f), "__init__.py") for f in settings.files)}
    paths = dict.fromkeys([*settings.files, *imports.sources(tree, root)])
    known = variables.examples(tree, context.folders if root in context.folders else (root, *context.folders))
    needs = variables.needs(environ.uses(tree, _used(paths, settings.files)), frozenset(started), known)
    return variables.with_app_json(needs, _app_json(context), set(context.contract.env.plain))


def _used(paths: dict[str, None], files: tuple[str, ...]) -> list[str]:
    """Settings of other places (another stage's module) say nothing about this one."""
    return [p for p in paths if p in files or not re.search(r"settings[\w/]*\.py$|/settings/", p)]


def _app_json(context: Context) -> list[Wanted]:
    for folder in context.folders:
        path = posixpath.join(folder, "app.json")
        app = locks.load_json(context.tree, path)
        if app is not None:
            return variables.from_app_json(app, path, context.tree.text(path))
    return []
