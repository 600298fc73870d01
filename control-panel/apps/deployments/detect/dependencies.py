"""Which of a repository's files says what it depends on."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from apps.deployments.detect import locks, projects, requirements
from apps.deployments.detect.declared import Declared, Line, Wish
from apps.deployments.detect.notes import Notes
from apps.deployments.tree import Tree, line_of

REQUIREMENTS = (
    "requirements/production.txt", "requirements/prod.txt", "requirements/deploy.txt", "requirements-production.txt",
    "requirements-prod.txt", "requirements_production.txt", "requirements_prod.txt", "requirements/base.txt",
    "requirements/common.txt", "requirements-base.txt", "requirements.txt", "requirements/requirements.txt",
    "requirements/main.txt", "requirements/default.txt", "Requirements.txt", "requirement.txt", "reqs.txt",
    "requirements.pip", "requirements",
)  # fmt: skip
_NOT_FOR_RUNNING = re.compile(
    r"(^|[-_./])(dev|develop|development|test|tests|testing|local|docs?|lint|ci|style)([-_./]|$)"
)
_BRINGS_DJANGO = frozenset(
    {"django", "wagtail", "django-cms", "mezzanine", "django-oscar", "djangorestframework", "saleor"}
)

Reader = Callable[[Tree, str, Notes], Declared | None]


def folders(tree: Tree, start: str) -> list[str]:
    """The folder and those above it, nearest first."""
    found = [start]
    while start:
        start = posixpath.dirname(start)
        found.append(start)
    return found


def read(tree: Tree, start: str, notes: Notes, *, django: bool) -> Declared:
    """The declaration that counts: the nearest, locks before wishes, and one that brings Django where it is needed."""
    found = [pair for folder in folders(tree, start) for pair in _in_folder(tree, folder)]
    if not any(declared.pins or declared.project is not None for declared, _ in found):
        found += [pair for path in _elsewhere(tree) for pair in _tried(_requirements_file, tree, path)]
    full = [pair for pair in found if pair[0].pins or pair[0].project is not None]
    wishes = tuple(wish for declared, _ in found for wish in declared.wishes)
    if not full:
        return Declared(wishes=wishes)
    brings = (pair for pair in full if not _BRINGS_DJANGO.isdisjoint(entry.name for entry in pair[0].pins))
    chosen, said = (next(brings, None) if django else None) or full[0]
    notes.problems += said.problems
    others = tuple(declared.source for declared, _ in full if declared.source != chosen.source)
    wishes = chosen.wishes + tuple(w for w in wishes if w not in chosen.wishes)
    return replace(chosen, wishes=wishes, others=tuple(dict.fromkeys(others)))


def from_file(tree: Tree, path: str, notes: Notes) -> Declared:
    """What one requirements file declares."""
    return _requirements_file(tree, path, notes) or Declared()


def _in_folder(tree: Tree, folder: str) -> Iterator[tuple[Declared, Notes]]:
    for name, reader in _READERS:
        path = posixpath.join(folder, name)
        if tree.has(path):
            yield from _tried(reader, tree, path)


def _tried(reader: Reader, tree: Tree, path: str) -> Iterator[tuple[Declared, Notes]]:
    """What one file declares, with notes of its own: only those of the file that counts are kept."""
    said = Notes()
    try:
        declared = reader(tree, path, said)
        if declared is not None:
            declared.resolve("3.12", Notes())
    except locks.STRANGE:
        said.warn("file_unreadable", f"{path} is not built as such a file is and is ignored.", where=path)
        declared = Declared(path)
    if declared is not None:
        yield declared, said


def _elsewhere(tree: Tree) -> tuple[str, ...]:
    paths = tree.glob("**/requirements*.txt", "**/requirements/*.txt")
    return tuple(path for path in paths if not _NOT_FOR_RUNNING.search(path))[:3] or paths[:2]


def _steady(lines: tuple[Line, ...]) -> Callable[[str, Notes], tuple[Line, ...]]:
    return lambda python, notes: lines


# --- one reader a file -----------------------------------------------------------------------------------------


def _uv_lock(tree: Tree, path: str, notes: Notes) -> Declared | None:
    lock = locks.load_toml(tree, path)
    pyproject = posixpath.join(posixpath.dirname(path), "pyproject.toml")
    name = str(projects.table(locks.load_toml(tree, pyproject), "project").get("name", ""))
    if lock is None:
        _broken(path, notes)
        return None
    resolve = partial(_resolve_uv, lock, name, path)
    wish = Wish(
        str(lock.get("requires-python", "")), f"{path}:{line_of(tree.text(path), 'requires-python')}", firm=True
    )
    return Declared(path, resolve, locks.uv_all(lock, path), (wish,) if wish.text else (), locked=True)


def _resolve_uv(lock: locks.Table, name: str, path: str, python: str, notes: Notes) -> tuple[Line, ...]:
    return locks.uv(lock, name, python, path, notes)


def _poetry_lock(tree: Tree, path: str, notes: Notes) -> Declared | None:
    lock = locks.load_toml(tree, path)
    pyproject = posixpath.join(posixpath.dirname(path), "pyproject.toml")
    data = locks.load_toml(tree, pyproject)
    if lock is None or data is None:
        _broken(path, notes)
        return None
    names = projects.poetry_groups(data)
    return Declared(
        path,
        lambda python, notes: locks.poetry(lock, names, python, path),
        locks.uv_all(lock, path),
        _pyproject_wishes(data, tree, pyproject),
        locked=True,
    )


def _pdm_lock(tree: Tree, path: str, notes: Notes) -> Declared | None:
    lock = locks.load_toml(tree, path)
    if lock is None:
        _broken(path, notes)
        return None
    return Declared(path, lambda python, notes: locks.pdm(lock, python, path), locks.uv_all(lock, path), locked=True)


def _pipfile_lock(tree: Tree, path: str, notes: Notes) -> Declared | None:
    lock = locks.load_json(tree, path)
    if lock is None:
        _broken(path, notes)
        return None
    wished = projects.table(lock, "_meta", "requires").get("python_version")
    wishes = (Wish(str(wished), path),) if wished else ()
    pins = locks.pipenv(lock, "", path)
    return Declared(path, lambda python, notes: locks.pipenv(lock, python, path), pins, wishes, locked=True)


def _requirements_file(tree: Tree, path: str, notes: Notes) -> Declared | None:
    got = requirements.read(tree, path, notes)
    lines, project, wishes = tuple(got.lines), got.project, []
    if project is not None:
        inner = _setup(tree, project)
        if inner is not None and inner.project is None:  # its dependencies can be read, its code is on the path anyway
            lines, project, wishes = lines + inner.pins, None, list(inner.wishes)
    return Declared(path, _steady(lines), lines, tuple(wishes), project)


def _compiled_first(tree: Tree, path: str, notes: Notes) -> Declared | None:
    """A requirements.txt that pip-compile or uv wrote is the lock of the pyproject.toml beside it."""
    head = tree.text(path)[:600].lower()
    return _requirements_file(tree, path, notes) if "autogenerated by" in head else None


def _pyproject(tree: Tree, path: str, notes: Notes) -> Declared | None:
    data = locks.load_toml(tree, path)
    if data is None:
        _broken(path, notes)
        return None
    wishes = _pyproject_wishes(data, tree, path)
    lines = projects.project(data, tree, path) or projects.poetry(data, tree, path)
    if lines:
        return Declared(path, _steady(lines), lines, wishes)
    folder = posixpath.dirname(path)
    if "dependencies" in projects.strings(projects.table(data, "project").get("dynamic")):
        return _setup(tree, folder) or Declared(path, wishes=wishes, project=folder)
    return Declared(path, wishes=wishes) if wishes else None


def _pyproject_wishes(data: locks.Table, tree: Tree, path: str) -> tuple[Wish, ...]:
    text = tree.text(path)
    requires = projects.table(data, "project").get("requires-python")
    if isinstance(requires, str):
        return (Wish(requires, f"{path}:{line_of(text, 'requires-python')}", firm=True),)
    poetry = projects.table(data, "tool", "poetry", "dependencies").get("python")
    if isinstance(poetry, str):
        return (Wish(projects.specifier(poetry), f"{path}:{line_of(text, 'python =')}", firm=True),)
    return ()


def _pipfile(tree: Tree, path: str, notes: Notes) -> Declared | None:
    data = locks.load_toml(tree, path)
    if data is None:
        _broken(path, notes)
        return None
    lines = projects.pipfile(data, tree, path)
    wished = projects.table(data, "requires").get("python_version")
    return Declared(path, _steady(lines), lines, (Wish(str(wished), path),) if wished else ())


def _setup_file(tree: Tree, path: str, notes: Notes) -> Declared | None:
    return _setup(tree, posixpath.dirname(path))


def _setup(tree: Tree, folder: str) -> Declared | None:
    """setup.cfg, setup.py or pyproject.toml of a folder that is to be installed."""
    cfg, script = posixpath.join(folder, "setup.cfg"), posixpath.join(folder, "setup.py")
    pyproject = posixpath.join(folder, "pyproject.toml")
    lines = projects.setup_cfg(tree, cfg) if tree.has(cfg) else ()
    python, unknown = projects.setup_cfg_python(tree, cfg) if tree.has(cfg) else "", False
    source = cfg
    if not lines and tree.has(script):
        lines, said, unknown = projects.setup_py(tree, script)
        python, source = said or python, script
    data = locks.load_toml(tree, pyproject) or {}
    if not lines and projects.project(data, tree, pyproject):
        lines, source = projects.project(data, tree, pyproject), pyproject
    wishes = (Wish(python, source, firm=True),) if python else _pyproject_wishes(data, tree, pyproject)
    if lines:
        return Declared(source, _steady(lines), lines, wishes)
    return Declared(source, wishes=wishes, project=folder) if unknown else None


def _conda(tree: Tree, path: str, notes: Notes) -> Declared | None:
    lines, python, skipped = projects.conda(tree, path)
    if skipped and any(entry.name == "django" for entry in lines):
        names = ", ".join(skipped[:12])
        notes.warn("conda_packages", f"Left out, as they come from conda and not from PyPI: {names}.", where=path)
    return Declared(path, _steady(lines), lines, (Wish(python, path),) if python else ())


def _broken(path: str, notes: Notes) -> None:
    notes.warn("file_unreadable", f"{path} can not be read and is ignored.", where=path)


_READERS: tuple[tuple[str, Reader], ...] = (
    ("uv.lock", _uv_lock),
    ("poetry.lock", _poetry_lock),
    ("pdm.lock", _pdm_lock),
    ("Pipfile.lock", _pipfile_lock),
    ("requirements.txt", _compiled_first),
    ("pyproject.toml", _pyproject),
    *((name, _requirements_file) for name in REQUIREMENTS),
    ("Pipfile", _pipfile),
    ("setup.cfg", _setup_file),
    ("setup.py", _setup_file),
    ("environment.yml", _conda),
    ("environment.yaml", _conda),
    ("requirements/local.txt", _requirements_file),
    ("requirements/dev.txt", _requirements_file),
    ("requirements-dev.txt", _requirements_file),
    ("requirements_dev.txt", _requirements_file),
)
