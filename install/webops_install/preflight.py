"""Looks before anything is changed: can this machine become the platform, and what should its owner know?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from webops_host.linux.uids import UIDS
from webops_install.answers import Answers
from webops_install.facts import Facts
from webops_install.listening import Listener
from webops_install.machine import Machine

LEAST_MEMORY_MIB, GOOD_MEMORY_MIB = 460, 900
LEAST_DISK_MIB, GOOD_DISK_MIB = 3000, 8000
ARCHITECTURES = ("x86_64", "aarch64")
OUR_SERVER = "nginx"
WEB, DHCP = ("80/tcp", "443/tcp"), ("68/udp", "546/udp")
DEBIAN_DEFAULT = "/etc/nginx/sites-enabled/default"


@dataclass(frozen=True, slots=True)
class Finding:
    """`stops` means: not on this machine, not now."""

    text: str
    hint: str = ""
    stops: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """What the checks look at, gathered once."""

    facts: Facts
    answers: Answers
    listeners: list[Listener]
    leads_to: Mapping[str, set[str]]
    newest: float
    now: float
    is_root: bool
    is_booted: bool
    ssh_ports: tuple[int, ...] = (22,)


def findings(machine: Machine, look: Look) -> list[Finding]:
    return [
        *_system(look),
        *_size(look.facts),
        *_ports(look),
        *_closed(look),
        *_names(look),
        *_clock(machine, look),
        *_web_server(machine),
        *_firewalls(machine),
    ]


def _system(look: Look) -> Iterator[Finding]:
    system = look.facts.system
    if not look.is_root:
        yield Finding("This must run as root.", "Run it with sudo.", stops=True)
    if not look.is_booted:
        yield Finding("systemd does not run here.", "Use a server or a virtual machine.", stops=True)
    if (system.name, system.version) == ("ubuntu", "22.04"):
        yield Finding(
            f"{system.pretty} comes with Python 3.10, and WebOps needs 3.11 or newer as the system's own.",
            "Use Ubuntu 24.04 or Debian 12 or 13, or upgrade this one: sudo do-release-upgrade",
            stops=True,
        )
    elif not system.is_supported:
        yield Finding(f"WebOps was not made for {system.pretty}.", "Use Debian 12 or 13, or Ubuntu 24.04.", stops=True)
    if look.facts.architecture not in ARCHITECTURES:
        yield Finding(f"WebOps does not run on {look.facts.architecture}.", "Use x86_64 or aarch64.", stops=True)


def _size(facts: Facts) -> Iterator[Finding]:
    if facts.memory_mib < LEAST_MEMORY_MIB:
        yield Finding(
            f"{facts.memory_mib} MiB of memory are too little.", "1 GiB is right for a few sites.", stops=True
        )
    elif facts.memory_mib < GOOD_MEMORY_MIB:
        yield Finding(f"{facts.memory_mib} MiB of memory are little.", "Builds of larger sites may need more, or swap.")
    if facts.disk_mib < LEAST_DISK_MIB:
        yield Finding(
            f"{facts.disk_mib} MiB of free disk are too little.", "Make 8 GiB free, then run this again.", stops=True
        )
    elif facts.disk_mib < GOOD_DISK_MIB:
        yield Finding(f"{facts.disk_mib} MiB of free disk are little.", "8 GiB are better.")


def _ports(look: Look) -> Iterator[Finding]:
    for listener in look.listeners:
        if listener.door in WEB and listener.program != OUR_SERVER:
            yield Finding(
                f"Port {listener.port} is in use by {listener.program} (process {listener.pid}).",
                "Visitors come in there. Stop and disable that program, then run this again.",
                stops=True,
            )


def _closed(look: Look) -> Iterator[Finding]:
    """What is not reached any more behind the firewall. Deployments never are: the web server leads to them."""
    is_open = {*WEB, *DHCP, *(f"{port}/tcp" for port in look.ssh_ports), *look.answers.open_ports}
    shut = {
        listener.door: listener.program
        for listener in look.listeners
        if not listener.is_local and not UIDS[0] <= listener.uid <= UIDS[1]
    }
    for door, program in shut.items():
        if door not in is_open:
            yield Finding(
                f"The firewall closes {door} to the outside, where {program} listens.",
                f"To leave it open: --open-port {door} beside others to open, or open_ports in host.toml.",
            )


def _names(look: Look) -> Iterator[Finding]:
    panel = look.answers.panel
    leads = look.leads_to.get(panel, set())
    address = look.answers.addresses[0]
    record = "AAAA" if ":" in address else "A"
    wanted = f"{panel}. {record} {address} and *.{look.answers.domain}. {record} {address}"
    if not leads:
        yield Finding(f"The name {panel} leads nowhere yet.", f"Set these records of the domain: {wanted}")
    elif not leads <= {*look.answers.addresses, *look.facts.addresses}:
        yield Finding(
            f"The name {panel} leads to {', '.join(sorted(leads))}, and not only to this machine.",
            f"That is right behind a proxy or address translation. Otherwise set: {wanted}",
        )


def _clock(machine: Machine, look: Look) -> Iterator[Finding]:
    if look.now < look.newest - 86_400:
        today = time.strftime("%Y-%m-%d", time.gmtime(look.now))
        yield Finding(
            f"The clock says {today}, which is before these files were made.", "Set it: date --set", stops=True
        )
    synchronised = machine.asks("timedatectl", "show", "--property=NTPSynchronized", "--value").output.strip()
    if synchronised == "no" and not look.facts.in_container:
        yield Finding("The clock is not synchronised yet.", "Certificates need a right clock; setup turns this on.")


def _web_server(machine: Machine) -> Iterator[Finding]:
    if not machine.exists("/usr/sbin/nginx") or _is_half_way(machine):
        return
    tested = machine.asks("nginx", "-t", "-q")
    if tested.status != 0:
        yield Finding(
            f"The nginx that is here refuses its own configuration: {tested.output.strip()[-300:]}",
            "Mend it until “nginx -t” agrees, then run this again.",
            stops=True,
        )
    sites = [name for name in machine.names("/etc/nginx/sites-enabled") if name != "default"]
    if sites:
        yield Finding(f"nginx already serves sites here: {', '.join(sites)}.", "They stay as they are.")


def _is_half_way(machine: Machine) -> bool:
    """Whether an earlier run was killed while it installed nginx: that is mended in its step."""
    words = ("dpkg-query", "-W", "-f=${db:Status-Status}\\n", "nginx", "nginx-common")
    return bool({"unpacked", "half-installed", "half-configured"} & set(machine.asks(*words).output.split()))


def _firewalls(machine: Machine) -> Iterator[Finding]:
    for unit in ("ufw", "firewalld"):
        if machine.says_yes("systemctl", "is-active", "--quiet", unit) and machine.exists(f"/usr/sbin/{unit}"):
            yield Finding(f"The firewall {unit} is active.", "It must let ports 80 and 443 in.")
