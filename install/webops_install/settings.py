"""The files in which the administrator's decisions are kept: `host.toml`, `packages.env`, `panel.env`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from webops_host.errors import BadValue
from webops_host.linux import platform
from webops_host.linux.platform import Platform
from webops_install.answers import Answers
from webops_install.errors import SetupError
from webops_install.machine import Machine

HOST = "/etc/webops/host.toml"
PACKAGES = "/etc/webops/packages.env"
PANEL = "/etc/webops/panel.env"
OF_THE_SERVER = ("addresses", "ssh_ports", "open_ports", "shares_nginx")
"""Keys that tell of the machine, where the others tell what is wanted of it."""


def read_host(machine: Machine) -> dict[str, Any]:
    """The tables of host.toml; none when it is not there. Raises SetupError when it is there and wrong: what it says
    is nothing to guess."""
    if not machine.exists(HOST):
        return {}
    try:
        platform_of(machine)
        return platform.tables(machine.text(HOST) or "")
    except BadValue as error:
        raise SetupError(error.message, hint=f"{error.hint} Mend it, then run this again.") from None


def told_before(machine: Machine) -> dict[str, str]:
    """What an earlier run was told, as answers. Raises SetupError when that can not be read."""
    known = read_host(machine).get("platform", {})
    texts = {
        "domain": known.get("domain", ""),
        "panel": known.get("panel", ""),
        "email": known.get("acme_email", ""),
        "acme_server": known.get("acme_server", ""),
        "acme_ca": known.get("acme_ca", ""),
        "addresses": ",".join(known.get("addresses", ())),
        "private": ",".join(known.get("private", ())),
        "ssh_ports": ",".join(map(str, known.get("ssh_ports", ()))),
        "open_ports": ",".join(known.get("open_ports", ())),
    }
    told = {name: text for name, text in texts.items() if text}
    return {**told, **read_environment(machine.text(PACKAGES) or "")}


def render_host(
    answers: Answers, limits: Mapping[str, int], ssh_ports: tuple[int, ...], *, shares_nginx: bool = False
) -> str:
    """JSON's texts, numbers, lists and truths are TOML's too."""
    table = {
        "domain": answers.domain,
        "panel": answers.panel,
        "acme_server": answers.acme_server,
        "acme_email": answers.email,
        "acme_ca": answers.acme_ca,
        "private": list(answers.private),
        "ssh_ports": list(ssh_ports),
        "open_ports": list(answers.open_ports),
        "addresses": list(answers.addresses),
        "shares_nginx": shares_nginx,
    }
    return _rendered(table, limits)


def moved(decided: str, own: str) -> str:
    """What was decided on another server, with what `own` tells of this one: its addresses and ports, whom it serves
    beside us, what its hardware gives. Where either can not be read, the first."""
    try:
        there, here = tomllib.loads(decided), tomllib.loads(own)
    except tomllib.TOMLDecodeError:
        return decided
    kept = {name: value for name, value in here.get("platform", {}).items() if name in OF_THE_SERVER}
    return _rendered({**there.get("platform", {}), **kept}, here.get("limits") or there.get("limits", {}))


def _rendered(table: Mapping[str, Any], limits: Mapping[str, int]) -> str:
    lines = [
        "# What was decided about this server: docs/operations.md. Written by setup.sh.",
        "[platform]",
    ]
    lines += [f"{name} = {json.dumps(value)}" for name, value in table.items()]
    lines += ["", "# The most that a deployment may be given.", "[limits]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in limits.items()]
    return "\n".join(lines) + "\n"


def same_platform(first: str | None, second: str) -> bool:
    """Whether two files say the same, whatever their comments."""
    try:
        return first is not None and _platform(first) == _platform(second)
    except BadValue:
        return False


def _platform(text: str) -> Platform:
    return platform.parse(platform.tables(text))


def platform_of(machine: Machine) -> Platform:
    """What was decided about this server. Raises BadValue."""
    return platform.read(machine.at(HOST))


def render_environment(settings: Mapping[str, str], comment: str) -> str:
    """The syntax of systemd's EnvironmentFile=, values in double quotes."""
    lines = [f"# {comment}"]
    for name, value in settings.items():
        escaped = value
        for letter in ("\\", '"', "$", "`"):
            escaped = escaped.replace(letter, f"\\{letter}")
        lines.append(f'{name}="{escaped}"')
    return "\n".join(lines) + "\n"


def read_environment(text: str) -> dict[str, str]:
    """What `render_environment` wrote, and simple lines that a person added."""
    found = {}
    for line in text.split("\n"):
        name, equals, value = line.strip(" \t\r").partition("=")
        if not equals or name.startswith(("#", ";")):
            continue
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = _unescaped(value[1:-1])
        found[name] = value
    return found


def _unescaped(text: str) -> str:
    parts = iter(text)
    return "".join(next(parts, "") if letter == "\\" else letter for letter in parts)
