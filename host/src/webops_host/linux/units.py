"""A deployment's unit as files for systemd: a service, and for one that serves a socket that systemd holds.

The name says deployment and release, so a release's units are new to systemd: they need no daemon-reload, which takes
seconds where there are many. Limits and words stand in the file itself; variables are in a file that only root reads,
because a unit's own `Environment=` is told to everybody who asks (org.freedesktop.systemd1(5)).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from webops_host import programs
from webops_host.command import Command
from webops_host.errors import BadValue
from webops_host.files import write_whole
from webops_host.linux import sandbox, unit_text
from webops_host.linux.layout import ServerLayout
from webops_host.linux.nginx_parts import AT_ONCE
from webops_host.names import DeploymentName, ProcessKind
from webops_host.programs import Door
from webops_host.values import Gunicorn, Limits, Runtime, Unit, UnitRef

NAME = re.compile(r"wo-([a-z][a-z0-9-]*?)--(\d+)-([a-z][a-z0-9_-]*)-(\d+)")
STOP_SECONDS = 35  # more than gunicorn gives its requests
START_SECONDS = 600  # the health check decides earlier
CRASHES, WITHIN = 5, 60
FIREWALL = "webops-firewall.service"
TARGET = "webops-apps.target"
SLEEP = "X-SleepMinutes"  # for our own reading
WEB_GROUP = "www-data"
PROXY = "/usr/lib/systemd/systemd-socket-proxyd"
PROXIED = AT_ONCE + 256
"""Connections that are passed on at once: all that nginx lets through, and those that it keeps. Each takes six open
files of the 8,192 that the sandbox allows; beyond 256, its usual number, systemd-socket-proxyd(8) closes them."""


def name_of(ref: UnitRef) -> str:
    """Without a suffix. A deployment's name has no two hyphens in a row, so it reads back."""
    return f"wo-{ref.name}--{ref.release}-{ref.kind}-{ref.index}"


def parse(unit: str) -> UnitRef | None:
    """Which unit of a deployment a systemd unit is; None for any other."""
    found = NAME.fullmatch(unit.rsplit(".", 1)[0])
    if found is None:
        return None
    try:
        return UnitRef(DeploymentName(found[1]), int(found[2]), ProcessKind(found[3]), int(found[4]))
    except BadValue:
        return None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for every unit of the server. `resolvers` are the addresses of its name servers, `allowed` tells
    those on private networks that fetches may reach."""

    layout: ServerLayout
    most: Limits = field(default_factory=lambda: Limits(memory_mib=4096, cpu_percent=400, tasks=1024))
    resolvers: tuple[str, ...] = ()
    allowed: Callable[[], tuple[str, ...]] = tuple


@dataclass(frozen=True, slots=True)
class Files:
    """What is written for a unit: unit files by name, and its variables."""

    units: dict[str, str]
    variables: str

    def have(self, layout: ServerLayout, unit: str) -> bool:
        """Have them on disk. True when a unit file was there in another form, which systemd has to read anew."""
        write_whole(layout.unit_variables(unit), self.variables.encode(), 0o600)
        changed = False
        for file, text in self.units.items():
            path = layout.units / file
            before = path.read_text() if path.exists() else None
            if before != text:
                write_whole(path, text.encode(), 0o644)
                changed = changed or before is not None
        return changed


def files(around: Surroundings, unit: Unit, user: str, port: int) -> Files:
    """The files of a unit that runs as `user`. Raises BadValue, NotFound when the release's source is not there."""
    layout, name = around.layout, name_of(unit.ref)
    door = Door(layout.socket(unit.ref), port) if unit.serves else None
    command = programs.command(layout, unit, door)
    proxied = unit.serves and programs.needs_port(layout, unit)
    held = unit.serves and not proxied
    service = unit_text.unit(
        {"Unit": _unit(unit, held), "Service": _service(around, unit, user, command, notifies=held)}
    )
    made = {f"{name}.service": service}
    if held:
        made[f"{name}.socket"] = _socket(layout, unit.ref, f"{name}.service")
    if proxied:
        made[f"{name}.socket"] = _socket(layout, unit.ref, f"{name}.proxy.service")
        made[f"{name}.proxy.service"] = _proxy(unit.ref, user, port)
    return Files(made, unit_text.variables(command.env))


