"""Lock files: uv.lock, poetry.lock, Pipfile.lock and pdm.lock, walked from what the project itself asks for."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name

from apps.deployments.detect.declared import Line, line
from apps.deployments.detect.notes import Notes
from apps.deployments.tree import Tree

Table = Mapping[str, Any]  # decoded TOML or JSON: there is no closed type for it
STRANGE = (TypeError, KeyError, AttributeError, ValueError, IndexError)  # what reading a file of another build raises


def load_toml(tree: Tree, path: str) -> dict[str, Any] | None:
    """The decoded file; None when it is absent or is not TOML."""
    if not tree.has(path):
        return None
    try:
        return tomllib.loads(tree.text(path))
    except (tomllib.TOMLDecodeError, RecursionError):
        return None


def load_json(tree: Tree, path: str) -> dict[str, Any] | None:
    """The decoded file; None when it is absent or is not a JSON object."""
    if not tree.has(path):
        return None
    try:
        value = json.loads(tree.text(path))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def holds(marker: object, python: str, extras: Iterable[str] = ("",)) -> bool:
    """Whether a marker is true on this Python on Linux; an unreadable one counts as true."""
    if not isinstance(marker, str) or not marker:
        return True
    place = {
        "python_version": python,
        "python_full_version": f"{python}.99",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    try:
        parsed = Marker(marker)
        return any(parsed.evaluate({**place, "extra": extra}) for extra in extras)
    except (InvalidMarker, KeyError, ValueError):
        return True


# --- uv --------------------------------------------------------------------------------------------------------


def uv_all(lock: Table, where: str) -> tuple[Line, ...]:
    """Every package of the lock, for judging its era."""
    found = (line(f"{p['name']}=={p['version']}", where) for p in _packages(lock) if p.get("version"))
    return tuple(entry for entry in found if entry)


def uv(lock: Table, root_name: str, python: str, where: str, notes: Notes) -> tuple[Line, ...]:
    """What the project needs to run: its dependencies and theirs, without development groups."""
    by_name: dict[str, list[Table]] = {}
    for package in _packages(lock):
        by_name.setdefault(canonicalize_name(str(package["name"])), []).append(package)
    roots = by_name.get(canonicalize_name(root_name)) or [p for p in _packages(lock) if _is_local(p)]
    todo: list[tuple[Table, str]] = [(package, "") for package in roots]
    seen: set[tuple[str, str]] = set()
    lines: dict[str, Line] = {}
    while todo:
        package, extra = todo.pop()
        for edge in _edges(package, extra):
            if not holds(edge.get("marker"), python):
                continue
            target = _pick(by_name.get(canonicalize_name(str(edge["name"])), []), edge, python)
            if target is None:
                continue
            for wanted in ("", *map(str, edge.get("extra", []))):
                key = (f"{target['name']} {target.get('version')}", wanted)
                if key not in seen:
                    seen.add(key)
                    todo.append((target, wanted))
            _add(lines, target, where, notes)
    return tuple(lines[name] for name in sorted(lines))


def _packages(lock: Table) -> list[Table]:
    packages = lock.get("package", [])
    return [p for p in packages if isinstance(p, dict) and p.get("name")] if isinstance(packages, list) else []


def _is_local(package: Table) -> bool:
    source = package.get("source", {})
    return isinstance(source, dict) and bool({"virtual", "editable"} & set(source))


def _edges(package: Table, extra: str) -> list[Table]:
    edges = package.get("optional-dependencies", {}).get(extra, []) if extra else package.get("dependencies", [])
    return [edge for edge in edges if isinstance(edge, dict) and edge.get("name")]


def _pick(candidates: list[Table], edge: Table, python: str) -> Table | None:
    """A lock may hold several versions of a package, for different Pythons."""
    fitting = [c for c in candidates if edge.get("version") in (None, c.get("version"))]
    for candidate in fitting:
        markers = candidate.get("resolution-markers")
        if not markers or any(holds(marker, python) for marker in markers):
            return candidate
    return fitting[0] if fitting else None


def _add(lines: dict[str, Line], package: Table, where: str, notes: Notes) -> None:
    source = package.get("source", {})
    name = canonicalize_name(str(package["name"]))
    if "git" in source:
        text = f"{name} @ git+{str(source['git']).split('?')[0].split('#')[0]}@{str(source['git']).split('#')[-1]}"
    elif "url" in source:
        text = f"{name} @ {source['url']}"
    elif {"path", "directory", "editable", "virtual"} & set(source):
        if not _is_local(package):
            notes.warn("local_file", f"{name} is locked to a local path and is left out.", where=where)
        return
    else:
        text = f"{name}=={package.get('version')}"
    entry = line(text, where)
    if entry:
        lines[name] = entry


# --- poetry ----------------------------------------------------------------------------------------------------


def poetry(lock: Table, wanted: Iterable[str], python: str, where: str) -> tuple[Line, ...]:
    """What the named packages need, as the lock pins them. Markers of poetry edges are read as well."""
    by_name = {canonicalize_name(str(p["name"])): p for p in _packages(lock) if _poetry_fits(p, python)}
    todo = [canonicalize_name(name) for name in wanted]
    seen: set[str] = set()
    lines: list[Line] = []
    while todo:
        name = todo.pop()
        package = by_name.get(name)
        if name in seen or package is None:
            continue
        seen.add(name)
        entry = line(_poetry_line(name, package), where)
        if entry:
            lines.append(entry)
        todo += [canonicalize_name(d) for d, spec in _poetry_edges(package) if _edge_holds(spec, python)]
    return tuple(sorted(lines, key=lambda entry: entry.name))


def _poetry_edges(package: Table) -> list[tuple[str, object]]:
    edges = package.get("dependencies", {})
    return list(edges.items()) if isinstance(edges, dict) else []


def _edge_holds(spec: object, python: str) -> bool:
    """Optional edges belong to extras; taking those that the lock holds anyway does no harm."""
    options = spec if isinstance(spec, list) else [spec]
    return any(not isinstance(o, dict) or holds(o.get("markers"), python) for o in options)


def _poetry_fits(package: Table, python: str) -> bool:
    return holds(package.get("markers"), python)


def _poetry_line(name: str, package: Table) -> str:
    source = package.get("source", {})
    if isinstance(source, dict) and source.get("type") == "git":
        return f"{name} @ git+{source.get('url')}@{source.get('resolved_reference') or source.get('reference')}"
    if isinstance(source, dict) and source.get("type") == "url":
        return f"{name} @ {source.get('url')}"
    return f"{name}=={package.get('version')}"


# --- pipenv and pdm --------------------------------------------------------------------------------------------


def pipenv(lock: Table, python: str, where: str) -> tuple[Line, ...]:
    """The default section of a Pipfile.lock."""
    lines = []
    section = lock.get("default", {})
    for name, pin in section.items() if isinstance(section, dict) else ():
        if isinstance(pin, dict) and holds(pin.get("markers"), python):
            entry = line(_pipenv_line(name, pin), where)
            lines += [entry] if entry else []
    return tuple(lines)


def _pipenv_line(name: str, pin: Table) -> str:
    extras = f"[{','.join(pin['extras'])}]" if pin.get("extras") else ""
    if pin.get("git"):
        return f"{name}{extras} @ git+{pin['git']}" + (f"@{pin['ref']}" if pin.get("ref") else "")
    return f"{name}{extras}{pin.get('version', '')}".removesuffix("*")


def pdm(lock: Table, python: str, where: str) -> tuple[Line, ...]:
    """The default group of a pdm.lock."""
    found = []
    for package in _packages(lock):
        if "default" in package.get("groups", ["default"]) and holds(package.get("marker"), python):
            found.append(line(f"{package['name']}=={package.get('version')}", where))
    return tuple(entry for entry in found if entry)
