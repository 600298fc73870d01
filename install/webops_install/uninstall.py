"""Takes the platform off the server, without the sites or with them. Packages stay: others may use them by now."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from functools import partial

from webops_host.linux import nginx_main
from webops_install import database, everyday, install, systemd
from webops_install.change import Owner
from webops_install.errors import SetupError
from webops_install.journal import Journal
from webops_install.machine import Machine
from webops_install.settings import HOST
from webops_install.steps import hardening, packages, postgres, services, units, web
from webops_install.steps.accounts import ACCOUNTS, RPC

PANEL_UNITS = (
    "webops-worker.service", "webops-panel.service", "webops-panel.socket", "webops-pgd.socket", "webops-pgd.service",
    "webops-hostd.socket", "webops-hostd.service", "webops-redis.service", "webops-recover.service",
)  # fmt: skip
SITE = re.compile(r"wo-[a-z0-9-]+--[a-z0-9_.-]+\.(service|socket|timer)")
SITE_USER = re.compile(r"^(wo-[a-z0-9-]+):", re.MULTILINE)
FOLDERS = ("/srv/webops", "/var/cache/webops", "/var/lib/webops", "/etc/webops", "/opt/webops")
"""In this order: this program itself goes last."""
TABLE = ("inet", "webops")
Task = tuple[str, Callable[[], object]]


def run(options: argparse.Namespace) -> int:
    """Each part is there or not: after an interruption the same command goes on."""
    machine, talk = everyday.begun(*FOLDERS)
    what = (
        "The panel is removed; sites go on."
        if options.keep_sites
        else "EVERYTHING is removed, sites and databases too."
    )
    everyday.agreed(what, without_asking=options.yes)
    came = packages.ours(machine)
    with install.alone(machine):
        for sentence, task in tasks(machine, keeps_sites=options.keep_sites):
            talk.say(f"  {sentence}")
            task()
    _say_what_stays(talk, came, keeps_sites=options.keep_sites)
    return 0


def tasks(machine: Machine, *, keeps_sites: bool) -> list[Task]:
    """What tells that something is left, and the command that takes it away, go last."""
    command = ("removing the command", lambda: machine.at(services.COMMAND).unlink(missing_ok=True))
    return [*_without_panel(machine), *([] if keeps_sites else _without_sites(machine)), command]


def _without_panel(machine: Machine) -> list[Task]:
    return [
        ("keeping a dump of the panel's database", partial(_last_dump, machine)),
        ("stopping the panel and its daemons", partial(_retire, machine, PANEL_UNITS)),
        ("removing the panel's database", partial(_drop, machine)),
        ("taking the panel out of nginx", partial(_nginx, machine, with_sites=True)),
    ]


def _without_sites(machine: Machine) -> list[Task]:
    return [
        ("stopping sites", partial(_stop_sites, machine)),
        ("removing the platform's units", lambda: _retire(machine, _found(machine, units.OURS))),
        ("removing slices and drop-ins", partial(_remove_files, machine)),
        ("removing the sites' databases", partial(_drop_sites, machine)),
        ("taking the sites out of nginx", partial(_nginx, machine, with_sites=False)),
        ("removing the firewall's table", lambda: machine.asks("nft", "delete", "table", *TABLE)),
        ("giving PostgreSQL its rules back", partial(_postgres, machine)),
        ("removing users", partial(_remove_users, machine)),
        ("removing folders", partial(_remove_folders, machine)),
    ]


def _found(machine: Machine, pattern: re.Pattern[str]) -> tuple[str, ...]:
    return tuple(name for name in machine.names(units.UNITS) if pattern.fullmatch(name))


def _stop_sites(machine: Machine) -> None:
    """Sockets and timers first, which would start a service again. Jobs ended with hostd."""
    _retire(machine, tuple(sorted(_found(machine, SITE), key=lambda name: name.endswith(".service"))))


def _retire(machine: Machine, names: tuple[str, ...]) -> None:
    for name in names:
        units.retire(machine, name)
    systemd.reload(machine)
    machine.asks("systemctl", "reset-failed", "webops*", "wo-*")


def _last_dump(machine: Machine) -> None:
    if postgres.query(machine, "SELECT datname FROM pg_database WHERE datname = 'webops'"):
        database.dump(machine, "before-uninstall.dump")


def _drop(machine: Machine) -> None:
    if postgres.cluster(machine) is not None:
        database.remove(machine)


def _drop_sites(machine: Machine) -> None:
    """Databases and roles whose names only pgd gives."""
    for name in postgres.query(machine, r"SELECT datname FROM pg_database WHERE datname ~ '^wo_[a-z0-9_]+$'").split():
        machine.run(*database.program(machine, "dropdb"), "--if-exists", "--force", name)
    roles = r"SELECT rolname FROM pg_roles WHERE rolname ~ '^(wo_[a-z0-9_]+|webops|webops_visitors)$'"
    for name in postgres.query(machine, roles).split():
        machine.run(*database.program(machine, "dropuser"), "--if-exists", name)


def _postgres(machine: Machine) -> None:
    """The files that were there before us, where they were kept."""
    found = postgres.cluster(machine)
    if found is None:
        return
    for name in ("pg_hba.conf", "pg_ident.conf"):
        before = found.settings / f"{name}.before-webops"
        if machine.exists(before):
            machine.owners.give(machine.at(before), *Owner("postgres", "postgres").ids(machine))
            machine.at(before).replace(machine.at(found.settings / name))
    machine.at(found.settings / "conf.d/webops.conf").unlink(missing_ok=True)
    systemd.start(machine, f"postgresql@{found.version}-{found.name}.service", "restart")


def _nginx(machine: Machine, *, with_sites: bool) -> None:
    """Reloaded only with what nginx agrees to."""
    places = [place for place in map(str, (nginx_main.FILE, nginx_main.LAST_FILE)) if machine.exists(place)]
    for place in places:
        if with_sites:
            machine.at(place).write_text(without_panel(machine.text(place) or "", machine.text(HOST) or ""))
        else:
            machine.at(place).unlink()
    if not with_sites and machine.exists(web.DROPPED) and not machine.exists(web.DEFAULT):
        machine.at(web.DEFAULT).symlink_to(web.DEFAULT_FILE)
    if not with_sites:
        web.take_back_connections(machine)
    if machine.exists("/usr/sbin/nginx"):
        machine.run("nginx", "-t", "-q")
        machine.asks("systemctl", "reload", "nginx.service")


def without_panel(text: str, host: str) -> str:
    """The main file without the two servers of the panel's name: top-level blocks that name it."""
    name = re.search(r'^panel = "([a-z0-9.-]+)"', host, re.MULTILINE)
    if name is None:
        raise SetupError("host.toml does not say how the panel is called.")
    blocks = re.split(r"(?m)^(?=server \{)", text)
    marked = re.compile(rf"^\s*server_name {re.escape(name[1])};", re.MULTILINE)
    kept = []
    for block in blocks:
        body, end, rest = block.partition("\n}\n")
        kept.append(rest if block.startswith("server {") and marked.search(body) else body + end + rest)
    return "".join(kept)


