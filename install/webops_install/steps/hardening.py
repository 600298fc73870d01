"""The machine around the platform: logs with an end, updates by themselves, nobody guesses at ssh, the right time."""

from __future__ import annotations

from collections.abc import Iterator

from webops_install import systemd
from webops_install.change import Change, file
from webops_install.step import Setup, Step
from webops_install.steps import packages

JOURNAL = "/etc/systemd/journald.conf.d/webops.conf"
UPDATES = "/etc/apt/apt.conf.d/52webops-updates"
JAIL = "/etc/fail2ban/jail.d/webops.local"
ROTATE = "/etc/logrotate.d/webops"

UPDATES_TEXT = """\
// Security updates by themselves, once a day. Written by setup.sh.
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
APT::Periodic::AutocleanInterval "7";
Unattended-Upgrade::Automatic-Reboot "false";
"""
ROTATE_TEXT = """\
/var/log/webops/*.log {
    su root adm
    weekly
    rotate 8
    size 1M
    compress
    delaycompress
    missingok
    notifempty
    create 0640 root adm
}
"""


def render_journal(disk_mib: int) -> str:
    """Kept across boots, and never more than a tenth of what is free, within bounds."""
    most = min(2048, max(200, disk_mib // 10))
    return f"""\
# Logs of deployments are in the journal: kept across boots, with an end. Written by setup.sh.
[Journal]
Storage=persistent
SystemMaxUse={most}M
SystemKeepFree=1G
SystemMaxFileSize=64M
MaxRetentionSec=3month
RateLimitIntervalSec=30s
RateLimitBurst=20000
"""


def render_jail(ports: tuple[int, ...]) -> str:
    """Reads the journal: a small system writes no /var/log/auth.log."""
    return f"""\
# Who guesses passwords of ssh is kept out for a while. Written by setup.sh.
[sshd]
enabled = true
backend = systemd
port = {",".join(map(str, ports))}
banaction = nftables-multiport
maxretry = 5
findtime = 10m
bantime = 15m
bantime.increment = true
bantime.maxtime = 1d
"""


def _plan(setup: Setup) -> Iterator[Change]:
    yield from _journal(setup)
    yield from _watched(setup, JAIL, render_jail(setup.ssh_ports), "fail2ban.service")
    machine = setup.machine
    yield from file(machine, UPDATES, UPDATES_TEXT)
    yield from file(machine, ROTATE, ROTATE_TEXT)
    if not setup.facts.in_container and "systemd-timesyncd" in packages.installed(machine, packages.TIME):
        yield from _on(setup, "systemd-timesyncd.service")


def _journal(setup: Setup) -> Iterator[Change]:
    """What was decided first stays: the free disk is another number each time."""
    machine = setup.machine
    if not machine.exists("/etc/systemd/journald.conf.d"):
        yield Change("make /etc/systemd/journald.conf.d", lambda: machine.at("/etc/systemd/journald.conf.d").mkdir())
    if machine.text(JOURNAL) is None:
        text = render_journal(setup.facts.disk_mib)
        yield from file(machine, JOURNAL, text)
        yield Change(
            "let the journal read its settings", lambda: machine.run("systemctl", "restart", "systemd-journald.service")
        )


def _watched(setup: Setup, place: str, text: str, unit: str) -> Iterator[Change]:
    """A file, and the service that reads it when it starts."""
    machine = setup.machine
    if not machine.at(place).parent.is_dir():  # a dry run on a bare machine
        yield Change(f"write {place}", lambda: None)
        return
    changes = list(file(machine, place, text))
    yield from changes
    if changes:
        yield Change(f"restart {unit}", lambda: systemd.start(machine, unit, "restart"))
    yield from _on(setup, unit)


def _on(setup: Setup, unit: str) -> Iterator[Change]:
    machine = setup.machine
    if not systemd.is_enabled(machine, unit):
        yield Change(f"turn {unit} on at boot", lambda: machine.run("systemctl", "enable", "-q", unit))
    if not systemd.is_active(machine, unit):
        yield Change(f"start {unit}", lambda: systemd.start(machine, unit))


STEP = Step("hardening", _plan)
