"""What a person set in the panel over the contract and over detection, as kept in the deployment's row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from apps.core.errors import Invalid
from webops_host import codec
from webops_host.errors import BadValue
from webops_host.names import ProcessKind, PythonVersion
from webops_host.values import ProjectLine


@dataclass(frozen=True, slots=True)
class Overrides:
    """Empty and None mean: not set here. `publish` is a folder; `build`, `web` and `release` are command lines;
    `counts` are copies by process kind."""

    kind: str = ""
    python: str = ""
    publish: str = ""
    build: str = ""
    web: str = ""
    release: str = ""
    settings: str = ""
    health_path: str = ""
    health_timeout: float | None = None
    memory_mib: int | None = None
    cpu_percent: int | None = None
    tasks: int | None = None
    workers: int | None = None
    counts: dict[ProcessKind, int] = field(default_factory=dict)
    overlay: bool | None = None
    migrate: bool | None = None
    collectstatic: bool | None = None


def check(data: dict[str, Any]) -> dict[str, Any]:
    """The same settings, checked, without those that are not set. Raises Invalid with the field."""
    try:
        value = codec.load(Overrides, data)
    except BadValue as error:
        raise Invalid.of("overrides", error) from None
    _check_texts(value)
    _check_numbers(value)
    return {name: item for name, item in codec.dump(value).items() if item not in ("", None, {})}


def _check_texts(value: Overrides) -> None:
    for name, kind in (
        ("python", PythonVersion),
        ("build", ProjectLine),
        ("web", ProjectLine),
        ("release", ProjectLine),
    ):
        text = getattr(value, name)
        if text:
            try:
                kind(text)
            except BadValue as error:
                raise Invalid.of(name, error) from None
    if value.kind not in ("", "static", "django", "python"):
        raise Invalid("The kind is static, django or python.", fields={"kind": ["Use static, django or python."]})


def _check_numbers(value: Overrides) -> None:
    for name, low, high in (
        ("memory_mib", 64, 8192),
        ("cpu_percent", 10, 800),
        ("workers", 1, 16),
        ("tasks", 16, 32768),
    ):
        number = getattr(value, name)
        if number is not None and not low <= number <= high:
            raise Invalid(f"{name} is {low} to {high}.", fields={name: [f"Use a whole number from {low} to {high}."]})
    for process, count in value.counts.items():
        if not 0 <= count <= 16:
            raise Invalid(f"{count} copies of {process} can not be had.", fields={"counts": ["Use 0 to 16 copies."]})


def of(data: dict[str, Any]) -> Overrides:
    """The kept settings as a value."""
    return codec.load(Overrides, data)
