"""Project files that name dependencies: pyproject.toml, Pipfile, setup.py, setup.cfg, environment.yml."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterable, Mapping
from typing import Any

from apps.deployments.detect.declared import Line, line
from apps.deployments.tree import Tree, line_of

Table = Mapping[str, Any]  # decoded TOML: there is no closed type for it


def table(value: object, *keys: str) -> dict[str, Any]:
    """The nested table under the keys; empty when any of them is absent or of another kind."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _lines(texts: Iterable[str], path: str, source: str) -> tuple[Line, ...]:
    found = (line(text, f"{path}:{line_of(source, text) or 1}") for text in texts)
    return tuple(entry for entry in found if entry)


def project(data: Table, tree: Tree, path: str) -> tuple[Line, ...]:
    """[project] dependencies (PEP 621)."""
    return _lines(strings(table(data, "project").get("dependencies")), path, tree.text(path))


def poetry(data: Table, tree: Tree, path: str) -> tuple[Line, ...]:
    """[tool.poetry.dependencies], with poetry's own version language put into PEP 440."""
    wanted = table(data, "tool", "poetry", "dependencies")
    texts = [_poetry_text(name, spec) for name, spec in wanted.items() if name.lower() != "python"]
    return _lines([text for text in texts if text], path, tree.text(path))


def poetry_groups(data: Table) -> list[str]:
    """Names that a poetry project needs to run, optional ones left out."""
    wanted = table(data, "tool", "poetry", "dependencies")
    names = [n for n, s in wanted.items() if n.lower() != "python" and not (isinstance(s, dict) and s.get("optional"))]
    return names + [
        re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in strings(table(data, "project").get("dependencies"))
    ]


def _poetry_text(name: str, spec: object) -> str:
    if isinstance(spec, list):
        spec = spec[0] if spec else "*"
    if isinstance(spec, str):
        return f"{name}{specifier(spec)}"
    if not isinstance(spec, dict) or spec.get("optional") or spec.get("path"):
        return ""
    extras = f"[{','.join(strings(spec.get('extras')))}]" if spec.get("extras") else ""
    marker = f" ; {spec['markers']}" if isinstance(spec.get("markers"), str) else ""
    if spec.get("git"):
        ref = spec.get("rev") or spec.get("tag") or spec.get("branch")
        return f"{name}{extras} @ git+{spec['git']}" + (f"@{ref}" if ref else "") + marker
    return f"{name}{extras}{specifier(str(spec.get('version', '*')))}{marker}"


def specifier(text: str) -> str:
    """A caret, tilde, wildcard or plain constraint as PEP 440 (`^1.4` is `>=1.4,<2`)."""
    clauses = [_clause(part.strip()) for part in text.split("||")[0].split(",")]
    return ",".join(clause for clause in clauses if clause)


def _clause(text: str) -> str:
    if text in ("", "*"):
        return ""
    match = re.fullmatch(r"(\^|~(?!=)|[<>=!~]=?=?)?\s*v?([0-9][\w.*+-]*)", text)
    if match is None:
        return ""
    operator, number = match[1] or "", match[2]
    parts = [int(p) for p in re.findall(r"\d+", number)[:3]]
    if operator == "^":
        index = next((i for i, p in enumerate(parts) if p), len(parts) - 1)
        return f">={number},<{_bumped(parts, index)}"
    if operator == "~":
        return f">={number},<{_bumped(parts, min(1, len(parts) - 1))}"
    if not operator:
        return f"=={number}"
    return f"{'==' if operator == '=' else operator}{number}"


def _bumped(parts: list[int], index: int) -> str:
    return ".".join(map(str, [*parts[:index], parts[index] + 1]))


def pipfile(data: Table, tree: Tree, path: str) -> tuple[Line, ...]:
    """The [packages] of a Pipfile without a lock."""
    texts = []
    for name, spec in table(data, "packages").items():
        if isinstance(spec, dict):
            texts.append(_poetry_text(name, spec))
        else:
            texts.append(name if spec == "*" else f"{name}{spec}")
    return _lines([text for text in texts if text], path, tree.text(path))


def setup_cfg(tree: Tree, path: str) -> tuple[Line, ...]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(tree.text(path))
        text = parser.get("options", "install_requires", fallback="")
    except configparser.Error:
        return ()
    return _lines([entry.strip() for entry in text.splitlines() if entry.strip()], path, tree.text(path))


def setup_cfg_python(tree: Tree, path: str) -> str:
    match = re.search(r"^python_requires\s*=\s*(.+)$", tree.text(path), re.MULTILINE)
    return match[1].strip() if match else ""


def setup_py(tree: Tree, path: str) -> tuple[tuple[Line, ...], str, bool]:
    """Literal install_requires, python_requires, and whether there is something that only running it would tell."""
    module = tree.module(path)
    if module is None:
        return (), "", tree.has(path)
    names = {
        target.id: node.value
        for node in ast.walk(module)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    call = next((n for n in ast.walk(module) if isinstance(n, ast.Call) and _called(n) == "setup"), None)
    keywords = {k.arg: k.value for k in call.keywords} if call else {}
    value = keywords.get("install_requires")
    value = names.get(value.id, value) if isinstance(value, ast.Name) else value
    texts = _literal_strings(value)
    python = keywords.get("python_requires")
    wish = python.value if isinstance(python, ast.Constant) and isinstance(python.value, str) else ""
    return _lines(texts or [], path, tree.text(path)), wish, value is not None and texts is None


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _literal_strings(node: ast.expr | None) -> list[str] | None:
    if not isinstance(node, (ast.List, ast.Tuple)):
        return None
    return [e.value for e in node.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)]


def conda(tree: Tree, path: str) -> tuple[tuple[Line, ...], str, tuple[str, ...]]:
    """Lines under `pip:`, the Python wish, and names that only conda has. Known conda packages go to lines too."""
    lines: list[Line] = []
    skipped: list[str] = []
    python, in_pip = "", False
    for number, raw in enumerate(tree.text(path).splitlines(), start=1):
        match = re.fullmatch(r"(\s*)-\s*[\"']?([^\"'#]+?)[\"']?\s*(?:#.*)?", raw)
        if match is None:
            continue
        text = match[2].strip()
        if text == "pip:":
            in_pip = True
        elif in_pip:
            lines += [entry for entry in [line(text, f"{path}:{number}")] if entry]
        elif text.startswith("python") and (version := re.search(r"(\d\.\d+)", text)):
            python = version[1]
        elif name := re.match(r"(?:[\w-]+::)?([A-Za-z][\w.-]*)", text):
            lines, skipped = _conda_line(lines, skipped, name[1], text, f"{path}:{number}")
    return tuple(lines), python, tuple(skipped)


_CONDA_AS_IS = frozenset({"django", "pillow", "requests", "numpy", "pandas", "gunicorn", "whitenoise", "celery"})


def _conda_line(
    lines: list[Line], skipped: list[str], name: str, text: str, where: str
) -> tuple[list[Line], list[str]]:
    pinned = re.match(r".*?==?([0-9][\w.]*)", text)
    if name.lower() in _CONDA_AS_IS or name.lower().startswith(("django-", "djangorestframework")):
        entry = line(f"{name}=={pinned[1]}" if pinned else name, where)
        return ([*lines, entry] if entry else lines), skipped
    return lines, [*skipped, name]
