"""The closed list of what a host can be asked, read from the port protocols.

Whoever stands between a caller and a host (the socket, a fence, a test's recorder) works from this list, so none of
them can drift from the ports or let anything else through.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from webops_host import codec, ports
from webops_host.errors import BadValue
from webops_host.names import DeploymentName
from webops_host.values import Console, Runtime, Site, Unit, UnitRef

PORTS: Mapping[str, type] = {
    "accounts": ports.Accounts,
    "sources": ports.Sources,
    "builds": ports.Builds,
    "commands": ports.Commands,
    "processes": ports.Processes,
    "timers": ports.Timers,
    "sites": ports.Sites,
    "certificates": ports.Certificates,
    "databases": ports.Databases,
    "meters": ports.Meters,
}

READS = frozenset(
    {
        "accounts.releases", "accounts.leftovers", "sources.listing", "sources.read", "builds.pythons",
        "processes.status", "processes.ready", "processes.logs", "timers.runs", "sites.address", "sites.drain",
        "certificates.check", "certificates.status", "databases.size", "databases.facts", "databases.dumps",
        "databases.read", "meters.disk", "meters.space", "host.describe", "host.explain",
    }
)  # fmt: skip

Values = dict[str, Any]  # arguments by parameter name, each of its parameter's type


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one port. `streams` when it takes a console; `changes` when a late caller must be kept out."""

    port: str
    method: str
    parameters: Mapping[str, Any]
    required: frozenset[str]
    result: Any
    signature: inspect.Signature

    @property
    def name(self) -> str:
        return f"{self.port}.{self.method}"

    @property
    def streams(self) -> bool:
        return "console" in self.signature.parameters

    @property
    def changes(self) -> bool:
        return self.name not in READS

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Values:
        """Arguments as a caller gave them, by name; the console, if any, under `console`."""
        return dict(self.signature.bind(*args, **kwargs).arguments)

    def load(self, params: codec.Json) -> Values:
        """Arguments from their JSON form, each checked by its own type. Raises BadValue naming the field."""
        if not isinstance(params, dict):
            raise BadValue(f"{self.name}: the parameters are not an object.")
        unknown = sorted(set(params) - set(self.parameters))
        missing = sorted(self.required - set(params))
        if unknown or missing:
            raise BadValue(f"{self.name}: unknown {unknown!s:.200}, missing {missing}.")
        return {key: self._load_one(key, value) for key, value in params.items()}

    def _load_one(self, key: str, value: codec.Json) -> Any:
        try:
            return codec.load(self.parameters[key], value)
        except (ValueError, OverflowError, RecursionError) as error:
            raise BadValue(f"{self.name}: {key}: {error}", hint=getattr(error, "hint", "")) from error


def deployment_of(values: Values) -> DeploymentName | None:
    """Which deployment a call is about."""
    for value in values.values():
        match value:
            case DeploymentName():
                return value
            case UnitRef() | Runtime() | Site():
                return value.name
            case Unit():
                return value.ref.name
    return None


def perform(host: ports.Host, operation: Operation, values: Values) -> Any:
    """Do the operation on a host that is here."""
    part = host if operation.port == "host" else getattr(host, operation.port)
    return getattr(part, operation.method)(**values)


def _portable(hint: Any) -> Any:
    """The type that a parameter is loaded as: what may be any iterable arrives as a tuple."""
    if typing.get_origin(hint) is Iterable:
        return tuple.__class_getitem__((*typing.get_args(hint), ...))
    return hint


def _operation(port: str, method: str, function: Any) -> Operation:
    hints = typing.get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)
    signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    known = {key: _portable(hints[key]) for key in signature.parameters if hints[key] is not Console}
    required = frozenset(key for key in known if signature.parameters[key].default is inspect.Parameter.empty)
    return Operation(port, method, known, required, hints["return"], signature)


class _Operations(Mapping[str, Operation]):
    """By name. Each is read from its port when it is first asked for: who performs one does not wait for all."""

    def __init__(self) -> None:
        self._methods = {
            f"{port}.{method}": (port, method, function)
            for port, protocol in PORTS.items()
            for method, function in vars(protocol).items()
            if inspect.isfunction(function) and not method.startswith("_")
        }
        for method in ("describe", "explain"):
            self._methods[f"host.{method}"] = ("host", method, vars(ports.Host)[method])
        self._read: dict[str, Operation] = {}

    def __getitem__(self, name: str) -> Operation:
        if name not in self._read:
            self._read[name] = _operation(*self._methods[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._methods)

    def __len__(self) -> int:
        return len(self._methods)


OPERATIONS: Mapping[str, Operation] = _Operations()
