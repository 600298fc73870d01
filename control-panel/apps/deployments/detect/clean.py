"""Requirement lines made fit for a Linux server: what can not apply is dropped, what needs a compiler is mapped."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from apps.deployments.detect import eras, locks
from apps.deployments.detect.declared import Line
from apps.deployments.detect.notes import Notes

WINDOWS = frozenset(
    {
        "pywin32",
        "pypiwin32",
        "pywin32-ctypes",
        "twisted-iocpsupport",
        "wmi",
        "pyreadline",
        "pyreadline3",
        "win-unicode-console",
    }
    | {"win10toast", "windows-curses", "pywinpty", "winrt", "comtypes", "wincertstore", "win-inet-pton"}
)
SYSTEM = frozenset(  # from `pip freeze` of a system Python, a conda base or a Mac: not on the package index
    {"pkg-resources", "python-apt", "ufw", "command-not-found", "language-selector", "unattended-upgrades", "apturl"}
    | {"ubuntu-drivers-common", "ubuntu-advantage-tools", "ubuntu-pro-client", "systemd-python", "ssh-import-id"}
    | {
        "cloud-init",
        "distro-info",
        "python-debian",
        "dbus-python",
        "pygobject",
        "pycups",
        "cupshelpers",
        "xkit",
        "defer",
    }
    | {"screen-resolution-extra", "louis", "brlapi", "usb-creator", "pyobjc", "mkl-fft", "mkl-random", "mkl-service"}
    | {"conda", "conda-package-handling", "anaconda-client", "anaconda-navigator", "anaconda-project", "menuinst"}
    | {"python", "appnope"}
)
TOOLS = frozenset({"pip", "wheel", "distribute", "setuptools", "virtualenv", "pipenv", "poetry"})
SERVERS = frozenset({"uwsgi", "mod-wsgi", "uwsgidecorators", "mod-wsgi-standalone"})
IN_STDLIB = frozenset(  # backports that fail, or break the standard library, on Python 3
    {"enum34", "futures", "typing", "pathlib", "wsgiref", "functools32", "subprocess32", "argparse", "dataclasses"}
    | {"asyncio", "pickle5", "backports-zoneinfo", "unittest2", "configparser2", "ssl", "uuid", "datetime2", "os-sys"}
)
Rule = tuple[Callable[[Line], bool], str, str]


def lines(given: Iterable[Line], python: str, notes: Notes) -> tuple[Line, ...]:
    """The lines to install on this Python, without repeats and markers. Everything dropped or changed is noted, one
    note a reason; a line whose marker is false here is not for us and goes silently."""
    kept: dict[str, Line] = {}
    dropped: dict[tuple[str, str], list[Line]] = {}
    for entry in (_unmarked(e) for e in given if _holds(e, python)):
        rule = next((rule for rule in _DROP if rule[0](entry)), None)
        if rule is not None:
            dropped.setdefault((rule[1], rule[2]), []).append(entry)
            continue
        mapped = _mapped(entry, notes)
        kept[mapped.name] = _joined(kept.get(mapped.name), mapped, notes)
    for (code, why), gone in dropped.items():
        notes.note(code, f"Left out: {', '.join(entry.text for entry in gone)[:300]}. {why}", where=gone[0].where)
    return tuple(kept.values())


_DROP: tuple[Rule, ...] = (
    (lambda e: e.name in WINDOWS, "windows_only", "It exists on Windows only."),
    (lambda e: e.name in SYSTEM or e.name.startswith("pyobjc-"), "system_package",
     "It belongs to an operating system or to conda and is not on the package index."),
    (lambda e: e.name in TOOLS, "installer", "The platform installs with its own tool."),
    (lambda e: e.name in SERVERS, "other_server", "The platform serves with gunicorn."),
    (lambda e: e.name in IN_STDLIB, "in_standard_library", "The standard library has it."),
)  # fmt: skip


def _holds(entry: Line, python: str) -> bool:
    marker = entry.parsed.marker
    return marker is None or locks.holds(str(marker), python)


def _unmarked(entry: Line) -> Line:
    parsed = entry.parsed
    parsed.marker = None
    return entry.with_text(str(parsed))


def _mapped(entry: Line, notes: Notes) -> Line:
    parsed = entry.parsed
    if entry.name == "psycopg2" and not parsed.url:
        parsed.name = "psycopg2-binary"
        notes.note(
            "psycopg2_binary",
            f"{entry.text} is installed as {parsed}: the same code, already compiled.",
            where=entry.where,
        )
        return entry.with_text(str(parsed))
    if entry.name == "psycopg" and "binary" not in parsed.extras and not parsed.url:
        parsed.extras = {"binary"}  # without it the machine's own libpq would have to be there
        return entry.with_text(str(parsed))
    if entry.name in ("mysqlclient", "mysql-python"):
        notes.warn(
            "mysql_driver",
            f"{entry.text} is compiled on the server and needs MySQL's own files there.",
            where=entry.where,
            fix="Remove the line: the platform gives the project its own database.",
        )
    if parsed.url:
        notes.warn(
            "from_url",
            f"{entry.name} comes from {parsed.url[:80]} and is built from source.",
            where=entry.where,
            fix="A released version from the package index installs faster and more surely.",
        )
    return entry


def _joined(before: Line | None, entry: Line, notes: Notes) -> Line:
    """A name given twice: two pins of one name can not both hold."""
    if before is None or before.text == entry.text:
        return entry
    if before.pinned and entry.pinned and before.pinned != entry.pinned:
        notes.note("given_twice", f"{before.text} and {entry.text}: the newer counts.", where=entry.where)
        return entry if entry.pinned > before.pinned else before
    return entry if entry.parsed.specifier else before


def relaxed(given: Iterable[Line], python: str, notes: Notes) -> tuple[Line, ...]:
    """Pins of compiled packages that have no ready-made file for this Python, moved to the first version that has."""
    major, minor = map(int, python.split("."))
    kept = []
    for entry in given:
        pinned = entry.pinned
        last = eras.wheels_until(entry.name, pinned) if pinned else None
        first = eras.first_with_wheels(entry.name, (major, minor))
        if last is not None and last < (major, minor) and first is not None:
            extras = f"[{','.join(sorted(entry.parsed.extras))}]" if entry.parsed.extras else ""
            moved = entry.with_text(f"{entry.parsed.name}{extras}>={first},<{first.major + 1}")
            notes.warn(
                "pin_moved",
                f"{entry.text} has no ready-made file for Python {python}; {moved.text} is taken.",
                where=entry.where,
                fix=f"Pin {entry.parsed.name}=={first} or newer.",
            )
            entry = moved
        kept.append(entry)
    return tuple(kept)
