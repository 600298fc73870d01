"""Waking from sleep against the bare start of the same program; ten first requests at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from tests.server.installed import DOMAIN

from bench import probe, report, samples
from bench.children import Failed
from bench.server.ground import Ground
from bench.stats import percentile, ratio

AT_ONCE = 10
BARE = """
import json, os, pathlib, pwd, re, shlex, signal, socket, subprocess, time
unit = pathlib.Path("/etc/systemd/system", sys.argv[1] + ".service").read_text()
value = lambda key: re.search(rf"^{key}=(.*)$", unit, re.M)[1]
pid = subprocess.run(["systemctl", "show", "-pMainPID", "--value", sys.argv[1]], capture_output=True, text=True).stdout
env = pathlib.Path("/proc", pid.strip(), "environ").read_text().split("\\0")
env = dict(item.split("=", 1) for item in env if "=" in item and not item.startswith(("LISTEN_", "NOTIFY_")))
place, user = f"/run/bench-{os.getpid()}", pwd.getpwnam(value("User"))
os.mkdir(place, 0o700)
os.chown(place, user.pw_uid, user.pw_gid)
argv = [word for word in shlex.split(value("ExecStart")) if not word.startswith("--bind=")]
argv.insert(argv.index("gunicorn") + 1, f"--bind=unix:{place}/sock")
words = ["setpriv", "--reuid", user.pw_name, "--regid", str(user.pw_gid), "--clear-groups", "--", *argv]
asked = f"GET /version HTTP/1.0\\r\\nHost: {sys.argv[2]}\\r\\nX-Forwarded-Proto: https\\r\\n\\r\\n".encode()
began, answer, null = time.monotonic(), b"", subprocess.DEVNULL
folder = shlex.split(value("WorkingDirectory"))[0]
run = subprocess.Popen(words, cwd=folder, env=env, start_new_session=True, stdout=null, stderr=null)
while b" 200 " not in answer[:16] and time.monotonic() - began < 60 and run.poll() is None:
    try:
        with socket.socket(socket.AF_UNIX) as talk:
            talk.connect(f"{place}/sock")
            talk.sendall(asked)
            answer = talk.recv(4096)
    except OSError:
        time.sleep(0.002)
taken = time.monotonic() - began
if run.poll() is None:
    os.killpg(run.pid, signal.SIGTERM)
    run.wait()
subprocess.run(["rm", "-r", place])
print(json.dumps({"seconds": taken, "answer": answer[:40].decode()}))
"""
STARTS = "journalctl -q -o cat -u {unit}.service --since @{since} --grep 'Starting gunicorn' | wc -l"


def run(ground: Ground, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    samples.Shop(ground.repository("bench/wake"), "wake")
    ground.created("bench-wake", "bench/wake")
    unit, host = ground.unit("bench-wake"), f"bench-wake.{DOMAIN}"
    ask = probe.of_server(ground.server.address, host, "/version")
    found: dict[str, list[float]] = {"woken": [], "woken again": [], "bare": [], "ten": [], "awake": []}
    failed = 0
    starts = []
    for number in range(rounds):
        for lane in ("woken", "bare", "woken again"):
            if lane == "bare":
                found[lane].append(_bare(ground, unit, host))
            else:
                _sleep(ground, unit)
                found[lane].append(_seconds(ask))
        found["awake"].append(_seconds(ask))
        _sleep(ground, unit)
        since = ground.server.run("date +%s.%N").stdout.strip()
        lost, slowest = _together(ask)
        failed += lost
        found["ten"].append(slowest)
        starts.append(int(ground.server.run(STARTS.format(unit=unit, since=since)).stdout))
        say(f"round {number + 1}: woken {found['woken'][-1]:.2f} s, bare {found['bare'][-1]:.2f} s")
    return {"seconds": found, "failed": failed, "starts": starts}


def _sleep(ground: Ground, unit: str) -> None:
    """As the idle timer does: the program ends, its socket is held. So many starts in a minute are no crashes."""
    ground.server.run(("systemctl", "stop", f"{unit}.service"))
    ground.server.run(("systemctl", "reset-failed", f"{unit}.service"))


def _seconds(ask: probe.Ask) -> float:
    began = time.perf_counter()
    ask()
    return time.perf_counter() - began


def _bare(ground: Ground, unit: str, host: str) -> float:
    said = ground.ask(BARE, unit, host)
    if " 200 " not in said["answer"][:16]:
        raise Failed(f"The bare program did not answer: {said}")
    return float(said["seconds"])


def _together(ask: probe.Ask) -> tuple[int, float]:
    """How many of ten were lost, and how long the last one took."""
    taken: list[float] = []
    lost: list[str] = []

    def one() -> None:
        try:
            taken.append(_seconds(ask))
        except OSError as error:
            lost.append(str(error))

    threads = [threading.Thread(target=one) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(lost), max(taken, default=float("nan"))


def shown(found: dict[str, Any]) -> str:
    lanes = found["seconds"]
    woken = lanes["woken"] + lanes["woken again"]
    rows = [
        (name, f"{median(lane) * 1000:,.0f}", f"{percentile(lane, 0.95) * 1000:,.0f}", str(ratio(lane, lanes["bare"])))
        for name, lane in lanes.items()
    ]
    return (
        f"{report.table(('first answer', 'median ms', 'p95 ms', 'of the bare start'), rows)}\n\n"
        f"Woken to bare: {ratio(woken, lanes['bare'])}. "
        f"Ours to ours: {ratio(lanes['woken'], lanes['woken again'])}. "
        f"Ten first requests at once: {found['failed']} failed; starts each time: {found['starts']}.\n"
    )
