"""Values to JSON and back, by their types: the one form in which they cross a socket or are kept in a row.

`load` builds every value through its own constructor, so that what arrives has been checked again; an unknown or
missing field, or a value of another type or range, raises BadValue. A `bool` is never taken for a number.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, Union, cast

from webops_host.errors import BadValue

T = TypeVar("T")
Json = Any  # what json.loads gives: there is no closed type for it


def dump(value: object) -> Json:
    """The JSON form of a value: dataclasses as objects, tuples as lists, bytes in base64."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: dump(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): dump(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, set, frozenset)):
        return [dump(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def load(kind: type[T], data: Json) -> T:
    """A value of the type from its JSON form."""
    return cast(T, _load(kind, data))


def _load(kind: Any, data: Json) -> Any:
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        return _load_union(typing.get_args(kind), data)
    if origin is typing.Annotated:
        number, allowed = typing.get_args(kind)
        return _load_in_range(number, allowed, data)
    if origin is tuple:
        item = typing.get_args(kind)[0]
        return tuple(_load(item, entry) for entry in _expect(list, data))
    if origin is not None and issubclass(origin, Mapping):
        key, value = typing.get_args(kind)
        return {_load(key, k): _load(value, v) for k, v in _expect(dict, data).items()}
    if dataclasses.is_dataclass(kind):
        return _load_dataclass(cast(type, kind), data)
    return _load_plain(kind, data)


def _load_plain(kind: Any, data: Json) -> Any:
    if kind is type(None):
        return _expect(type(None), data)
    if kind is float:
        return float(_expect((int, float), data))
    if kind is bytes:
        return base64.b64decode(_expect(str, data), validate=True)
    if kind in (bool, int):
        return _expect(kind, data)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(data)
        except ValueError:
            raise BadValue(f"{data!r:.80} is not one of {', '.join(str(e.value) for e in kind)}.") from None
    if isinstance(kind, type) and issubclass(kind, str):
        return kind(_expect(str, data))
    raise TypeError(f"{kind!r} can not be loaded")


def _load_in_range(kind: type, allowed: range, data: Json) -> Any:
    number = _load(kind, data)
    if number not in allowed:
        raise BadValue(f"{number!r:.80} is not a number from {allowed.start} to {allowed.stop - 1}.")
    return number


def _load_union(choices: tuple[Any, ...], data: Json) -> Any:
    """The choice whose fields fit; None only for null."""
    if data is None and type(None) in choices:
        return None
    error: BadValue | None = None
    for choice in choices:
        if choice is type(None):
            continue
        try:
            return _load(choice, data)
        except BadValue as refused:
            error = refused
    raise error or BadValue(f"{data!r:.80} does not fit.")


@cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    hints = typing.get_type_hints(kind, include_extras=True)
    missing = dataclasses.MISSING
    return {
        field.name: (hints[field.name], field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(kind)
    }


def _load_dataclass(kind: type, data: Json) -> Any:
    given = _expect(dict, data)
    fields = _fields(kind)
    unknown = sorted(set(given) - set(fields))
    missing = sorted(name for name, (_, required) in fields.items() if required and name not in given)
    if unknown or missing:
        raise BadValue(f"{kind.__name__}: unknown {unknown!s:.200}, missing {missing}.")
    return kind(**{name: _load(fields[name][0], value) for name, value in given.items()})


def _expect(kind: Any, data: Json) -> Any:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(data, kinds) or (isinstance(data, bool) and bool not in kinds):
        names = " or ".join(k.__name__ for k in kinds)
        raise BadValue(f"{data!r:.80} is not of type {names}.")
    return data
