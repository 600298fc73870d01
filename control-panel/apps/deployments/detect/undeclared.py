"""A Django project whose files name no packages, or not all: what its own code says it needs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from packaging.version import Version

from apps.deployments.detect import eras, imports
from apps.deployments.detect.choices import Context
from apps.deployments.detect.declared import Declared, Line, line
from apps.deployments.detect.notes import Notes
from apps.deployments.detect.project import Project
from apps.deployments.detect.settings import Settings
from apps.deployments.detect.supply import Supply
from apps.deployments.tree import Tree

_GENERATED = re.compile(r"using Django (\d+\.\d+)|docs\.djangoproject\.com/en/(\d+\.\d+)/")
_MYSQL = frozenset({"mysqlclient", "mysql-python"})
# (what the code says, the first Django that no longer knows it)
REMOVED: tuple[tuple[str, str], ...] = (
    (r"^MIDDLEWARE_CLASSES\s*=", "2.0"),
    (r"from django\.core\.urlresolvers import|import patterns\b", "2.0"),
    (
        r"from django\.utils import six|django\.utils\.six|render_to_response|python_2_unicode_compatible"
        r"|load staticfiles|load admin_static",
        "3.0",
    ),
    (
        r"from django\.conf\.urls import (?!include\b)[^\n]*\burl\b|ugettext|force_text"
        r"|smart_text|is_safe_url|NullBooleanField\(|urlquote",
        "4.0",
    ),
    (r"django\.contrib\.postgres\.fields import [^\n]*\bJSONField|default_app_config_required", "4.0"),
    (r"from django\.utils\.timezone import utc|timezone\.utc\b(?=.*django\.utils)", "5.0"),
)


def _long_term_for(written: Version, pythons: Iterable[tuple[int, int]]) -> Version:
    """The long-term release next to the version a project was begun with, that some Python here can run."""
    later = [Version(lts) for lts in eras.LONG_TERM if Version(lts) >= written] or [written]
    for release in later:
        low, high = eras.floor("django", release) or (3, 4), eras.works_until("django", release) or (3, 99)
        if any(low <= pair <= high for pair in pythons):
            return release
    return later[-1]


def django(context: Context, found: Project, settings: Settings, notes: Notes) -> Declared:
    """Nothing is declared: Django in the version that the settings were generated with, or near it."""
    match = _GENERATED.search(settings.source)
    where = settings.text("djangoproject.com") or (settings.files[0] if settings.files else found.manage)
    pairs = [version.pair for version in context.pythons]
    if match:
        written = Version(match[1] or match[2])
        release = _long_term_for(written, pairs)
        text = (
            f"Django>={release},<{release.major}.{release.minor + 1}"
            if release < Version("6")
            else f"Django>={release}"
        )
        reason = f"nothing is declared; the settings were made with Django {written}"
    else:
        text, reason = "Django", "nothing is declared; the newest that suits is taken"
    entry = line(text, where)
    assert entry is not None
    notes.found("Dependencies", text, f"{reason}. The rest is inferred from what the code imports", where=where)
    notes.warn(
        "nothing_declared",
        "No file names the packages this project needs; they are inferred from its imports.",
        where=where,
        fix="Add a requirements.txt with the output of pip freeze.",
    )
    return Declared("", lambda python, notes: (entry,), (entry,))


def capped(context: Context, declared: Declared, root: str, notes: Notes) -> Declared:
    """A Django without an upper bound, in code that uses what later versions removed: the bound that was meant."""
    entry = next((e for e in declared.pins if e.name == "django"), None)
    if (
        entry is None
        or entry.parsed.url
        or any(c.operator in ("==", "===", "~=", "<", "<=") for c in entry.parsed.specifier)
    ):
        return declared
    found = _removed(context.tree, root)
    if found is None:
        return declared
    gone_in, where = found
    parsed = entry.parsed
    parsed.specifier &= f"<{gone_in}"
    bound = entry.with_text(str(parsed))
    notes.found("Django", bound.text, f"the code uses what Django {gone_in} removed", where=where)
    resolve = declared.resolve
    return replace(
        declared,
        pins=tuple(bound if e.name == "django" else e for e in declared.pins),
        resolve=lambda python, notes: tuple(bound if e.name == "django" else e for e in resolve(python, notes)),
    )


def _removed(tree: Tree, root: str) -> tuple[str, str] | None:
    prefix = f"{root}/" if root else ""
    paths = [*imports.sources(tree, root), *[p for p in tree.own if p.startswith(prefix) and p.endswith(".html")][:60]]
    tree.prefetch(paths)
    for pattern, gone_in in REMOVED:
        compiled = re.compile(pattern, re.MULTILINE)
        for path in paths:
            match = compiled.search(tree.text(path))
            if match:
                return gone_in, f"{path}:{tree.text(path).count(chr(10), 0, match.start()) + 1}"
    return None


def settings_need(context: Context, found: Project, settings: Settings, box: Supply, *, default_file: str) -> None:
    """Modules that every start imports (settings, INSTALLED_APPS, middleware, root URLs) and that nothing provides."""
    tree = context.tree
    local = imports.local_names(tree, (found.root, *found.roots, ""))
    files = [*settings.files, *([default_file] if default_file else []), *_url_files(tree, settings)]
    imported = imports.foreign(imports.modules(tree, files), local)
    for text, where in [*settings.listed("APPS"), *settings.listed("MIDDLEWARE"), *settings.listed("BACKENDS")]:
        top = text.split(".")[0]
        if re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", text) and top not in local and top not in imports.STDLIB:
            imported.setdefault(text, where)
    box.modules({n: w for n, w in imported.items() if n.split(".")[0] != "django"}, "the settings name")
    source = settings.source
    if re.search(r"mongodb|djongo", source):
        box.notes.warn(
            "mongodb",
            "The settings use MongoDB; the platform gives the project a relational database instead.",
            where=settings.text("djongo", "mongodb"),
        )


def _url_files(tree: Tree, settings: Settings) -> list[str]:
    match = re.search(r"ROOT_URLCONF\s*=\s*[\"']([\w.]+)", settings.source)
    return list(tree.glob(f"**/{match[1].replace('.', '/')}.py"))[:1] if match else []


def uses_images(tree: Tree, root: str) -> bool:
    return any("ImageField(" in tree.text(p) for p in imports.sources(tree, root) if "model" in p)


def without_mysql(context: Context, given: Iterable[Line], root: str, notes: Notes) -> tuple[Line, ...]:
    """MySQL's driver needs MySQL's own files to compile, and the platform's database is another one."""
    given = tuple(given)
    wanted = context.panel.variables.get("DATABASE_URL", "").startswith("mysql")
    drivers = [entry for entry in given if entry.name in _MYSQL]
    if wanted or not drivers or any("MySQLdb" in context.tree.text(p) for p in imports.sources(context.tree, root)):
        return given
    notes.warn(
        "mysql_driver",
        f"{drivers[0].text} is left out: the platform gives the project a database of its own.",
        where=drivers[0].where,
    )
    return tuple(entry for entry in given if entry not in drivers)
