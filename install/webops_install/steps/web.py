"""nginx: our files in `conf.d`, beside whatever is there; Debian's untouched default site makes room."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from webops_host.linux import nginx_main
from webops_host.linux.layout import ServerLayout
from webops_host.linux.nginx_parts import Flavour, Ground, TlsFiles
from webops_install import settings, systemd
from webops_install.change import Change, file
from webops_install.errors import SetupError
from webops_install.machine import Machine
from webops_install.step import Setup, Step

UNIT = "nginx.service"
MAIN = "/etc/nginx/conf.d/webops.conf"
DEFAULT = "/etc/nginx/sites-enabled/default"
DEFAULT_FILE = "/etc/nginx/sites-available/default"
DROPPED = "/var/lib/webops/setup/nginx-default"


def is_untouched(machine: Machine) -> bool:
    """Whether Debian's default site is as the package brought it."""
    text = machine.text(DEFAULT_FILE)
    if text is None or not machine.at(DEFAULT).is_symlink():
        return False
    listed = machine.asks("dpkg-query", "-W", "-f=${Conffiles}", "nginx-common", "nginx").output
    known = re.findall(rf"{re.escape(DEFAULT_FILE)} ([0-9a-f]{{32}})", listed)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() in known


def _plan(setup: Setup) -> Iterator[Change]:
    machine = setup.machine
    if not machine.exists("/etc/nginx/conf.d"):  # a dry run on a bare machine
        yield Change(f"write {MAIN}", lambda: None)
        return
    if is_untouched(machine):
        yield Change("take Debian's default site out of nginx", lambda: _drop_default(machine))
    before = machine.text(MAIN)
    changes = list(file(machine, MAIN, render(setup)))
    yield from changes
    if changes or machine.exists(PENDING):
        yield Change("test nginx's configuration and reload it", lambda: _reload(machine, before))
    if not systemd.is_enabled(machine, UNIT):
        yield Change("turn nginx on at boot", lambda: machine.run("systemctl", "enable", "-q", UNIT))
    if not systemd.is_active(machine, UNIT):
        yield Change("start nginx", lambda: systemd.start(machine, UNIT))


PENDING = "/var/lib/webops/setup/nginx"


def _drop_default(machine: Machine) -> None:
    machine.at(DROPPED).write_text("")  # for `uninstall`, which puts it back
    machine.at(DEFAULT).unlink()


def _reload(machine: Machine, before: str | None) -> None:
    """What nginx refuses is taken back, so that the sites that are there keep working."""
    machine.at(PENDING).write_text("")
    tested = machine.asks("nginx", "-t", "-q")
    if tested.status != 0:
        if before is None:
            machine.at(MAIN).unlink(missing_ok=True)
        else:
            machine.at(MAIN).write_text(before)
        raise SetupError(
            "nginx refuses our configuration; it was taken back.", command="nginx -t", output=tested.output
        )
    if systemd.is_active(machine, "nginx.service"):
        machine.run("systemctl", "reload", "nginx.service")
    else:
        systemd.start(machine, "nginx.service", "restart")
    machine.at(PENDING).unlink(missing_ok=True)


def render(setup: Setup) -> str:
    machine = setup.machine
    platform_tls = ServerLayout().platform_tls
    files = TlsFiles(platform_tls / "fullchain.pem", platform_tls / "privkey.pem")
    return nginx_main.text(settings.platform_of(machine), files, Ground(flavour=flavour(machine)))


def flavour(machine: Machine) -> Flavour:
    """What the nginx that is here can do."""
    version = re.search(r"nginx/(\d+(?:\.\d+)*)", machine.asks("nginx", "-v").output)
    modules = machine.names("/etc/nginx/modules-enabled")
    types = machine.text("/etc/nginx/mime.types") or ""
    known = {name for line in types.splitlines() for name in line.strip().rstrip(";").split()[1:]}
    return Flavour(
        version=tuple(int(part) for part in version[1].split(".")) if version else Flavour().version,
        brotli=sum("brotli" in name for name in modules) >= 2,
        addresses=("", "[::]:") if machine.exists("/proc/net/if_inet6") else ("",),
        known=frozenset(known),
    )


STEP = Step("web server", _plan)
