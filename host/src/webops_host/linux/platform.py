"""What the administrator decided about this server, from `/etc/webops/host.toml`, which only root may write."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from webops_host.errors import BadValue
from webops_host.names import HostName
from webops_host.values import Limits

FILE = Path("/etc/webops/host.toml")
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Destination:
    """A place on a private network that fetches and builds may reach all the same."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Destination:
        host, _, port = text.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise BadValue(f"{text!r:.80} is not a destination.", hint="Write host:port, for example git.internal:443.")
        return cls(host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class OpenPort:
    """Where something else on this server is reached from outside."""

    number: int
    protocol: str

    @classmethod
    def parse(cls, text: str) -> OpenPort:
        number, _, protocol = text.partition("/")
        if protocol not in ("tcp", "udp") or not re.fullmatch(r"[0-9]{1,5}", number) or not 0 < int(number) < 65536:
            raise BadValue(f"{text!r:.80} is not a port to open.", hint="Write it as 8443/tcp or 51820/udp.")
        return cls(int(number), protocol)

    def __str__(self) -> str:
        return f"{self.number}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Platform:
    """`domain` is what deployments are named under, `panel` the panel's own name. `limits` are the most that a
    deployment may be given."""

    domain: HostName
    panel: HostName
    acme_server: str = LETS_ENCRYPT
    acme_email: str = ""
    acme_ca: str = ""
    private: tuple[Destination, ...] = ()
    ssh_ports: tuple[int, ...] = (22,)
    open_ports: tuple[OpenPort, ...] = ()
    addresses: tuple[str, ...] = ()  # under which the world reaches this server
    shares_nginx: bool = False  # with sites that were there before us: unknown names stay theirs
    limits: Limits = field(default_factory=lambda: Limits(memory_mib=4096, cpu_percent=400, tasks=1024))


def read(file: Path = FILE) -> Platform:
    """Raises BadValue with the key that is wrong, and what to write."""
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadValue(f"{file} can not be read: {error}", hint="Run setup.sh again, or mend the file.") from None
    return parse(tables(text))


def tables(text: str) -> dict[str, Any]:
    """Raises BadValue with the line that is wrong."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadValue(f"{FILE} can not be read: {error}", hint="Texts are in quotes, numbers are not.") from None


def parse(data: Mapping[str, Any]) -> Platform:
    """From the tables `platform` and `limits`. Raises BadValue with the key that is wrong, and what to write."""
    known = _read(data, "platform", _table, {})
    limits = _read(data, "limits", _table, {})
    domain = _read(known, "domain", HostName)
    return Platform(
        domain=domain,
        panel=_read(known, "panel", lambda name: HostName(name or f"panel.{domain}"), ""),
        acme_server=_read(known, "acme_server", _text, "") or LETS_ENCRYPT,
        acme_email=_read(known, "acme_email", _text, ""),
        acme_ca=_read(known, "acme_ca", _text, ""),
        private=_read(known, "private", _each(lambda place: Destination.parse(_text(place))), []),
        ssh_ports=_read(known, "ssh_ports", _each(_port), [22]),
        open_ports=_read(known, "open_ports", _each(lambda door: OpenPort.parse(_text(door))), []),
        shares_nginx=_read(known, "shares_nginx", _truth, False),
        addresses=_read(known, "addresses", _each(lambda text: str(ipaddress.ip_address(_text(text)))), []),
        **({"limits": _read(data, "limits", lambda given: Limits(**given))} if limits else {}),
    )


def _read(table: Mapping[str, Any], key: str, make: Callable[[Any], Made], usual: object = None) -> Made:
    """What is made of a key's value. What is refused is told with the key."""
    try:
        return make(table.get(key, usual))
    except (TypeError, ValueError) as error:
        hint = error.hint if isinstance(error, BadValue) else "See docs/operations.md for its keys."
        raise BadValue(f"{FILE}, {key}: {error}", hint=hint) from None


def _each(make: Callable[[Any], Made]) -> Callable[[Any], tuple[Made, ...]]:
    def every(values: object) -> tuple[Made, ...]:
        if not isinstance(values, list):
            raise BadValue(f"{values!r:.80} is not a list.", hint="A list is in brackets, what is in it has commas.")
        return tuple(make(value) for value in values)

    return every


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadValue(f"{value!r:.80} is not a table.", hint="A table begins with its name in brackets.")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise BadValue(f"{value!r:.80} is not a text.", hint="A text is in quotes.")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadValue(f"{value!r:.80} is neither true nor false.", hint="Write true or false, without quotes.")
    return value


def _port(number: object) -> int:
    if type(number) is not int or not 0 < number < 65536:
        raise BadValue(f"{number!r:.80} is not a port.", hint="A port is a number from 1 to 65535.")
    return number