def _remove_files(machine: Machine) -> None:
    """The slice of all ends with whatever is still in it."""
    machine.asks("systemctl", "stop", "webops.slice", timeout=180)
    own = [*units.files(install.OWN), units.TMPFILES]
    for place in (*own, hardening.JOURNAL, hardening.JAIL, hardening.UPDATES, hardening.ROTATE):
        machine.at(place).unlink(missing_ok=True)
    systemd.reload(machine)
    # Debian's own jail reads a file that a small system does not have: without ours it would only fail.
    came_with_us = "fail2ban" in packages.ours(machine)
    words = ("disable", "--now") if came_with_us else ("try-restart",)
    machine.asks("systemctl", *words, "fail2ban.service", timeout=120)
    machine.asks("systemctl", "try-restart", "systemd-journald.service", timeout=120)


def _remove_users(machine: Machine) -> None:
    """A user's own group goes with it where the system's settings say so."""
    ours = [account.name for account in ACCOUNTS]
    for name in (*SITE_USER.findall(machine.text("/etc/passwd") or ""), *ours):
        if machine.user(name) is not None:
            machine.run("userdel", name)
    for name in (*SITE_USER.findall(machine.text("/etc/group") or ""), *ours, RPC):
        if machine.group(name) is not None:
            machine.run("groupdel", name)


def _remove_folders(machine: Machine) -> None:
    """One by one: where one can not be removed, those after it are still there to go on with."""
    for folder in FOLDERS:
        machine.run("rm", "-rf", "--one-file-system", "--", machine.at(folder))


def _say_what_stays(talk: Journal, came: set[str], *, keeps_sites: bool) -> None:
    talk.say("Done. Backups and dumps stay in /var/backups/webops, logs in /var/log/webops.")
    if keeps_sites:
        talk.say("Sites, their databases, their certificates with renewal, and the firewall go on. ./setup.sh brings")
        talk.say("a panel back; restore a backup to have the old one.")
        return
    if came:
        talk.say(f"To remove the packages that came with the platform: apt-get purge {' '.join(sorted(came))}")
