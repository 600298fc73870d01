"""nginx: our files in `conf.d`, beside whatever is there; Debian's untouched default site makes room."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from webops_install import systemd
from webops_install.change import Change, file
from webops_install.errors import SetupError
from webops_install.machine import Machine
from webops_install.step import Setup, Step

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
    for unit in ("nginx.service",):
        if not systemd.is_enabled(machine, unit):
            yield Change(f"turn {unit} on at boot", lambda: machine.run("systemctl", "enable", "-q", unit))
        if not systemd.is_active(machine, unit):
            yield Change("start nginx", lambda: systemd.start(machine, unit))


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
        raise SetupError("nginx refuses our configuration; it was taken back.", command="nginx -t", output=tested.output)
    if systemd.is_active(machine, "nginx.service"):
        machine.run("systemctl", "reload", "nginx.service")
    else:
        systemd.start(machine, "nginx.service", "restart")
    machine.at(PENDING).unlink(missing_ok=True)


def render(setup: Setup) -> str:
    answers = setup.answers
    return f"""\
server {{
    listen 80 default_server;
    listen [::]:80 default_server;
    server_name _;
    location ^~ /.well-known/acme-challenge/ {{ root /var/lib/webops/acme; default_type text/plain; }}
    location / {{ return 444; }}
}}
server {{
    listen 443 ssl default_server;
    listen [::]:443 ssl default_server;
    server_name _;
    ssl_reject_handshake on;
}}
server {{
    listen 80;
    listen [::]:80;
    server_name {answers.panel};
    location ^~ /.well-known/acme-challenge/ {{ root /var/lib/webops/acme; default_type text/plain; }}
    location / {{ return 301 https://$host$request_uri; }}
}}
server {{
    listen 443 ssl http2;
    listen [::]:443 ssl http2;
    server_name {answers.panel};
    ssl_certificate /etc/webops/tls/.platform/fullchain.pem;
    ssl_certificate_key /etc/webops/tls/.platform/privkey.pem;
    location / {{
        proxy_pass http://unix:/run/webops/panel.sock;
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        proxy_buffering off;
    }}
}}
include /etc/webops/nginx/sites/*.conf;
"""


STEP = Step("web server", _plan)
