"""Programs from the system's packages. Which of them were not there before is written down, for `uninstall`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from webops_install.change import Change, Owner, write
from webops_install.machine import Machine
from webops_install.step import Setup, Step

FIRST = ("ca-certificates", "openssl", "git", "python3-venv")
"""What making the release needs; the others are installed meanwhile."""
OTHERS = (
    "nginx", "postgresql", "redis-server", "nftables", "nodejs", "npm", "fail2ban", "python3-systemd",
    "unattended-upgrades", "logrotate",
)  # fmt: skip
WHERE_THERE = ("libnginx-mod-http-brotli-filter", "libnginx-mod-http-brotli-static")
"""Installed where the system has them."""
TIME = ("chrony", "ntpsec", "ntp", "openntpd", "systemd-timesyncd")
"""Any of them keeps the clock; the last one is installed when there is none."""
OURS = "/var/lib/webops/setup/packages"
UPDATED, FRESH = "/var/lib/webops/setup/updated", 600.0
APT = (
    "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confdef",
    "-o", "Dpkg::Options::=--force-confold", "-o", "APT::Color=0", "-o", "Acquire::Retries=3",
)  # fmt: skip
QUIET = {"NEEDRESTART_MODE": "l", "UCF_FORCE_CONFFOLD": "1"}


def installed(machine: Machine, names: Iterable[str]) -> set[str]:
    listing = machine.asks("dpkg-query", "-W", "-f=${Package} ${db:Status-Status}\\n", *names).output
    return {line.split()[0] for line in listing.splitlines() if line.endswith(" installed")}


def ours(machine: Machine) -> set[str]:
    """Packages that were not there before us."""
    return set((machine.text(OURS) or "").split())


def _plan_first(setup: Setup) -> Iterator[Change]:
    yield from _missing(setup.machine, FIRST)


def _plan_others(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    wanted = list(OTHERS)
    if not installed(machine, TIME):
        wanted.append(TIME[-1])
    yield from _missing(machine, wanted, _offered(machine, WHERE_THERE))


def _offered(machine: Machine, names: Iterable[str]) -> list[str]:
    return [name for name in names if machine.asks("apt-cache", "show", "--no-all-versions", name).status == 0]


def _missing(machine: Machine, wanted: Iterable[str], more: Iterable[str] = ()) -> Iterator[Change]:
    names = [*wanted, *more]
    there = installed(machine, names)
    missing = [name for name in names if name not in there]
    if missing:
        yield Change(f"install {', '.join(missing)}", lambda: _install(machine, missing))


def _install(machine: Machine, names: list[str]) -> None:
    machine.at(OURS).parent.mkdir(parents=True, exist_ok=True)
    _update(machine)
    _mend(machine)
    write(machine, OURS, "\n".join(sorted(ours(machine) | set(names))) + "\n", 0o644, Owner())
    machine.run(*APT, "install", "--no-install-recommends", *names, env=QUIET, timeout=3600)


def _mend(machine: Machine) -> None:
    """What an earlier run was killed over: dpkg goes on, what was cut in the middle of its files is brought once more,
    and apt mends what is left, as long as it is asked for nothing else. What can not be mended, the next command says.
    """
    machine.asks("dpkg", "--configure", "-a", "--force-confdef", "--force-confold", env=QUIET, timeout=1800)
    listed: list[str] = []
    machine.asks("dpkg-query", "-W", "-f=${db:Status-Eflag} ${binary:Package}\\n", show=listed.append)
    cut = [line.split()[1] for line in listed if line.startswith("reinstreq ")]
    if cut:
        machine.asks(*APT, "install", "--reinstall", "--no-install-recommends", *cut, env=QUIET, timeout=1800)
    machine.asks(*APT, "install", "--fix-broken", "--no-install-recommends", env=QUIET, timeout=1800)


def _update(machine: Machine) -> None:
    """The lists of packages, unless they were brought a moment ago."""
    stamp = machine.at(UPDATED)
    if stamp.exists() and 0 <= time.time() - stamp.stat().st_mtime < FRESH:
        return
    machine.run(*APT, "update", env=QUIET, timeout=900)
    stamp.touch()


FIRST_STEP = Step("first packages", _plan_first)
STEP = Step("packages", _plan_others)
