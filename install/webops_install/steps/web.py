"""nginx: one file of ours beside whatever is there; Debian's untouched default site makes room.

On a server on which nginx served others before, they keep what they have: our file is read last, and unknown names stay
with whoever has them.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping

from webops_host.command import Command
from webops_host.linux import nginx_control, nginx_main, tls_files
from webops_host.linux.layout import ServerLayout
from webops_host.linux.nginx_parts import Ground
from webops_host.linux.platform import Platform
from webops_host.linux.renewal import NoUnits
from webops_host.linux.sites import LinuxSites
from webops_host.runner import Result
from webops_install import settings, systemd
from webops_install.change import Change, file, write
from webops_install.errors import SetupError
from webops_install.machine import Machine
from webops_install.step import Setup, Step

UNIT = "nginx.service"
FILES = tuple(str(path) for path in (nginx_main.FILE, nginx_main.LAST_FILE))
DEFAULT = "/etc/nginx/sites-enabled/default"
DEFAULT_FILE = "/etc/nginx/sites-available/default"
DROPPED = "/var/lib/webops/setup/nginx-default"
PENDING = "/var/lib/webops/setup/nginx"
KEPT = "/var/lib/webops/setup/nginx-before.json"
OPEN_FILES = 65536
"""A worker keeps files of many sites open."""
MAIN = "/etc/nginx/nginx.conf"
DEBIANS, OURS = "worker_connections 768;", "worker_connections 4096;  # by WebOps"
"""What Debian gives a process of nginx is too few for many sites, of which one may hang. Anything else was chosen."""


def is_untouched(machine: Machine) -> bool:
    """Whether Debian's default site is as the package brought it."""
    text = machine.text(DEFAULT_FILE)
    if text is None or not machine.at(DEFAULT).is_symlink():
        return False
    listed = machine.asks("dpkg-query", "-W", "-f=${Conffiles}", "nginx-common", "nginx").output
    known = re.findall(rf"{re.escape(DEFAULT_FILE)} ([0-9a-f]{{32}})", listed)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() in known


def others(machine: Machine) -> list[str]:
    """Files with sites that are not ours."""
    found = [f"/etc/nginx/conf.d/{name}" for name in machine.names("/etc/nginx/conf.d") if name.endswith(".conf")]
    found += [f"/etc/nginx/sites-enabled/{name}" for name in machine.names("/etc/nginx/sites-enabled")]
    candidates = [path for path in found if path not in FILES and not (path == DEFAULT and is_untouched(machine))]
    return [path for path in candidates if re.search(r"^\s*server\s*\{", machine.text(path) or "", re.MULTILINE)]


def serves_others(machine: Machine) -> bool:
    """As it was found at first; what comes later comes beside us."""
    before = settings.read_host(machine).get("platform", {}).get("shares_nginx")
    return bool(others(machine)) if before is None else before is True


