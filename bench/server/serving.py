"""Pages through the platform's generated configuration, against nginx and gunicorn tuned by hand on the same server.

Both use the same certificate, the same files, the same Python and packages; `wrk` runs there too, so what it takes is
taken from both alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from tests.server.installed import DOMAIN
from tests.support.waiting import until

from bench import report, samples
from bench.children import Failed
from bench.server.ground import Ground
from bench.stats import ratio

SECONDS, CONNECTIONS = 4, 16
TUNED = "tuned.test"
PAGES = {
    "static": ("bench-pages", "/page-1.html"),
    "hello": ("bench-app", "/hello"),
    "database": ("bench-app", "/posts"),
}
TEMPLATE = (Path(__file__).parent / "tuned.conf").read_text()
COPY = """
set -e; rm -rf /srv/tuned; mkdir -p /srv/tuned
cp -rL /srv/webops/bench-pages/current/public /srv/tuned/; chmod -R a+rX /srv/tuned
"""
GUNICORN = """
import json, pathlib, re, shlex, subprocess
unit = pathlib.Path("/etc/systemd/system", sys.argv[1] + ".service").read_text()
value = lambda key: re.search(rf"^{key}=(.*)$", unit, re.M)[1]
argv = [word for word in shlex.split(value("ExecStart")) if not word.startswith("--bind=")]
argv[argv.index("gunicorn") + 1:argv.index("gunicorn") + 1] = ["--bind=unix:/run/tuned/app.sock", "--umask=0"]
subprocess.run(["systemd-run", "--unit=tuned-app", "--collect", "--quiet", "--service-type=notify",
    "--property=NotifyAccess=main", "--property=RuntimeDirectory=tuned", "--property=RuntimeDirectoryMode=0755",
    f"--property=User={value('User')}", f"--property=EnvironmentFile={value('EnvironmentFile')}",
    f"--working-directory={shlex.split(value('WorkingDirectory'))[0]}", "--", *argv], check=True)
print(json.dumps(True))
"""
UNTUNE = "rm -rf /etc/nginx/conf.d/tuned.conf /srv/tuned; systemctl reload nginx; systemctl stop tuned-app"
RATE = re.compile(r"Requests/sec:\s+([\d.]+)")


def run(ground: Ground, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    ground.has("wrk")
    samples.Shop(ground.repository("bench/app"), "app")
    samples.StaticSite(ground.repository("bench/pages"), "pages")
    ground.created("bench-app", "bench/app")
    ground.created("bench-pages", "bench/pages")
    for host in (TUNED, f"bench-app.{DOMAIN}", f"bench-pages.{DOMAIN}"):
        ground.server.finds(host, "127.0.0.1")
    found: dict[str, dict[str, list[float]]] = {page: {"ours": [], "tuned": [], "again": []} for page in PAGES}
    try:
        _tune(ground)
        _same_bytes(ground)
        for number in range(rounds):
            lanes = ("ours", "tuned", "again")
            for page, (name, path) in PAGES.items():
                for lane in (*lanes[number % 3 :], *lanes[: number % 3]):
                    host = TUNED if lane == "tuned" else f"{name}.{DOMAIN}"
                    found[page][lane].append(_rate(ground, f"https://{host}{path}"))
                say(f"round {number + 1}, {page}: {found[page]['ours'][-1]:.0f} to {found[page]['tuned'][-1]:.0f}")
    finally:
        ground.server.run(
            "rm -f /etc/nginx/conf.d/tuned.conf; systemctl reload nginx; systemctl stop tuned-app", check=False
        )
    return found


def _tune(ground: Ground) -> None:
    ground.server.run(COPY)
    ground.server.run("systemctl stop tuned-app", check=False)
    ground.ask(GUNICORN, ground.unit("bench-app"))
    ground.server.write("/etc/nginx/conf.d/tuned.conf", TEMPLATE.replace("@host@", f"bench-app.{DOMAIN}"))
    ground.server.run("nginx -t && systemctl reload nginx")
    ask = ("curl", "-sk", "--fail", f"https://{TUNED}/hello")
    until(lambda: ground.server.run(ask, check=False).stdout == "hello", "the tuned configuration to be in use")


def _same_bytes(ground: Ground) -> None:
    """What is compared must be the same page."""
    for name, path in PAGES.values():
        ask = f"curl -sk --fail https://{{}}{path} | sha256sum"
        ours, tuned = (ground.server.run(ask.format(host)).stdout for host in (f"{name}.{DOMAIN}", TUNED))
        if ours != tuned:
            raise Failed(f"{path} is not the same page on both sides.")


def _rate(ground: Ground, url: str) -> float:
    said = ground.server.run(("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", url)).stdout
    rate = RATE.search(said)
    if rate is None or "Non-2xx" in said or "Socket errors" in said:
        raise Failed(f"{url}: {said}")
    return float(rate[1])


def shown(found: dict[str, Any]) -> str:
    rows = [
        (
            page,
            f"{median(lanes['ours'] + lanes['again']):,.0f}",
            f"{median(lanes['tuned']):,.0f}",
            str(ratio(lanes["ours"] + lanes["again"], lanes["tuned"])),
            str(ratio(lanes["ours"], lanes["again"])),
        )
        for page, lanes in found.items()
    ]
    head = ("page", "ours, requests a second", "tuned by hand", "ours / tuned (aim ≥ 0.97)", "ours / ours")
    return f"{report.table(head, rows)}\n"
