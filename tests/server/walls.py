"""A bare server with the walls and nothing else of the platform: two deployments made by hand, and a world around it.

The deployments' units are rendered by the product's own code on the server; what runs "inside" one runs with exactly
the settings of its unit file. The world is a second server that has the addresses nobody may reach, and answers there.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from tests.server.lab.files import push
from tests.server.lab.lab import CHECKOUT, Lab
from tests.server.lab.server import Done, Server
from tests.support import namespaces
from tests.support.waiting import until

from webops_host.linux import selftest_probe

HOST = "/opt/webops/releases/test/host"
PACKAGES = ("nftables", "redis-server", "postgresql", "git")
PEOPLE = {"webops-fetch": 20000, "webops-build": 20001, "webops-canary": 20002, "wo-alfa": 20010, "wo-beta": 20011}
UNITS = ("webops-firewall.service", "webops-firewall-reload.service", "webops-selftest.service", "webops-apps.target")
ONCE = ("Type", "NotifyAccess", "ExecStart", "Restart", "RestartSec", "KillMode", "TimeoutStartSec", "SyslogIdentifier")
"""Settings of a unit file that a single command has no use for."""
APP = """
import http.server, os, pathlib
for folder in ("/tmp", "/dev/shm", os.environ["DATA"]):
    pathlib.Path(folder, "secret").write_text(os.environ["SECRET"])
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = os.environ["NAME"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""
DEPLOY = f"""
import json, sys
sys.path.insert(0, "{HOST}")
from pathlib import Path
from webops_host.linux import resolvers, units
from webops_host.linux.layout import ServerLayout
from webops_host.names import DeploymentName, ProcessKind, VariableKey
from webops_host.values import Limits, ProjectLine, Runtime, Unit, UnitRef
name, port, layout = DeploymentName(sys.argv[1]), int(sys.argv[2]), ServerLayout()
given = {{"NAME": str(name), "SECRET": f"the secret of {{name}}", "DATA": str(layout.data(name))}}
variables = {{VariableKey(key): value for key, value in given.items()}}
runtime = Runtime(name, 1, variables=variables, limits=Limits(memory_mib=128, cpu_percent=50, tasks=48))
unit = Unit(UnitRef(name, 1, ProcessKind("web")), ProjectLine("exec python3 app.py"), runtime, serves=True)
made = units.files(units.Surroundings(layout, resolvers=resolvers.read()), unit, f"wo-{{name}}", port)
for file, text in made.units.items():
    (layout.units / file).write_text(text)
kept = layout.unit_variables(units.name_of(unit.ref))
kept.parent.mkdir(parents=True, exist_ok=True)
kept.touch(0o600)
kept.write_text(made.variables)
"""
FOLDERS = """
set -e
name=$1 user=wo-$1 home=/srv/webops/$1
install -d -m 711 /srv/webops "$home"
install -d -m 711 /run/webops
install -d -m 2750 -o "$user" -g www-data "$home/releases" "$home/releases/1" "$home/releases/1/public"
install -d -m 700 -o "$user" -g "$user" "$home/releases/1/source"
install -d -m 710 -o "$user" -g www-data "$home/shared"
install -d -m 700 -o "$user" -g "$user" "$home/shared/data" "$home/shared/home"
install -m 600 -o "$user" /dev/stdin "$home/releases/1/source/app.py"
echo page > "$home/releases/1/public/index.html"
chown "$user:www-data" "$home/releases/1/public/index.html"
chmod 640 "$home/releases/1/public/index.html"
"""
ATTEMPTS = "print(json.dumps([_try(globals()[kind], target)[0] for kind, target in json.loads(sys.argv[1])]))"
PROBE = Path(selftest_probe.__file__).read_text().partition("\nif __name__")[0] + f"\n{ATTEMPTS}\n"


class Walled:
    """The server; `alfa` and `beta` run there."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._numbers = itertools.count(1)

    def unit(self, name: str) -> str:
        return f"wo-{name}--1-web-1"

    def pid(self, name: str) -> int:
        return int(self.server.run(("systemctl", "show", "--property=MainPID", "--value", self.unit(name))).stdout)

    def deploy(self, name: str, port: int) -> None:
        self.server.run(("bash", "-c", FOLDERS, "folders", name), input=APP)
        self.server.run(("python3", "-I", "-", name, str(port)), input=DEPLOY)

    def start(self, name: str) -> None:
        self.server.run(("systemctl", "daemon-reload"))
        self.server.run(("systemctl", "start", f"{self.unit(name)}.service", f"{self.unit(name)}.socket"))
        until(lambda: self.page(name) == name, f"{name} to answer")

    def page(self, name: str) -> str:
        """What nginx would be given."""
        words = ("curl", "-s", "--max-time", "5", "--unix-socket", f"/run/webops/{name}/1-web-1.sock", "http://site/")
        return self.server.run(words, user="www-data", check=False).stdout

    def reload(self) -> None:
        self.server.run(("systemctl", "reload", "webops-firewall.service"))

    def inside(self, name: str, program: str, *words: str, check: bool = True) -> Done:
        """Run a program with the settings of the deployment's unit, in all of its sandbox."""
        return self._transient(self._settings(name), program, words, check)

    def outside(self, user: str, program: str, *words: str, check: bool = True) -> Done:
        """Run a program as a user, with nothing around it."""
        return self._transient([f"User={user}"], program, words, check)

    def leave(self, program: str, name: str) -> str:
        """Let a program run inside, its lines going to the journal; the name of its unit."""
        unit = f"left-{next(self._numbers)}"
        chosen = [word for one in self._settings(name) for word in ("-p", one)]
        words = ("systemd-run", "--quiet", "--collect", f"--unit={unit}", *chosen, "--", "/usr/bin/python3", "-I", "-c")
        self.server.run((*words, program))
        return unit

    def _settings(self, name: str) -> list[str]:
        text = self.server.read(f"/etc/systemd/system/{self.unit(name)}.service").partition("[Service]\n")[2]
        pairs = [line.partition("=") for line in text.splitlines() if "=" in line]
        return [f"{key}={value}" for key, _, value in pairs if key not in ONCE]

    def _transient(self, settings: Sequence[str], program: str, words: Sequence[str], check: bool) -> Done:
        chosen = [word for one in settings for word in ("-p", one)]
        begin = ("systemd-run", "--quiet", "--pipe", "--wait", "--collect", *chosen, "--")
        return self.server.run((*begin, "/usr/bin/python3", "-I", "-", *words), input=program, check=check)

    def tries(self, name: str, *attempts: tuple[str, object]) -> list[str]:
        """Attempts of the probe (`read`, `reach`, …) with their targets, from inside a deployment."""
        return json.loads(self.inside(name, PROBE, json.dumps(attempts)).stdout)

    def tries_as(self, user: str, *attempts: tuple[str, object]) -> list[str]:
        """The same without a sandbox."""
        return json.loads(self.outside(user, PROBE, json.dumps(attempts)).stdout)

    def counted(self) -> dict[str, int]:
        listing = json.loads(self.server.run("nft -j list counters table inet webops").stdout)["nftables"]
        return {item["counter"]["name"]: item["counter"]["packets"] for item in listing if "counter" in item}

    def selftest(self) -> dict:
        self.server.run(("systemctl", "start", "webops-selftest.service"), check=False)
        return json.loads(self.server.read("/var/lib/webops/selftest.json"))


@functools.cache
def walled(lab: Lab, suite: str) -> Walled:
    """The server of this session. Whoever changes its walls puts them back."""
    server = lab.server(suite)
    server.run(("apt-get", "update", "-qq"))
    server.run(("apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES), timeout=600)
    _install(server)
    made = Walled(server)
    for port, name in enumerate(("alfa", "beta"), start=10000):
        made.deploy(name, port)
    server.write("/var/lib/webops/hostd/ports.json", json.dumps({"20010": [10000], "20011": [10001]}), 0o600)
    server.run(("systemctl", "start", "webops-firewall.service"))
    made.start("alfa")
    made.start("beta")
    return made


def _install(server: Server) -> None:
    checkout = Path(CHECKOUT)
    push(server, checkout / "host/src/webops_host", f"{HOST}/webops_host")
    push(server, checkout / "host/programs", HOST)
    for unit in (*UNITS, "webops.slice", "webops-apps.slice", "webops-platform.slice"):
        push(server, checkout / "install/units" / unit, "/etc/systemd/system/")
    server.run(("ln", "-sfn", "releases/test", "/opt/webops/current"))
    for user, uid in PEOPLE.items():
        server.run(("groupadd", "--gid", str(uid), user))
        server.run(("useradd", "--uid", str(uid), "--gid", user, "--no-create-home", "--shell", "/bin/false", user))
    server.write("/etc/webops/host.toml", '[platform]\ndomain = "lab.test"\n')
    server.write("/etc/webops/panel.env", "SECRET_KEY=of the panel\n", 0o640)
    server.run("systemctl daemon-reload; systemctl enable -q webops-firewall.service webops-firewall-reload.service")


@functools.cache
def world(lab: Lab, suite: str, addresses: tuple[str, ...]) -> Server:
    """A server that has these addresses and answers at a few ports, and the way there from the walled one."""
    made, here = lab.server(suite), walled(lab, suite).server
    for address in addresses:
        version = "-6" if ":" in address else "-4"
        local, via = f"{address}/{128 if ':' in address else 32}", made.address6 if ":" in address else made.address
        made.run(("ip", version, "address", "add", local, "dev", "lo", *(["nodad"] if ":" in address else [])))
        here.run(("ip", version, "route", "replace", local, "via", via))
    made.write("/usr/local/bin/doors", namespaces.LISTEN)
    places = json.dumps([("::", port) for port in namespaces.PORTS if port != 22])  # its own sshd is there
    made.run(("systemd-run", "--quiet", "--unit=doors", "/usr/bin/python3", "/usr/local/bin/doors", places))
    until(lambda: ":587 " in made.run(("ss", "-tln")).stdout, "the world's doors to be open")
    return made