def keeps(layout: ServerLayout, ref: UnitRef) -> bool:
    """Whether a unit's server leaves it to the web server when a connection ends: the platform's own does, where it
    listens itself."""
    name = name_of(ref)
    try:
        service = (layout.units / f"{name}.service").read_text()
    except FileNotFoundError:
        return False
    return unit_text.exec_words((programs.KEEPS,)) in service and not (layout.units / f"{name}.proxy.service").exists()


def _unit(unit: Unit, held: bool) -> Iterator[tuple[str, str]]:
    ref = unit.ref
    needed = [FIREWALL, *((f"{name_of(ref)}.socket",) if held else ())]
    yield "Description", f"WebOps: {ref.name}, release {ref.release}, {ref.kind} {ref.index}"
    yield "Requires", " ".join(needed)
    yield "After", " ".join(("network.target", "postgresql.service", *needed))
    yield "PartOf", TARGET
    yield "StartLimitIntervalSec", str(WITHIN)
    yield "StartLimitBurst", str(CRASHES)
    if held and unit.sleep_minutes:
        yield SLEEP, str(unit.sleep_minutes)


def _service(
    around: Surroundings, unit: Unit, user: str, command: Command, *, notifies: bool
) -> Iterator[tuple[str, str]]:
    notifies = notifies and isinstance(unit.program, Gunicorn)
    yield "Type", "notify" if notifies else "exec"
    if notifies:
        yield "NotifyAccess", "main"
    yield "User", user
    yield "Group", user
    yield "Slice", "webops-apps.slice"
    yield "EnvironmentFile", str(around.layout.unit_variables(name_of(unit.ref)))
    yield "WorkingDirectory", unit_text.text(str(command.cwd))
    yield "ExecStart", unit_text.exec_words(("/usr/bin/env", "--", *command.argv))
    yield "KillMode", "mixed"
    yield "TimeoutStartSec", str(START_SECONDS)
    yield "TimeoutStopSec", str(STOP_SECONDS)
    yield "Restart", "always"
    yield "RestartSec", "1"
    yield "SyslogIdentifier", name_of(unit.ref)
    yield from sandbox.LOCKED
    yield from sandbox.limits(unit.runtime.limits, around.most)
    yield from sandbox.network(around.resolvers)
    yield from sandbox.view(
        around.layout.root, readable=readable(around.layout, unit.runtime), writable=_writable(unit, around)
    )


def readable(layout: ServerLayout, runtime: Runtime) -> Iterable[Path]:
    """What a release's programs see of the install root."""
    name = runtime.name
    places = [layout.release(name, runtime.release), layout.host / "pythons"]
    if runtime.environment is not None:
        places += [layout.own_env(name, runtime.environment), layout.sealed_env(runtime.environment)]
    return places


def _writable(unit: Unit, around: Surroundings) -> Iterable[Path]:
    return (around.layout.shared(unit.ref.name),)


def _socket(layout: ServerLayout, ref: UnitRef, service: str) -> str:
    """Held by systemd while the service stops and starts. nginx may open it; no other deployment can."""
    lines = (
        ("ListenStream", str(layout.socket(ref))),
        ("SocketUser", "root"),
        ("SocketGroup", WEB_GROUP),
        ("SocketMode", "0660"),
        ("DirectoryMode", "0711"),
        ("Backlog", "2048"),
        ("RemoveOnStop", "yes"),
        ("TriggerLimitIntervalSec", "0"),
        ("Service", service),
    )
    title = (("Description", f"WebOps: where {ref.name}, release {ref.release}, is reached"), ("PartOf", TARGET))
    return unit_text.unit({"Unit": title, "Socket": lines})


def _proxy(ref: UnitRef, user: str, port: int) -> str:
    """For a program that listens on a port of its own choosing: what passes its requests on (systemd-socket-proxyd).

    As the deployment's user: nobody else is let through to its port.
    """
    service = f"{name_of(ref)}.service"
    lines = (
        ("Type", "notify"),
        ("ExecStart", unit_text.exec_words((PROXY, f"--connections-max={PROXIED}", f"127.0.0.1:{port}"))),
        ("User", user),
        ("Group", user),
        ("Slice", "webops-apps.slice"),
        *sandbox.LOCKED,
        ("PrivateUsers", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("IPAddressDeny", "any"),
        ("IPAddressAllow", "localhost"),
        ("InaccessiblePaths", " ".join(f"-{path}" for path in sandbox.HIDDEN)),
    )
    title = (
        ("Description", f"WebOps: passes requests on to {ref.name}, release {ref.release}"),
        ("Requires", service),
        ("After", service),
        ("PartOf", TARGET),
    )
    return unit_text.unit({"Unit": title, "Service": lines})
