"""hostd killed before each of the things that an operation does, and asked for the same again.

On the server it is started through a program of ours that sees what hostd is about to do (PEP 578) and ends it there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.server.lab.server import Server
from tests.support.watched import CHANGES, STARTS, WRITING

FOLDER = "/usr/local/lib/webops-tests"
DROP_IN = "/run/systemd/system/webops-hostd.service.d/dying.conf"
ARMED = "/run/webops-hostd/armed"
"""How many things the next operation gets to do, and one of which hostd dies."""
HOSTD = f"""
import os, signal, sys, threading
sys.path.insert(0, "/opt/webops/current/host")
ACTS, WRITING, ARMED = {sorted(CHANGES | STARTS)!r}, {WRITING}, {ARMED!r}
left = {{}}
def armed():
    try:
        with open(ARMED) as file:
            number = int(file.read())
        os.unlink(ARMED)
        return number
    except FileNotFoundError:
        return 0
def hook(event, arguments):
    thread = threading.current_thread()
    if thread.name != "host-call" or left.get(thread) == 0:
        return
    opens = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
    if not opens and event not in ACTS:
        return
    if thread not in left:
        left[thread] = 0  # what is done to find out does not count
        left[thread] = armed()
        if not left[thread]:
            return
    left[thread] -= 1
    if left[thread] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
from webops_host.linux.hostd import main
sys.exit(main())
"""
LOOK = r"""
find "/srv/webops/$1" "/run/webops/$1" -printf '%p %y %m %u %g %l\n' | sort
find /etc/systemd/system /etc/webops/units -name "wo-$1--*" -printf '%p %y %m %u %g %s\n' | sort
getent passwd "wo-$1" | cut -d: -f1,5-
cat "/etc/webops/nginx/sites/$1.conf"
curl -ks -o /dev/null -w '%{http_code}\n' --resolve "$1.apps.test:443:127.0.0.1" "https://$1.apps.test/"
systemctl list-units --plain --no-legend --state=active,failed "wo-$1--*" | cut -d' ' -f1
python3 -c "import json; print('$1' in json.load(open('/var/lib/webops/hostd/registry.json'))['users'])"
"""
HALF = r"/\.[^/]+\.[0-9a-f]{8} "
"""All that operations change, but for numbers that are given once, and for what a write that was cut short leaves."""
ASK = f"""
import json, os, pwd, re, secrets, socket, subprocess, sys
sys.path.insert(0, "/opt/webops/current/host")
from webops_host.daemon import protocol
worker, (name, every, acts) = pwd.getpwnam("webops-worker"), json.load(sys.stdin)
os.setgroups(os.getgrouplist(worker.pw_name, worker.pw_gid))
def say(line):
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(120)
        os.setegid(worker.pw_gid); os.seteuid(worker.pw_uid)
        try:
            talk.connect("/run/webops/hostd.sock")
        finally:
            os.seteuid(0); os.setegid(0)
        try:
            talk.sendall(line)
            return b"".join(iter(lambda: talk.recv(65536), b""))
        except ConnectionError:
            return b""
def line_of(op, params):
    asked = {{"v": protocol.VERSION, "id": secrets.token_hex(8), "fence": None, "op": op, "params": params}}
    return protocol.encode(asked)
def done(op, params):
    said = say(line_of(op, params))
    assert said and json.loads(said)["ok"], (op, said)
def state():
    seen = subprocess.run(("bash", "-c", {LOOK!r}, "look", name), capture_output=True, text=True).stdout
    return [line for line in seen.splitlines() if not re.search({HALF!r}, line)]
wanted = {{}}
for op, params in acts * 2:
    done(op, params)
    wanted[op] = state()
deaths, wrong = {{}}, []
for place, (op, params) in enumerate(acts):
    others, deaths[op] = acts[place + 1:] + acts[:place], 0
    for number in range(1, 1000, every):
        with open({ARMED!r}, "w") as file:
            file.write(str(number))
        line = line_of(op, params)
        if say(line):
            break  # it does no more than that; now it is done, and the next one's turn
        deaths[op] += 1
        again, found = say(line), state()
        if not again or not json.loads(again)["ok"] or found != wanted[op]:
            wrong.append([op, number, again.decode(), sorted(set(found) ^ set(wanted[op]))])
        for each in others:
            done(*each)
print(json.dumps([deaths, wrong]))
"""


@contextmanager
def armed(server: Server) -> Iterator[None]:
    """Meanwhile hostd can be told where to die, and may as often as it likes."""
    server.write(f"{FOLDER}/dying.py", HOSTD)
    started = f"ExecStart=\nExecStart=/usr/bin/python3 -I {FOLDER}/dying.py"
    server.write(DROP_IN, f"[Unit]\nStartLimitIntervalSec=0\n[Service]\n{started}\n")
    again = "systemctl daemon-reload; systemctl stop webops-hostd.service; systemctl reset-failed"
    server.run(again)
    try:
        yield
    finally:
        server.run(f"rm -f {DROP_IN} {ARMED}; {again}")


def dies_in(
    server: Server, name: str, *acts: tuple[str, dict[str, Any]], every: int = 1
) -> tuple[dict[str, int], Sequence[Any]]:
    """Operations on a deployment that together lead back to where they began. For each of them how often hostd died in
    it, and what was not, once it was asked again, as it is without that."""
    with armed(server):
        done = server.run(("python3", "-I", "-c", ASK), input=json.dumps([name, every, acts]), timeout=900)
    deaths, wrong = json.loads(done.stdout)
    return deaths, wrong
