"""Requests to a daemon that nobody means well: of every operation the right shape, by its own types, and then something
wrong in it. The same seed gives the same messages."""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import random
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from webops_host import codec
from webops_host.certificate_values import PrivateKey
from webops_host.names import (
    CommitId,
    DeploymentName,
    Digest,
    Domain,
    DottedName,
    DumpId,
    GitRef,
    HostName,
    ProcessKind,
    PythonVersion,
    RelativePath,
    RunId,
    VariableKey,
)
from webops_host.operations import Operation
from webops_host.site_options import Network, PasswordHash, Visitor
from webops_host.timed_values import TimedCommand
from webops_host.values import Limits, Mount, ProjectLine, RepositoryUrl

FOREIGN = "FOREIGN"
"""Is in every text that is somebody's own, so that it is recognised wherever it comes out."""
HASH = "$6$saltsalt$" + "a" * 86
TEXTS: Mapping[type, tuple[str, ...]] = {
    DeploymentName: ("blog", "shop", "a1"),
    GitRef: ("main", "v1.0", "feature/x", "a" * 40),
    CommitId: ("a" * 40, "0123456789abcdef0123456789abcdef01234567"),
    RelativePath: ("", "site", "web/public"),
    VariableKey: ("A", "SECRET_KEY", "DATABASE_URL"),
    ProcessKind: ("web", "worker", "beat"),
    DottedName: ("shop.wsgi:application", "shop.settings"),
    PythonVersion: ("3.11", "3.12"),
    Digest: ("0123456789abcdef", "f" * 64),
    RunId: ("17-1767225600", "a"),
    DumpId: ("20260131T235959Z-0a1b",),
    HostName: ("example.com", "git.example.org"),
    Domain: ("www.example.com", "example.org"),
    Network: ("203.0.113.7", "203.0.113.0/24", "2001:db8::/32"),
    Visitor: ("ada", "bob@example.com"),
    PasswordHash: (HASH,),
    str: (f"{FOREIGN} text", "", f"{FOREIGN}; id", f"$({FOREIGN})", f"a\nUser={FOREIGN}", f"-{FOREIGN}"),
}
SPECIAL: Mapping[type, Callable[[random.Random], Any]] = {
    Limits: lambda dice: {"memory_mib": dice.choice((32, 512)), "cpu_percent": dice.choice((5, 100)), "tasks": 64},
    Mount: lambda dice: {"prefix": dice.choice(("/static/", "/media/")), "area": dice.choice(("static", "media"))},
    ProjectLine: lambda dice: {"line": dice.choice((f"echo {FOREIGN}", f"$({FOREIGN}) && `{FOREIGN}` %n $$ \\"))},
    RepositoryUrl: lambda dice: {"host": "example.com", "port": 443, "path": dice.choice(("a/b", "team/site.git"))},
    TimedCommand: lambda dice: {
        "schedule": dice.choice(("0 3 * * *", "*/5 * * * *")),
        "line": {"line": f"$({FOREIGN})"},
    },
    PrivateKey: lambda dice: {"pem": f"-----BEGIN PRIVATE KEY-----\n{FOREIGN}"},
}
NUMBERS: tuple[Any, ...] = (0, -1, 1, 2, 1.5, -0.0, 1 << 31, 1 << 63, 1 << 70, -(1 << 70), 10**400, 1e308, True, False)
WORDS: tuple[str, ...] = (
    "", " ", ".", "..", "../../etc/passwd", "/etc/shadow", "-rf", "--", "--help", "a\x00b", "blog\n", "\nblog", "a\rb",
    "a;id", "$(id)", "`id`", "%n%s", "${HOME}", "blog/../shop", ".git", "root", "webops", "www", "_panel", ".host",
    "é", "ｂｌｏｇ", "bl\u200bog", "\u202egolb", "b\u0331log", "Ⅷ", "\u2028", "\ud800", "\udfff\ud800", "\ufeffblog",
    "\U0001f600", "x" * 5000, "::1", "0x7f000001", "127.1", "169.254.169.254", "NaN", "null", "1", "{}", "\x1b[2J",
    f"{FOREIGN}\nUser=root", f"{FOREIGN}\" }} server {{", f"'{FOREIGN}", f"\\{FOREIGN}", f"{FOREIGN} {FOREIGN}",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, [], {}, [[]], [None] * 50, {"name": "blog"}, {"__class__": "str"}, {"": ""}, ["blog"], {"a" * 300: 1},
    *NUMBERS, *WORDS,
)  # fmt: skip
FENCES: tuple[Any, ...] = (None, None, None, 0, 1, 5, 7, (1 << 63) - 1, 1 << 63, -1, True, 1.0, "1", [], {})
CHARACTERS = "\x00\n\x1b\u200b\u202eéß\ud800'\"\\;$%{}"


@dataclass(frozen=True, slots=True)
class Message:
    """One request, and whether it is as it should be: then the machine must have been asked."""

    line: bytes
    good: bool


def messages(operation: Operation, dice: random.Random, count: int) -> typing.Iterator[Message]:
    """So many requests for an operation: a third in order, the others with something wrong."""
    for number in range(count):
        whole = {
            "v": 1,
            "id": f"fuzz-{operation.name.replace('.', '-')}-{number}",
            "fence": None,
            "op": operation.name,
            "params": {key: well(kind, dice) for key, kind in _chosen(operation, dice).items()},
        }
        kind = dice.randrange(12)
        if kind < 4:
            yield Message(_line(whole), good=True)
        elif kind < 10:
            for _ in range(dice.choice((1, 1, 1, 2, 3))):
                whole["params"] = spoiled(whole["params"], dice)
            whole["fence"] = dice.choice(FENCES)
            yield Message(_line(whole), good=False)
        elif kind < 11:
            _spoil_envelope(whole, dice)
            yield Message(_line(whole), good=False)
        else:
            yield Message(_broken(_line(whole), dice), good=False)


