"""The Python environment of a plan: version, lines and digest, from what is declared, imported and forgotten."""

from __future__ import annotations

import hashlib
import json
import sysconfig
from collections.abc import Iterable

from apps.deployments.detect import clean, dependencies, imports, pythons, requirements
from apps.deployments.detect.choices import Context
from apps.deployments.detect.declared import Declared, Line
from apps.deployments.detect.generators import Environment
from apps.deployments.detect.notes import Notes
from apps.deployments.detect.supply import Supply
from apps.deployments.tree import Tree
from webops_host.names import Digest, PythonVersion, RelativePath
from webops_host.values import PythonPlan


def version(context: Context, declared: Declared, home: str, notes: Notes) -> PythonVersion:
    """The Python to plan for a project whose code lies in `home`."""
    folders = dict.fromkeys([*dependencies.folders(context.tree, home), *context.folders])
    wished = (*declared.wishes, *pythons.wishes(context.tree, folders))
    firm = tuple(wish for wish in wished if wish.firm)
    soft = sorted((w for w in wished if not w.firm), key=lambda w: not w.where.startswith((".python", "runtime")))
    choice = context.python
    asked = pythons.Asked(PythonVersion(choice.value), choice.origin, choice.where) if choice else None
    return pythons.choose(context.pythons, (*firm, *soft), declared.pins, asked, notes)


def lines(declared: Declared, python: PythonVersion, notes: Notes) -> tuple[Line, ...]:
    """What is declared, made fit for this Python and this kind of machine."""
    found = clean.relaxed(clean.lines(declared.resolve(python, notes), python, notes), python, notes)
    if declared.source:
        kind = "locked" if declared.locked else "named"
        reason = f"{len(found)} packages are {kind} there"
        if declared.others:
            reason += f"; {', '.join(declared.others[:3])} did not count"
        notes.found("Dependencies", declared.source, reason, where=declared.source)
    return found


def known_lines(tree: Tree) -> dict[str, Line]:
    """Lines of all requirement files of the repository by name: where something has to be added, its version."""
    found: dict[str, Line] = {}
    for path in tree.glob("**/*requirements*.txt", "**/requirements/*.txt")[:12]:
        for entry in requirements.read(tree, path, Notes()).lines:
            if entry.parsed.url is None:
                found.setdefault(entry.name, entry)
    return found


def infer(context: Context, home: str, supply: Supply, notes: Notes) -> None:
    """Nothing is declared: what the code imports, as far as it is well known."""
    tree = context.tree
    imported = imports.modules(tree, imports.sources(tree, home))
    foreign = imports.foreign(imported, imports.local_names(tree, (home, "")))
    tops: dict[str, str] = {}
    for name, where in foreign.items():
        tops.setdefault(name if name.startswith("google.") else name.split(".")[0], where)
    tops.pop("django", None)
    unknown = supply.modules(tops, "the code imports")
    everywhere = imports.all_names(tree)
    strange = [(name, where) for name, where in unknown if name not in everywhere]
    if strange:
        names = ", ".join(f"{name} ({where})" for name, where in strange[:8])
        notes.warn("imports_unknown", f"Imported, declared nowhere and not well known: {names}.", where=strange[0][1],
                   fix="Add a requirements.txt that names the packages.")  # fmt: skip


def build(tree: Tree, python: PythonVersion, found: Iterable[Line], project: str | None, notes: Notes) -> PythonPlan:
    """The environment as a value. Its digest changes with whatever would make another one of it."""
    texts = tuple(sorted({entry.text for entry in found}, key=str.lower))
    key = {
        "python": python,
        "requirements": texts,
        "platform": sysconfig.get_platform(),
        "project": None if project is None else (project, content_digest(tree, _project_files(tree, project))),
    }
    digest = Digest(hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest())
    if project is not None:
        notes.found(
            "Project", project or "the root", "it is installed too: only running its set-up tells what it needs"
        )
    return PythonPlan(python, texts, digest, None if project is None else RelativePath(project))


def _project_files(tree: Tree, project: str) -> list[str]:
    prefix = f"{project}/" if project else ""
    wanted = (".py", ".toml", ".cfg", ".txt", ".in")
    return [p for p in tree.own if p.startswith(prefix) and p.endswith(wanted)]


def content_digest(tree: Tree, paths: Iterable[str], large: int = 128 << 10) -> str:
    """Over paths and contents; of large files, over their size."""
    paths = sorted(paths)
    tree.prefetch(path for path in paths if tree.size(path) <= large)
    total = hashlib.sha256()
    for path in paths:
        size = tree.size(path)
        content = tree.content(path) if size <= large else b""
        total.update(f"{path}\0{size}\0".encode() + hashlib.sha256(content).digest())
    return total.hexdigest()


def text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def for_generator(context: Context, notes: Notes) -> Environment:
    """How a static generator gets its environment: its own packages, and what its requirements file pins."""

    def make(declared: Declared, packages: tuple[str, ...]) -> PythonPlan:
        python = version(context, declared, context.root, notes)
        supply = Supply(lines(declared, python, notes), {}, notes)
        for package in packages:
            supply.add(package, "the generator needs it")
        return build(context.tree, python, supply.lines.values(), declared.project, notes)

    return make