def _plan(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    if not machine.exists("/etc/nginx/conf.d") or not machine.exists(settings.HOST):  # a dry run on a bare machine
        yield Change(f"write {nginx_main.FILE}", lambda: None)
        return
    if is_untouched(machine):
        yield Change("take Debian's default site out of nginx", lambda: _drop_default(machine))
    wanted = _texts(setup)
    before = {place: machine.text(place) for place in wanted}
    changes = [change for place, text in wanted.items() for change in file(machine, place, text)]
    changes += connections(machine, settings.platform_of(machine))
    yield from changes
    if changes or machine.exists(PENDING):
        yield Change("test nginx's configuration and reload it", lambda: _reload(machine, before))
    yield from _running(setup)


def connections(machine: Machine, platform: Platform) -> Iterator[Change]:
    """More for each process of nginx, where Debian's number stands and nobody else is served."""
    text = machine.text(MAIN) or ""
    if DEBIANS in text and not platform.shares_nginx:
        yield from file(machine, MAIN, text.replace(DEBIANS, OURS))


def take_back_connections(machine: Machine) -> None:
    text = machine.text(MAIN) or ""
    if OURS in text:
        machine.at(MAIN).write_text(text.replace(OURS, DEBIANS))


def _texts(setup: Setup) -> dict[str, str]:
    """By place, what this version writes: our own file, and those of the sites, which must fit to it."""
    platform, layout = settings.platform_of(setup.machine), ServerLayout()
    files = tls_files.of_panel(layout, platform.panel)
    flavour = nginx_control.flavour(_asked(setup.machine), _installed(setup.machine))
    main = nginx_main.text(platform, files, Ground(layout, flavour), defaults=not platform.shares_nginx)
    sites = LinuxSites(layout, platform, NoUnits(), flavour=flavour)
    return {str(nginx_main.file_of(platform)): main, **{str(place): text for place, text in sites.texts().items()}}


def keep(machine: Machine) -> None:
    """Our files and those of the sites, as this version wrote them, for `put_back`."""
    sites = ServerLayout().nginx_sites
    places = [*FILES, *(str(sites / name) for name in machine.names(sites))]
    write(machine, KEPT, json.dumps({place: machine.text(place) for place in places if machine.exists(place)}), 0o600)


def put_back(machine: Machine) -> None:
    """Have the files that were kept again, where there still is one. The setup that follows has nginx read them."""
    kept: dict[str, str] = json.loads(machine.text(KEPT) or "{}")
    changed = {place: text for place, text in kept.items() if machine.text(place) not in (None, text)}
    if changed:
        machine.at(PENDING).write_text("")
    for place, text in changed.items():
        write(machine, place, text)


def let_go(machine: Machine) -> None:
    machine.at(KEPT).unlink(missing_ok=True)


def _asked(machine: Machine) -> Callable[..., Result]:
    def run(command: Command, *_: object, **__: object) -> Result:
        return machine.asks(*command.argv)

    return run


def _installed(machine: Machine) -> nginx_control.Installed:
    usual = nginx_control.Installed()
    return nginx_control.Installed(machine.at(usual.types), machine.at(usual.modules), machine.at(usual.ipv6))


def _drop_default(machine: Machine) -> None:
    machine.at(DROPPED).write_text("")  # for `uninstall`, which puts it back
    machine.at(DEFAULT).unlink()


def _reload(machine: Machine, before: Mapping[str, str | None]) -> None:
    """What nginx refuses is taken back, so that the sites that are there keep working."""
    machine.at(PENDING).write_text("")
    tested = machine.asks("nginx", "-t", "-q")
    if tested.status != 0:
        for place, text in before.items():
            if text is None:
                machine.at(place).unlink(missing_ok=True)
            else:
                machine.at(place).write_text(text)
        raise SetupError("nginx refuses our files; they were taken back.", command="nginx -t", output=tested.output)
    systemd.start(machine, UNIT, "reload-or-restart")
    machine.at(PENDING).unlink(missing_ok=True)


def _running(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    if not systemd.is_enabled(machine, UNIT):
        yield Change("turn nginx on at boot", lambda: machine.run("systemctl", "enable", "-q", UNIT))
    if not systemd.is_active(machine, UNIT):
        yield Change("start nginx", lambda: systemd.start(machine, UNIT))
    yield from _open_files(setup)


def _open_files(setup: Setup) -> Iterator[Change]:
    """The drop-in counts from the next start on. Where sites are served already, nothing is worth a restart."""
    machine = setup.machine
    has, _ = _may_open(machine, nginx_control.master(machine.at("/run/nginx.pid")))
    _, most = _may_open(machine, 1)  # init can not give more than it may have itself
    if has >= min(OPEN_FILES, most):
        return
    if machine.exists("/opt/webops/current") or serves_others(machine):
        setup.skip(f"nginx keeps at most {has} files open until it is restarted.")
    else:
        yield Change(
            "restart nginx, so that it may keep more files open", lambda: systemd.start(machine, UNIT, "restart")
        )


def _may_open(machine: Machine, process: object) -> tuple[int, int]:
    """How many files a process may have open, and how many it may ask for; no end when there is no such process."""
    limits = machine.text(f"/proc/{process}/limits") or ""
    found = re.search(r"^Max open files\s+(\d+)\s+(\d+)", limits, re.MULTILINE)
    return (int(found[1]), int(found[2])) if found else (sys.maxsize, sys.maxsize)


STEP = Step("web server", _plan)