def well(kind: Any, dice: random.Random) -> codec.Json:
    """The JSON form of some value of a type."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return well(dice.choice(typing.get_args(kind)), dice)
    if origin is typing.Annotated:
        return well(typing.get_args(kind)[0], dice)
    if origin is tuple:
        item = typing.get_args(kind)[0]
        most = 2 if dataclasses.is_dataclass(item) else 3
        return [well(item, dice) for _ in range(dice.randrange(most))]
    if origin is not None:
        key, value = typing.get_args(kind)
        return {well(key, dice): well(value, dice) for _ in range(dice.randrange(3))}
    if kind in SPECIAL:
        return SPECIAL[kind](dice)
    if dataclasses.is_dataclass(kind):
        return _object(typing.cast(type, kind), dice)
    return _leaf(kind, dice)


def spoiled(data: codec.Json, dice: random.Random) -> codec.Json:
    """The same with one thing wrong, somewhere in it."""
    if isinstance(data, dict) and data and dice.random() < 0.8:
        return _spoiled_object(data, dice)
    if isinstance(data, list) and data and dice.random() < 0.7:
        at = dice.randrange(len(data))
        return [*data[:at], spoiled(data[at], dice), *data[at + 1 :]]
    if isinstance(data, str) and dice.random() < 0.5:
        at = dice.randrange(len(data) + 1)
        return data[:at] + dice.choice(CHARACTERS) + data[at:]
    return dice.choice(WORDS if isinstance(data, str) and dice.random() < 0.7 else ODD)


def _spoiled_object(data: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    key = dice.choice(sorted(data))
    kind = dice.randrange(8)
    if kind == 0:
        return {name: value for name, value in data.items() if name != key}
    if kind == 1:
        return {**data, dice.choice(("path", "user", "uid", "__class__", "", "self", "console")): dice.choice(ODD)}
    if kind == 2:
        return {(dice.choice(WORDS) if name == key else name): value for name, value in data.items()}
    return {**data, key: spoiled(data[key], dice)}


def _chosen(operation: Operation, dice: random.Random) -> dict[str, Any]:
    """All that is required, and some of the rest."""
    return {key: kind for key, kind in operation.parameters.items() if key in operation.required or dice.random() < 0.5}


def _object(kind: type, dice: random.Random) -> dict[str, Any]:
    return {name: well(hint, dice) for name, hint, required in _fields(kind) if required or dice.random() < 0.3}


@cache
def _fields(kind: type) -> tuple[tuple[str, Any, bool], ...]:
    hints, missing = typing.get_type_hints(kind, include_extras=True), dataclasses.MISSING
    return tuple(
        (field.name, hints[field.name], field.default is missing and field.default_factory is missing)
        for field in dataclasses.fields(kind)
    )


def _leaf(kind: Any, dice: random.Random) -> codec.Json:
    if kind is type(None):
        return None
    if kind is bool:
        return dice.random() < 0.5
    if kind is int:
        return dice.choice((1, 2, 3, 80))
    if kind is float:
        return dice.choice((0.01, 1, 1.5, 60.0))
    if kind is bytes:
        return base64.b64encode(dice.choice((b"", b"PGDMP1", FOREIGN.encode(), bytes(range(256))))).decode()
    if issubclass(kind, enum.Enum):
        return dice.choice(list(kind)).value
    return dice.choice(TEXTS[kind])


def _spoil_envelope(whole: dict[str, Any], dice: random.Random) -> None:
    for _ in range(dice.randrange(1, 3)):
        key = dice.choice(("v", "id", "fence", "op", "params", "more"))
        if dice.random() < 0.3:
            whole.pop(key, None)
        else:
            whole[key] = dice.choice(FENCES if key == "fence" else ODD)


def _broken(line: bytes, dice: random.Random) -> bytes:
    """What is no JSON any more, or JSON of a kind that is not meant."""
    at, depth = dice.randrange(len(line)), dice.choice((50, 400, 700, 900, 950, 990, 5000))
    deep = b"[" * depth + b"]" * depth
    value = dice.choice((b'"blog"', b"null", b"443", b"1"))
    kinds = (
        line[:at],
        line[:at] + bytes(dice.randrange(256) for _ in range(4)) + line[at:],
        line.replace(b'"params"', b'"params":{},"params"'),
        line.replace(value, deep),
        line.replace(b'"op"', b'"op":' + deep + b',"po"'),
        line.replace(b'"v":1', b'"v":' + deep),
        line.replace(b'"id"', b'"id":' + deep + b',"di"'),
        line.replace(b'"params":', b'"params":' + deep + b',"smarap":'),
        line.replace(value, dice.choice((b"NaN", b"-Infinity", b"1e999", b"-1e999", b"9" * 5000, b"01", b"1_0"))),
        b"\xef\xbb\xbf" + line,
        line.decode().encode("utf-16"),
        bytes(dice.randrange(256) for _ in range(dice.randrange(200))),
    )
    return dice.choice(kinds)


def _line(whole: Mapping[str, Any]) -> bytes:
    return json.dumps(whole, separators=(",", ":")).encode()
