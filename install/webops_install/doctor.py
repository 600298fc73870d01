"""Looks at everything that the platform stands on. Each check has an id, a state, what was seen, and what to do."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from webops_host.daemon.client import HostClient
from webops_host.errors import HostError
from webops_host.linux import ssh_ports, tls_files
from webops_host.linux.layout import ServerLayout
from webops_host.linux.platform import Platform
from webops_install import everyday, facts, hold, listening, panel, settings, systemd, upgrade
from webops_install.errors import SetupError
from webops_install.machine import Machine
from webops_install.steps import folders, packages, postgres, units
from webops_install.steps.release import PYTHON

EXPOSURE_MOST = 2.0
SELFTEST_RESULT = "/var/lib/webops/selftest.json"
SELFTEST_AGE = 3 * 3600.0
CERTIFICATE_DAYS = 10
OF_US = ("webops-panel.service", "webops-worker.service", "webops-hostd.service", "webops-pgd.service")


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Check:
    id: str
    state: State
    seen: str
    hint: str = ""


def run(options: argparse.Namespace) -> int:
    """0 when nothing is wrong; warnings do not count."""
    machine, talk = everyday.begun()
    found = list(checks(machine))
    if options.json:
        talk.show(json.dumps([dataclasses.asdict(check) for check in found], indent=1))
    else:
        for check in found:
            hint = f"\n{'':9}{check.hint}" if check.hint and check.state is not State.OK else ""
            talk.show(f"{check.state:8} {check.id}: {check.seen}{hint}")
    return 1 if any(check.state is State.WRONG for check in found) else 0


def checks(machine: Machine) -> Iterator[Check]:
    """A check that can not be made is wrong too."""
    for look in LOOKS:
        try:
            yield from look(machine)
        except (SetupError, HostError, OSError, ValueError) as error:
            yield Check(look.__name__.strip("_"), State.WRONG, f"It can not be looked at: {error}")


def _judged(name: str, good: bool, seen: str, hint: str = "", *, otherwise: State = State.WRONG) -> Check:
    return Check(name, State.OK if good else otherwise, seen, hint)


def _release(machine: Machine) -> Iterator[Check]:
    live = upgrade.live(machine)
    yield _judged("release", bool(live), live or "no whole release is live", "Run sudo ./setup.sh in a checkout.")
    broken_off = upgrade.under_way(machine) is not None and not upgrade.is_running(machine)
    yield _judged("upgrade", not broken_off, "broken off" if broken_off else "none under way", "webops-admin go-back")


def _units(machine: Machine) -> Iterator[Check]:
    tree = Path(upgrade.CURRENT, "src")
    to_let_in = "webops-admin go-back" if upgrade.under_way(machine) else "webops-admin setup"
    for name in units.running(machine.at(tree)):
        active = systemd.is_active(machine, name)
        hint = to_let_in if hold.is_on(machine) else f"systemctl start {name}"
        yield _judged(f"unit.{name}", active, "active" if active else "not active", hint)
    listed = machine.asks("systemctl", "list-units", "--failed", "--plain", "--no-legend", "webops*", "wo-*").output
    names = [line.split()[0] for line in listed.splitlines() if line.strip()]
    yield _judged("unit.failed", not names, ", ".join(names) or "none", "See why: journalctl -u NAME")


def _panel(machine: Machine) -> Iterator[Check]:
    name = settings.platform_of(machine).panel
    said = panel.ask(name)
    yield _judged("panel.answers", said == "200", f"https://{name}/ says {said}", "webops-admin logs panel")
    pending = panel.manage_says(machine, "migrate", "--check", "--no-color").status != 0
    yield _judged("panel.tables", not pending, "behind" if pending else "up to date", "webops-admin setup")


def _daemons(machine: Machine) -> Iterator[Check]:
    for name in ("hostd", "pgd"):
        try:
            HostClient(machine.at(f"/run/webops/{name}.sock")).describe()
            said = "answers"
        except HostError as error:
            said = error.message
        yield _judged(f"{name}.answers", said == "answers", said, f"webops-admin logs {name}")


def _redis(machine: Machine) -> Iterator[Check]:
    key = (machine.text("/etc/webops/redis.key") or "").strip()
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(3)
        asked.connect(str(machine.at("/run/webops/redis.sock")))
        asked.sendall(f"AUTH {key}\r\nPING\r\n".encode())
        with asked.makefile("rb") as lines:
            said = [lines.readline(), lines.readline()]
    good = b"PONG" in said[1]
    yield _judged("redis.answers", good, "answers" if good else "refuses", "webops-admin setup")


def _postgresql(machine: Machine) -> Iterator[Check]:
    good = postgres.is_prepared(machine)
    yield _judged("postgresql", good, "as set up" if good else "not as set up", "webops-admin setup")


def _nginx(machine: Machine) -> Iterator[Check]:
    tested = machine.asks("nginx", "-t", "-q")
    said = tested.output.strip()[-200:] or "agrees with its configuration"
    yield _judged("nginx.configuration", tested.status == 0, said, "Mend the file it names, then: nginx -t")
    active = systemd.is_active(machine, "nginx.service")
    yield _judged("nginx.runs", active, "active" if active else "not active", "systemctl start nginx")


def _network(machine: Machine) -> Iterator[Check]:
    loaded = machine.says_yes("nft", "list", "table", "inet", "webops")
    yield _judged(
        "firewall", loaded, "loaded" if loaded else "not loaded", "systemctl reload-or-restart webops-firewall"
    )
    found = listening.listeners(machine)
    ours = [listener for listener in found if listener.program in ("redis-server", "postgres")]
    told = ", ".join(f"{listener.program} on {listener.port}" for listener in ours)
    yield _judged("network.tcp", not ours, told or "Redis and PostgreSQL on sockets only", "webops-admin setup")
    missing = ssh_ports.found() - set(settings.platform_of(machine).ssh_ports)
    said = f"port {sorted(missing)} is not in host.toml" if missing else "its ports are open"
    yield _judged("network.ssh", not missing, said, "webops-admin setup", otherwise=State.WARNING)


def _names(machine: Machine) -> Iterator[Check]:
    server = settings.platform_of(machine)
    wanted = {*server.addresses, *facts.own_addresses()}
    for name in (server.panel, f"webops-doctor.{server.domain}"):
        leads = facts.resolve([name])[name]
        good = bool(leads) and leads <= wanted
        said = f"{name} leads to {', '.join(sorted(leads)) or 'nowhere'}"
        hint = f"Set its A or AAAA record to {', '.join(sorted(wanted))}; behind a proxy its own are right."
        kind = "dns.panel" if name == server.panel else "dns.sites"
        yield _judged(kind, good, said, hint, otherwise=State.WARNING)


def _certificate(machine: Machine) -> Iterator[Check]:
    server: Platform = settings.platform_of(machine)
    files = tls_files.of_panel(ServerLayout(), server.panel)
    found = tls_files.facts_of(files)
    if found is None:
        yield Check("tls.panel", State.WRONG, f"{files.chain} can not be read", "webops-admin setup")
        return
    days = int((found.not_after - time.time()) / 86_400)
    hint = "It is renewed by webops-renew.timer: webops-admin logs renew"
    yield _judged("tls.panel", days > CERTIFICATE_DAYS, f"ends in {days} days", hint)
    own = tls_files.is_ours(found)
    said = "the platform's own, of which browsers warn" if own else f"from {found.issuer}"
    hint = "When the panel's name leads here: webops-admin setup"
    yield _judged("tls.trust", not own, said, hint, otherwise=State.WARNING)


def _walls(machine: Machine) -> Iterator[Check]:
    text = machine.text(SELFTEST_RESULT)
    if text is None:
        yield Check("selftest", State.WARNING, "never run", "webops-admin selftest")
        return
    age = time.time() - machine.at(SELFTEST_RESULT).stat().st_mtime
    result = systemd_result(machine, "webops-selftest.service")
    seen = f"{result}, {int(age // 60)} minutes ago"
    yield _judged("selftest", result == "success", seen, "webops-admin logs selftest")
    yield _judged("selftest.age", age < SELFTEST_AGE, seen, "systemctl status webops-selftest.timer")


def systemd_result(machine: Machine, unit: str) -> str:
    return machine.asks("systemctl", "show", "--property=Result", "--value", unit).output.strip()


def _exposure(machine: Machine) -> Iterator[Check]:
    for unit in OF_US:
        said = machine.asks("systemd-analyze", "security", "--no-pager", unit).output
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
        score = float(found[1]) if found else 10.0
        yield _judged(f"exposure.{unit}", score <= EXPOSURE_MOST, f"{score:g}", "webops-admin setup")


def _files(machine: Machine) -> Iterator[Check]:
    wrong = []
    for path, mode, owner in (*folders.FOLDERS, *folders.OF_POSTGRES):
        kept = machine.exists(path) and machine.mode(path) == mode
        if not kept or machine.owners.of(machine.at(path)) != owner.ids(machine):
            wrong.append(path)
    yield _judged("files.folders", not wrong, ", ".join(wrong) or "as set up", "webops-admin setup")
    secret = (settings.PANEL, settings.PACKAGES, "/etc/webops/redis.key")
    open_ = [path for path in secret if machine.mode(path) & 0o007]
    yield _judged("files.secrets", not open_, ", ".join(open_) or "closed", "webops-admin setup")


def _room(machine: Machine) -> Iterator[Check]:
    found = facts.gather(machine)
    hint = "Remove what is not needed; builds are refused below a floor."
    yield _judged("disk", found.disk_mib > 1024, f"{found.disk_mib} MiB free", hint)
    clock = machine.asks("timedatectl", "show", "--property=NTPSynchronized", "--value").output.strip()
    good = clock == "yes" or found.in_container
    yield _judged("clock", good, "synchronised" if good else "not synchronised", "timedatectl", otherwise=State.WARNING)


def _updates(machine: Machine) -> Iterator[Check]:
    listed = machine.asks("apt-get", "-s", "-o", "Debug::NoLocking=1", "upgrade", timeout=120).output
    waiting = sorted(
        {line.split()[1] for line in listed.splitlines() if line.startswith("Inst ") and "ecurity" in line}
    )
    said = ", ".join(waiting[:8]) or "none waits"
    yield _judged("updates.security", not waiting, said, "apt-get upgrade", otherwise=State.WARNING)
    there = packages.installed(machine, ("unattended-upgrades",))
    yield _judged("updates.by-themselves", bool(there), "on" if there else "off", "webops-admin setup")


def _programs(machine: Machine) -> Iterator[Check]:
    said = machine.asks(PYTHON, "--version").output.strip()
    yield _judged("python", said.startswith("Python 3."), said, "apt-get install python3")


LOOKS: tuple[Callable[[Machine], Iterator[Check]], ...] = (
    _release, _units, _panel, _daemons, _redis, _postgresql, _nginx, _network, _names, _certificate, _walls, _exposure,
    _files, _room, _updates, _programs,
)  # fmt: skip
