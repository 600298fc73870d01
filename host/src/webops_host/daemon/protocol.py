"""What is said over the host's socket: one request, any number of lines, one answer, each a line of JSON.

    → {"v": 1, "id": "…", "fence": 7, "op": "processes.start", "params": {"ref": {…}}}
    ← {"line": "what a long call prints"}
    ← {"ok": true, "result": null}   or   {"ok": false, "error": {"code", "message", "hint", "facts"}}

Whatever is not exactly this is refused by name. The sender cancels by closing its side.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from webops_host import codec
from webops_host.errors import BadValue, HostError
from webops_host.operations import OPERATIONS, Operation, Values

VERSION = 1
REQUEST_LIMIT = 4 << 20
MOST_VALUES = 200_000  # in one line: each takes up to fifty times its text in memory
ANSWER_LIMIT = 64 << 20
ID = re.compile(r"[0-9a-zA-Z_-]{8,64}")
FIELDS = frozenset({"v", "id", "fence", "op", "params"})

Json = codec.Json


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose every field has been checked; `values` are the operation's arguments."""

    id: str
    fence: int | None
    operation: Operation
    values: Values


def ask(request_id: str, fence: int | None, operation: Operation, values: Values) -> bytes:
    """The line that asks for an operation. Raises BadValue when it is too long."""
    params = {key: codec.dump(_listed(value)) for key, value in values.items()}
    whole = {"v": VERSION, "id": request_id, "fence": fence, "op": operation.name, "params": params}
    line = encode(whole)
    if len(line) > REQUEST_LIMIT:
        raise BadValue(f"{operation.name}: the request is larger than 4 MiB.", hint="Use fewer or shorter variables.")
    return line


def parse(line: bytes) -> Request:
    """A request from its line. Raises BadValue naming what is wrong."""
    if has_too_many_values(line):
        raise BadValue("The request holds too many values.", hint="Use fewer or shorter variables.")
    data = decode(line)
    if not isinstance(data, dict) or set(data) != FIELDS:
        given = sorted(data) if isinstance(data, dict) else type(data).__name__
        raise BadValue(f"A request has the fields {sorted(FIELDS)}, not {given!s:.200}.")
    if data["v"] != VERSION or type(data["v"]) is not int:
        raise BadValue(f"Version {data['v']!r:.20} is not spoken here.", hint="Update the panel and the host together.")
    if not isinstance(data["id"], str) or ID.fullmatch(data["id"]) is None:
        raise BadValue("id: use 8 to 64 letters, digits, - and _.")
    if data["fence"] is not None and (type(data["fence"]) is not int or not 0 <= data["fence"] < 1 << 63):
        raise BadValue("fence: use a whole number or null.")
    operation = OPERATIONS.get(data["op"]) if isinstance(data["op"], str) else None
    if operation is None:
        raise BadValue(f"{data['op']!r:.80} is not an operation of the host.")
    return Request(data["id"], data["fence"], operation, operation.load(data["params"]))


def has_too_many_values(line: bytes) -> bool:
    """Whether taking the line apart may take more memory than there is; it need not be JSON."""
    return sum(map(line.count, (b",", b"[", b"{"))) > MOST_VALUES


def answer(operation: Operation, result: object) -> bytes:
    return encode({"ok": True, "result": codec.dump(result)})


def refusal(error: HostError) -> bytes:
    told = {"code": error.code, "message": error.message, "hint": error.hint, "facts": error.facts}
    return encode({"ok": False, "error": told})


def result_of(operation: Operation, data: Mapping[str, Json]) -> Any:
    """The result in an answer, or the error it tells, raised as its own class."""
    if data.get("ok") is not True:
        raise error_from(data.get("error"))
    return codec.load(operation.result, data.get("result"))


def error_from(told: Json) -> HostError:
    if not isinstance(told, dict):
        return HostError("The host's answer could not be read.")
    kind = _kinds().get(str(told.get("code")), HostError)
    return kind(str(told.get("message")), hint=str(told.get("hint") or ""), facts=dict(told.get("facts") or {}))


def encode(data: Json) -> bytes:
    return json.dumps(data, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def decode(line: bytes) -> Json:
    """JSON without the numbers that are none, and without a name given twice."""
    try:
        return json.loads(line, parse_float=_finite, parse_constant=_no_constant, object_pairs_hook=_no_twins)
    except (ValueError, RecursionError) as error:
        raise BadValue(f"That is not JSON: {error!s:.100}") from None


def _kinds() -> dict[str, type[HostError]]:
    kinds: list[type[HostError]] = [HostError, *HostError.__subclasses__()]
    return {kind.code: kind for kind in kinds}


def _listed(value: object) -> object:
    """Any iterable of texts as a tuple: a generator has no JSON form."""
    plain = isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__")
    return value if plain else tuple(value)  # type: ignore[arg-type]


def _no_constant(name: str) -> NoReturn:
    raise BadValue(f"{name} is not a number here.")


def _finite(text: str) -> float:
    """JSON can write a number that is larger than any (1e999)."""
    number = float(text)
    if math.isinf(number):
        raise BadValue(f"{text:.20} is larger than any number.")
    return number


def _no_twins(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadValue("A name is given twice in one object.")
    return found
