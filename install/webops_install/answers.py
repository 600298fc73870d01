"""What the administrator wants: from options, the environment, a file, an earlier setup, and questions.

In this order; the first that says something wins. Every answer is checked here, once.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from webops_host.errors import BadValue
from webops_host.linux.platform import LETS_ENCRYPT, Destination, OpenPort
from webops_host.names import HostName
from webops_install.errors import SetupError

PREFIX = "WEBOPS_"
NAMES = ("domain", "panel", "email", "acme_server", "acme_ca", "addresses", "private", "ssh_ports", "open_ports")
PACKAGE_SETTING = re.compile(
    r"(UV|PIP|NPM|npm_config)_[A-Za-z0-9_]+|(https?|no|all|HTTPS?|NO|ALL)_(proxy|PROXY)"
    r"|SSL_CERT_(FILE|DIR)|NODE_EXTRA_CA_CERTS|GIT_SSL_CAINFO|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
)
"""Settings that say where packages come from, and by whose word."""
NOT_FOR_US = {"PIP_DISABLE_PIP_VERSION_CHECK", "PIP_FIND_LINKS", "PIP_REQUIRE_VIRTUALENV", "PIP_USER"}
EMAIL = re.compile(r"[^@\s]{1,64}@[A-Za-z0-9.-]{1,190}")


@dataclass(frozen=True, slots=True)
class Answers:
    domain: str
    panel: str
    email: str = ""
    acme_server: str = LETS_ENCRYPT
    acme_ca: str = ""
    addresses: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    ssh_ports: tuple[int, ...] = ()
    open_ports: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)


Told = Mapping[str, str]
"""Answers as text, by their names."""


def from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    told = {name: environ[PREFIX + name.upper()] for name in NAMES if environ.get(PREFIX + name.upper())}
    return {**told, **package_settings(environ)}


def package_settings(told: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in sorted(told.items())
        if value and PACKAGE_SETTING.fullmatch(name) and name not in NOT_FOR_US
    }


def from_file(path: Path) -> dict[str, str]:
    """`NAME=VALUE` lines, or TOML when the name ends so. Raises SetupError with the line that is wrong."""
    try:
        text = path.read_text()
    except OSError as error:
        raise SetupError(f"The answers in {path} can not be read: {error.strerror}.") from error
    found = _toml(path, text) if path.suffix == ".toml" else _lines(path, text)
    told = {}
    for name, value in found.items():
        short = name.removeprefix(PREFIX).lower()
        if short in NAMES:
            told[short] = value
        elif PACKAGE_SETTING.fullmatch(name):
            told[name] = value
        else:
            raise SetupError(f"{path} says {name}, which is no answer.", hint=f"Answers are: {', '.join(NAMES)}.")
    return told


def _toml(path: Path, text: str) -> dict[str, str]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path} is not TOML: {error}") from error
    return {name: ",".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in data.items()}


def _lines(path: Path, text: str) -> dict[str, str]:
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals:
            raise SetupError(f"{path}, line {number}: {line!r} is not NAME=VALUE.")
        words = shlex.split(value)
        found[name.strip()] = words[0] if len(words) == 1 else value.strip()
    return found


def parse(told: Told, found: Sequence[str]) -> Answers:
    """The answers, checked; what nobody said has its default. `found` are addresses of this machine, the first one is
    its usual one. Raises SetupError with the answer that is wrong."""
    addresses = tuple(_address(text) for text in words(told.get("addresses", ""))) or tuple(found)
    try:
        domain = str(HostName(told.get("domain") or default_domain(addresses[0])))
        return Answers(
            domain=domain,
            panel=str(HostName(told.get("panel") or f"panel.{domain}")),
            email=_email(told.get("email", "")),
            acme_server=_https(told.get("acme_server") or LETS_ENCRYPT),
            acme_ca=_absolute(told.get("acme_ca", "")),
            addresses=addresses,
            private=tuple(_destination(text) for text in words(told.get("private", ""))),
            ssh_ports=tuple(_port(text) for text in words(told.get("ssh_ports", ""))),
            open_ports=tuple(str(OpenPort.parse(text)) for text in words(told.get("open_ports", ""))),
            packages=package_settings(told),
        )
    except BadValue as error:
        raise SetupError(error.message, hint=error.hint) from error


def default_domain(address: str) -> str:
    """A name that leads to this address without asking anybody for one."""
    return f"{address.replace('.', '-').replace(':', '-')}.sslip.io"


def words(text: str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", text) if word]


def ask(told: Told, address: str, question: Callable[[str, str], str]) -> dict[str, str]:
    """What nobody said yet, asked in a terminal; Enter takes the default."""
    answers = dict(told)
    if "domain" not in answers:
        answers["domain"] = question("Domain of this platform; sites get names under it", default_domain(address))
    if "panel" not in answers:
        answers["panel"] = question("Name of the panel", f"panel.{answers['domain']}")
    if "email" not in answers:
        answers["email"] = question("Address for notices about certificates (may stay empty)", "")
    return answers


def _email(text: str) -> str:
    if text and not EMAIL.fullmatch(text):
        raise SetupError(f"{text!r:.80} is not an e-mail address.")
    return text


def _https(text: str) -> str:
    if not re.fullmatch(r"https://[A-Za-z0-9.:\[\]/_-]{1,200}", text):
        raise SetupError(
            f"{text!r:.80} is not the address of a certificate authority.", hint="It begins with https://."
        )
    return text


def _absolute(text: str) -> str:
    if text and not text.startswith("/"):
        raise SetupError(f"{text!r:.80} is not the full path of a file.")
    return text


def _destination(text: str) -> str:
    place = Destination.parse(text)
    return f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise SetupError(f"{text!r:.80} is not an address.", hint="Write it in numbers, such as 203.0.113.7.") from None


def _port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise SetupError(f"{text!r:.80} is not a port.", hint="A port is a number from 1 to 65535.")
    return int(text)


assert {item.name for item in fields(Answers)} == {*NAMES, "packages"}
