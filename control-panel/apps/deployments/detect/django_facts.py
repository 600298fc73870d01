"""What else is true of a Django project: its database, its front end, and the digests that tell what changed."""

from __future__ import annotations

import posixpath
import re

from apps.deployments.detect import environments, imports, node
from apps.deployments.detect.choices import Context
from apps.deployments.detect.notes import Notes
from apps.deployments.detect.settings import Settings
from apps.deployments.tree import Tree
from webops_host.values import NodePlan

_FIELDS = re.compile(
    r"\b(ArrayField|HStoreField|SearchVectorField|(?:Integer|BigInteger|Decimal|DateTime|Date)RangeField|CITextField|CICharField)\("
)
_GIS = re.compile(
    r"from django\.contrib\.gis\.db import|from django\.contrib\.gis import forms|django\.contrib\.gis\.db\.models"
)
_ASSET = re.compile(
    r"(^|/)(static\w*|assets?|dist|build|public|frontend|client|theme|css|js|img|images|fonts|scss|sass|webpack)(/|$)"
)
_FRONT_ENDS = ("frontend", "front-end", "client", "assets", "ui", "static_src", "react", "vue", "web", "webapp", "js")


def needs_postgres(context: Context, root: str, settings: Settings, notes: Notes) -> bool:
    """Whether a model has a field that only PostgreSQL can make. An engine named in the settings is replaced anyway."""
    prefix = f"{root}/" if root else ""
    tree = context.tree
    paths = [
        p
        for p in tree.own
        if p.startswith(prefix) and re.search(r"models?[^/]*\.py$|/models/|/migrations/\d.*\.py$", p)
    ]
    tree.prefetch(paths)
    for path in paths:
        text = tree.text(path)
        match = _FIELDS.search(text) if "postgres" in text else None
        if match:
            line = text.count("\n", 0, match.start()) + 1
            notes.found("Database", "PostgreSQL", f"{match[1]} exists only there", where=f"{path}:{line}")
            return True
    where = settings.text("django.contrib.postgres")
    if where:
        notes.note(
            "postgres_features", "django.contrib.postgres is installed: some searches may need PostgreSQL.", where=where
        )
    return False


def judge_database(context: Context, settings: Settings, notes: Notes) -> None:
    """Databases in the settings that the overlay replaces, and what can not be replaced."""
    tree = context.tree
    gis = next((p for p in imports.sources(tree) if _GIS.search(tree.text(p))), "")
    if gis:
        notes.block(
            "needs_gis",
            "The models are geographic (PostGIS); the GDAL and GEOS libraries are not here.",
            where=gis,
            fix="Deploy it on a host with PostGIS, or take the geographic fields out of the models.",
        )
    elif settings.text("django.contrib.gis"):
        notes.warn(
            "gis_listed",
            "django.contrib.gis is installed and needs the GDAL library.",
            where=settings.text("django.contrib.gis"),
            fix="Remove it from INSTALLED_APPS when no model uses it.",
        )
    for engine, name in (
        ("backends.mysql", "MySQL"),
        ("backends.oracle", "Oracle"),
        ("mssql", "SQL Server"),
        ("djongo", "MongoDB"),
    ):
        where = settings.text(engine)
        if where:
            notes.warn(
                "database_replaced",
                f"The settings name {name}; the platform's own database is used instead.",
                where=where,
            )
    where = settings.text("backends.postgresql")
    if where and "DATABASE_URL" not in settings.source:
        notes.found("Database", "the platform's own", "the one in the settings is replaced by the overlay", where=where)


def front_end(context: Context, root: str, settings: Settings, notes: Notes) -> NodePlan | None:
    """A front-end build beside manage.py, or in a folder that the settings mention."""
    tree = context.tree
    for folder in dict.fromkeys([root, *context.folders]):
        package = node.read(tree, folder)
        if package is not None:
            notes.found(
                "Front end",
                f"npm run {package.script}",
                "it is built before static files are collected",
                where=package.path,
            )
            return package.plan
    tailwind = tree.glob(f"{root}/*/static_src/package.json" if root else "*/static_src/package.json")
    if tailwind and "tailwind" in settings.source:
        package = node.read(tree, posixpath.dirname(tailwind[0]))
        built = posixpath.join(posixpath.dirname(posixpath.dirname(tailwind[0])), "static", "css", "dist", "styles.css")
        if package is not None and not tree.has(built):
            notes.found(
                "Front end", f"npm run {package.script}", "django-tailwind builds its styles there", where=package.path
            )
            return package.plan
    return _mentioned(context, root, settings, notes)


def _mentioned(context: Context, root: str, settings: Settings, notes: Notes) -> NodePlan | None:
    for folder in dict.fromkeys([root, ""]):
        for name in _FRONT_ENDS:
            package = node.read(context.tree, posixpath.join(folder, name))
            if package is None:
                continue
            used = settings.text(f"'{name}", f'"{name}', f"/{name}")
            if used:
                notes.found(
                    "Front end", f"npm run {package.script} in {package.folder}", f"the settings use {name}", where=used
                )
                return package.plan
            notes.note(
                "front_end_apart",
                f"{package.folder} has a front end of its own, which the settings do not serve.",
                where=package.path,
                fix=f"Deploy it as a second, static deployment with the folder {package.folder}.",
            )
    return None


def migrations(tree: Tree, root: str) -> str:
    """Digest of all migration files."""
    prefix = f"{root}/" if root else ""
    paths = [p for p in tree.own if p.startswith(prefix) and "/migrations/" in f"/{p}" and p.endswith((".py", ".sql"))]
    return environments.content_digest(tree, paths)


def statics(tree: Tree, root: str, settings: Settings, requirements: tuple[str, ...], plan: NodePlan | None) -> str:
    """Digest of what collectstatic depends on: assets, settings, packages, and the sources of a front-end build."""
    prefix = f"{root}/" if root else ""
    words = set(re.findall(r"[\"']([\w-]+)[/\"']", settings.source)) & {f.rsplit("/", 1)[-1] for f in tree.folders}
    front = (f"{plan.root}/" if plan.root else "") if plan else None
    paths = {*settings.files}
    if "COMPRESS_OFFLINE" in settings.source:  # what is compressed is named in the templates
        words.add("templates")
    for path in tree.own:
        folder = posixpath.dirname(path)
        built = front is not None and path.startswith(front)
        asset = (
            path.startswith(prefix)
            and not path.endswith(".py")
            and (_ASSET.search(folder) or words & set(folder.split("/")))
        )
        if built or asset:
            paths.add(path)
    return environments.content_digest(tree, [*paths]) + environments.text_digest("\n".join(requirements))[:16]
