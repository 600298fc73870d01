"""What is wrong with a webops.toml, said with file, line, the nearest known key and an example."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from apps.deployments.plan import Problem, Severity

if typing.TYPE_CHECKING:
    from apps.deployments.contract import Contract, PlatformLimits

Path = tuple[str | int, ...]
_WORDS = {
    "string_type": "must be text in quotes", "int_type": "must be a whole number, without quotes",
    "bool_type": "must be true or false, without quotes", "dict_type": "must be a table",
    "model_type": "must be a table", "missing": "is missing", "list_type": "must be a list of tables: [[…]]",
}  # fmt: skip


def _problem(message: str, fix: str, where: str) -> Problem:
    return Problem("contract_invalid", Severity.BLOCKER, message, fix, where)


def not_toml(message: str, path: str) -> Problem:
    line = re.search(r"line (\d+)", message)
    where = f"{path}:{line[1]}" if line else path
    return _problem(f"{where} is not TOML: {message}.", "Put texts in quotes and write each key once.", where)


class Lines:
    """Where keys stand in the text: TOML values do not remember it."""

    def __init__(self, text: str, path: str, prefix: tuple[str, ...]) -> None:
        self.path = path
        self.prefix = prefix
        self.places: dict[Path, int] = {}
        table: Path = ()
        counts: dict[Path, int] = {}
        for number, raw in enumerate(text.splitlines(), start=1):
            line = raw.strip()
            if head := re.match(r"\[\[\s*([^\]]+?)\s*\]\]", line):
                name = _keys(head[1])
                counts[name] = counts.get(name, -1) + 1
                table = (*name, counts[name])
            elif head := re.match(r"\[\s*([^\]]+?)\s*\]", line):
                table = _keys(head[1])
            elif key := re.match(r"([A-Za-z0-9_.\"'-]+)\s*=", line):
                self.places.setdefault((*table, *_keys(key[1])), number)
            self.places.setdefault(table, number)

    def number(self, path: Path) -> int:
        """The line of the key, or of the nearest table around it."""
        whole: Path = (*self.prefix, *path)
        while whole:
            if whole in self.places:
                return self.places[whole]
            whole = whole[:-1]
        return 1

    def problem(self, path: Path, message: str, fix: str) -> Problem:
        where = f"{self.path}:{self.number(path)}"
        return _problem(f"{where}: {message}", fix, where)


def _keys(text: str) -> Path:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def problems(refused: ValidationError, root: type[BaseModel], lines: Lines) -> tuple[Problem, ...]:
    """One problem a mistake; what pydantic says of the other half of a union is left out."""
    found: dict[tuple[str, str], Problem] = {}
    for error in sorted(refused.errors(), key=lambda e: -len(e["loc"])):
        path = tuple(part for part in error["loc"] if part in _steps(root, error["loc"]))
        problem = _said(error["type"], error["msg"], path, root, lines)
        found.setdefault((problem.where, ".".join(map(str, path[:2]))), problem)
    return tuple(sorted(found.values(), key=lambda p: int(p.where.rsplit(":", 1)[1])))


def _steps(root: type[BaseModel], loc: Path) -> set[str | int]:
    """The parts of a location that are keys, not names of union members or checks."""
    return {p for p in loc if isinstance(p, int) or not re.search(r"[\[(]|^Process$|^str$|^function-", p)}


def _said(kind: str, message: str, path: Path, root: type[BaseModel], lines: Lines) -> Problem:
    model, field = _model(root, path)
    name = str(path[-1]) if path else ""
    table = f"[{'.'.join(str(p) for p in path[:-1] if isinstance(p, str))}]" if len(path) > 1 else "the file"
    if kind == "extra_forbidden":
        known = list(model.model_fields) if model else []
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        example = _example(model.model_fields[near[0]]) if model and near else ""
        hint = f" Did you mean “{near[0]}”?" if near else f" Known here: {', '.join(known)}."
        return lines.problem(path, f"“{name}” is not known in {table}.{hint}", example or "Remove the line.")
    words = _WORDS.get(kind) or message.removeprefix("Value error, ").rstrip(".")
    joint = " " if kind in _WORDS else ": "
    return lines.problem(path, f"“{name}” in {table}{joint}{words}.", _example(field) if field else "")


def _example(field: FieldInfo) -> str:
    examples = field.examples or []
    if examples:
        return f"For example: {examples[0]}"
    inner = _table(field.annotation)
    return f"For example: {_example(next(iter(inner.model_fields.values())))[13:]}" if inner else ""


def _model(root: type[BaseModel], path: Path) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """The table that holds the last key of a path, and the field of that key."""
    model: type[BaseModel] | None = root
    field: FieldInfo | None = None
    for index, part in enumerate(path):
        if isinstance(part, int) or model is None:
            continue
        inner = model.model_fields.get(part)
        if inner is None:
            return model, field
        field = inner
        if index < len(path) - 1:
            model = _table(field.annotation)
    return model, field


def _table(annotation: object) -> type[BaseModel] | None:
    """The table model inside an annotation such as `Health | None`, `list[Cron]` or `dict[str, str | Process]`."""
    if (
        isinstance(annotation, type)
        and not isinstance(annotation, types.GenericAlias)
        and issubclass(annotation, BaseModel)
    ):
        return annotation
    return next((found for inner in typing.get_args(annotation) if (found := _table(inner))), None)


# --- limits ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    path: Path
    value: int | None
    most: int
    text: str
    fix: str


def over_limits(contract: Contract, limits: PlatformLimits, lines: Lines) -> tuple[Problem, ...]:
    """A problem for every wish above what the platform gives."""
    asked = [*_asked(contract, limits), *_asked_by_processes(contract, limits)]
    return tuple(
        lines.problem(a.path, f"“{a.path[-1]}” is above the platform's limit of {a.text}.", a.fix)
        for a in asked
        if a.value is not None and a.value > a.most
    )


def _asked(contract: Contract, limits: PlatformLimits) -> Iterator[_Asked]:
    r = contract.resources
    health = contract.deploy.health
    yield _memory(("resources", "memory"), r.memory, limits)
    yield _cpu(("resources", "cpu"), r.cpu, limits)
    yield _Asked(
        ("resources", "tasks"), r.tasks, limits.tasks, str(limits.tasks), f"For example: tasks = {limits.tasks}"
    )
    yield _Asked(
        ("deploy", "health"),
        health.timeout if health else None,
        limits.health_seconds,
        f"{limits.health_seconds}s",
        f'For example: timeout = "{limits.health_seconds}s"',
    )
    yield _Asked(("cron",), len(contract.cron), limits.crons, f"{limits.crons} schedules", "Remove some.")
    yield _Asked(("processes",), len(contract.processes), limits.processes, f"{limits.processes} kinds", "Remove some.")


def _asked_by_processes(contract: Contract, limits: PlatformLimits) -> Iterator[_Asked]:
    for kind, process in contract.processes.items():
        if not isinstance(process, str):
            yield _memory(("processes", kind, "memory"), process.memory, limits)
            yield _cpu(("processes", kind, "cpu"), process.cpu, limits)
            yield _Asked(
                ("processes", kind, "count"),
                process.count,
                limits.copies,
                f"{limits.copies} copies",
                f"For example: count = {limits.copies}",
            )


def _memory(path: Path, value: int | None, limits: PlatformLimits) -> _Asked:
    return _Asked(
        path, value, limits.memory_mib, f"{limits.memory_mib}M", f'For example: memory = "{limits.memory_mib}M"'
    )


def _cpu(path: Path, value: int | None, limits: PlatformLimits) -> _Asked:
    return _Asked(
        path, value, limits.cpu_percent, f"{limits.cpu_percent}%", f'For example: cpu = "{limits.cpu_percent}%"'
    )
