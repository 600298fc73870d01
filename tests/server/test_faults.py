"""Faults on an installed server: whatever breaks in the middle of a release, visitors are served, the state is one that
is known, and the next release works.

All fault points are gone through on the embedded host (journeys/test_crash.py); here those around what systemd, hostd
and nginx do. $WEBOPS_LAB_ALL_FAULTS goes through all of them here too, for each program.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx2
import pytest
from tests.journeys.broken import DJANGO
from tests.server.faults import PAGE, RECOVERY, WORKER, Shop, within
from tests.server.installed import PANEL, Installed
from tests.server.lab.server import Server
from tests.support.git_server import GitServer
from tests.support.waiting import until

from apps.deployments.pipeline import POINTS

pytestmark = pytest.mark.server
SWITCHED = {"switch.after", "finish.before", "finish.after"}
PROGRAMS = {
    "webops-hostd.service": ("fetch.after", "switch.before"),
    "postgresql@*.service": ("check.after", "switch.after"),
    "webops-redis.service": ("build.after",),
    "nginx.service": ("switch.before",),
}
"""What a release needs beside its worker, and where CI kills it."""
ALL = bool(os.environ.get("WEBOPS_LAB_ALL_FAULTS"))
KILLED = POINTS if ALL else ("build.before", "start.after", "switch.after")
CUT = POINTS if ALL else ("check.after", "switch.after")
SLOW_BUILD = '[build]\ncommand = "sleep 8"\n'
HUNGRY = '[build]\ncommand = """python3 -c \'x = b"x" * (1 << 31)\'"""\n[resources]\nmemory = "128M"\n'
EATING = f"""{PAGE}
def eat(request):
    return HttpResponse(str(len(b"x" * (1 << 31))))
urlpatterns.append(path("eat", eat))
"""
ON_A_PORT = {
    "app.py": (
        "import os\n"
        "from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer\n"
        "ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), SimpleHTTPRequestHandler).serve_forever()\n"
    ),
    "Procfile": "web: python app.py\n",
    "hello.txt": "hello",
}
BAD = {
    "can not be imported": ({"shop/urls.py": "import a_package_that_nobody_has\n"}, None),
    "answers with an error": ({"shop/urls.py": PAGE.replace("return", "1 / 0; return")}, None),
    "never listens": ({"Procfile": "web: sleep 1000\n"}, '[deploy]\nhealth = { timeout = "5s" }\n'),
}


@pytest.fixture(scope="module")
def shop(installed: Installed, git_host: GitServer) -> Shop:
    repository = git_host.repository("team/shop", DJANGO)
    installed.allow(git_host)
    installed.create("shop", git_host.url("team/shop"))
    return Shop(installed, repository)


@pytest.fixture
def before(shop: Shop) -> Iterator[str]:
    """What is live before something breaks."""
    yield shop.text
    shop.contract(None)


# --- the programs of the platform --------------------------------------------------------------------------------


@pytest.mark.parametrize("point", KILLED)
def test_rel_01_the_worker_is_killed_at(point: str, shop: Shop, before: str) -> None:
    shop.push(f"killed at {point}")
    with shop.armed(point, "kill"):
        first = shop.worker()
        number = shop.begin()
        until(lambda: shop.worker() not in (0, first), "systemd to start another worker", timeout=60)
        wanted = f"killed at {point}" if point in SWITCHED else before
        assert shop.text == wanted
        with within(RECOVERY, "recovery"):
            ended = shop.ended(number)
    assert ended["state"] == ("live" if point in SWITCHED else "failed"), ended
    shop.sound(wanted)


@pytest.mark.parametrize(
    ("program", "point"), [(program, at) for program, few in PROGRAMS.items() for at in (POINTS if ALL else few)]
)
def test_rel_01_what_a_release_needs_is_killed_at(program: str, point: str, shop: Shop, before: str) -> None:
    """While the worker stands still there. Without PostgreSQL the release may fail; all else it gets over."""
    sleeper, number = _asleep_at(point, shop)
    shop.signal(program, "KILL")
    shop.server.run(("kill", "-CONT", str(sleeper)))
    with within(RECOVERY, "recovery"):
        until(lambda: _answers(shop), "nginx to answer", timeout=60)
        until(lambda: shop.installed.web.get(f"https://{PANEL}/healthz").status_code == 200, "the panel", timeout=60)
        ended = shop.ended(number)
    assert ended["state"] == "live" or (ended["state"] == "failed" and "postgresql" in program), ended
    shop.sound(f"asleep at {point}" if ended["state"] == "live" else before)


def test_rel_01_hostd_is_killed_while_it_builds(shop: Shop, before: str) -> None:
    shop.contract(SLOW_BUILD)
    number = shop.begin()
    until(lambda: shop.step(number, "build") == "running", "the build", timeout=60)
    until(lambda: "sleep 8" in shop.server.run("ps -eo args").stdout, "its command", timeout=60)
    shop.signal("webops-hostd.service", "KILL")
    ended = shop.ended(number)
    assert ended["state"] == "failed", ended
    until(lambda: "sleep 8" not in shop.server.run("ps -eo args").stdout, "nothing of the build to be left")
    shop.contract(None)
    shop.sound(before)


def test_a_worker_that_is_stopped_while_it_builds_loses_nothing(shop: Shop, before: str) -> None:
    shop.push("by the next worker")
    shop.contract(SLOW_BUILD)
    number = shop.begin()
    until(lambda: shop.step(number, "build") == "running", "the build", timeout=60)
    shop.server.run(("systemctl", "restart", WORKER))
    shop.live(number)
    shop.contract(None)
    shop.sound("by the next worker")


def test_rel_05_redis_is_away_for_a_while(shop: Shop, before: str) -> None:
    """What is asked for meanwhile is not lost: the rows are the truth, and Redis rings a bell."""
    shop.push("without Redis")
    shop.server.run(("systemctl", "stop", "webops-redis.service"))
    number = shop.begin()
    shop.live(number)
    shop.server.run(("systemctl", "start", "webops-redis.service"))
    shop.sound("without Redis")


def test_rel_06_postgresql_is_killed_during_a_release(shop: Shop, before: str) -> None:
    shop.push("while PostgreSQL went away")
    shop.contract(SLOW_BUILD)
    number = shop.begin()
    until(lambda: shop.step(number, "build") == "running", "the build", timeout=60)
    shop.signal("postgresql@*.service", "KILL")
    with within(RECOVERY, "recovery"):
        until(lambda: shop.installed.web.get(f"https://{PANEL}/healthz").status_code == 200, "the panel", timeout=60)
        ended = shop.ended(number)
    assert ended["state"] in ("live", "failed"), ended
    shop.contract(None)
    shop.sound("while PostgreSQL went away" if ended["state"] == "live" else before)


def test_nginx_and_redis_are_killed_during_a_release(shop: Shop, before: str) -> None:
    shop.push("while nginx went away")
    shop.contract(SLOW_BUILD)
    number = shop.begin()
    until(lambda: shop.step(number, "build") == "running", "the build", timeout=60)
    shop.signal("nginx.service", "KILL")
    shop.signal("webops-redis.service", "KILL")
    with within(RECOVERY, "recovery"):
        until(lambda: _answers(shop), "nginx to be back", timeout=60)
        shop.live(number)
    shop.contract(None)
    shop.sound("while nginx went away")


def test_rel_03_two_workers_that_hear_the_same_bells_do_each_release_once(shop: Shop, before: str) -> None:
    with _another_worker(shop):
        for number in range(3):
            shop.push(f"by one of two, {number}")
            made = shop.begin()
            shop.live(made)
            log = shop.installed.log("shop", made)
            assert log.count("Fetching https://") == 1, log
    shop.sound("by one of two, 2")


def test_rel_03_a_worker_that_starts_leaves_alone_what_another_one_builds(shop: Shop, before: str) -> None:
    """It looks for what dead workers left as soon as it starts, and sees no process but its own below /proc."""
    shop.push("begun before the other came")
    shop.contract(SLOW_BUILD)
    number = shop.begin()
    until(lambda: shop.step(number, "build") == "running", "the build", timeout=60)
    with _another_worker(shop):
        shop.live(number)
        shop.contract(None)
        shop.sound("begun before the other came")


@pytest.mark.parametrize("point", ["start.before"])
def test_rel_12_a_worker_that_sleeps_is_taken_over_and_does_nothing_when_it_wakes(
    point: str, shop: Shop, before: str
) -> None:
    sleeper, number = _asleep_at(point, shop)
    with _another_worker(shop):
        assert shop.ended(number)["state"] == "failed"
        assert shop.text == before
        shop.push("by the other worker")
        shop.live(shop.begin())
        shop.server.run(("kill", "-CONT", str(sleeper)))
        until(lambda: not shop.frozen(sleeper), "the sleeper to wake")
        shop.sound("by the other worker")
    assert shop.installed.release("shop", number)["state"] == "failed"


def test_priv_05_a_worker_that_wakes_late_can_not_switch(shop: Shop, before: str) -> None:
    """It sleeps on the doorstep of the switch: what it does first when it wakes is refused by hostd for being late."""
    words = ("journalctl", "--no-pager", "-o", "cat", "-u", "webops-hostd.service")

    def refusals() -> int:
        return shop.server.run(words).stdout.count("sites.publish shop stale")

    sleeper, number = _asleep_at("switch.before", shop)
    with _another_worker(shop):
        assert shop.ended(number)["state"] == "failed"
        shop.push("the newer one")
        shop.live(shop.begin())
        assert refusals() == 0
        shop.server.run(("kill", "-CONT", str(sleeper)))
        until(lambda: refusals() == 1, "what the sleeper asks when it wakes to be refused")
        assert not shop.frozen(sleeper)
        shop.sound("the newer one")


def test_a_name_that_systemd_remembers_is_read_anew(installed: Installed, git_host: GitServer, shop: Shop) -> None:
    """A unit that ran when systemd last read its files stays known to it by name, with what was in them."""
    repository, url = git_host.repository("team/again", DJANGO), git_host.url("team/again")
    installed.create("again", url)
    installed.server.run(("systemctl", "daemon-reload"))
    installed.call("DELETE", "deployments/again?confirm=again")
    until(
        lambda: "again" not in {row["name"] for row in installed.call("GET", "deployments")["items"]}, "it to be gone"
    )
    repository.commit({"shop/urls.py": PAGE.replace("hello", "somebody else")})
    installed.create("again", url)
    assert installed.page("again").text == "somebody else"


# --- the machine -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", CUT)
def test_rel_02_the_power_goes_at(point: str, shop: Shop, before: str) -> None:
    shop.push(f"no power at {point}")
    with shop.armed(point, "stop"):
        worker, number = shop.worker(), shop.begin()
        until(lambda: shop.frozen(worker), f"the worker to be at {point}", timeout=60)
        shop.server.power_cut()
        shop.server.boot()
    wanted = f"no power at {point}" if point in SWITCHED else before
    with within(RECOVERY, "recovery"):
        until(lambda: shop.installed.page("shop").text == wanted, "the site to answer", timeout=60)
        ended = _patiently(shop, number)
    assert ended["state"] == ("live" if point in SWITCHED else "failed"), ended
    shop.sound(wanted)


def test_rel_07_the_disk_is_full(shop: Shop, before: str) -> None:
    """The place of its releases holds 160 MB, and something else takes them."""
    releases, run = "/srv/webops/shop/releases", shop.server.run
    run(f"""
        set -e; mkdir /tmp/kept; cp -a {releases}/. /tmp/kept/
        mount -t tmpfs -o size=160m,mode=2750 tmpfs {releases}
        cp -a /tmp/kept/. {releases}/; chown --reference=/tmp/kept {releases}
        chown "$(stat -c %u:%g /srv/webops/shop/shared)" {releases}
        head -c 200M /dev/zero > {releases}/.full || true
    """)
    try:
        shop.push("too much")
        ended = shop.ended(shop.begin())
        assert ended["state"] == "failed", ended
        assert ended["failure"] == "disk_full", ended
        assert shop.text == before
        run(f"rm {releases}/.full")
        shop.sound(before)
    finally:
        run(f"""
            set -e; rm -rf /tmp/kept; mkdir /tmp/kept; cp -a {releases}/. /tmp/kept/
            umount {releases}; rm -rf {releases}/[0-9]*; cp -a /tmp/kept/[0-9]* {releases}/; rm -rf /tmp/kept
        """)


def test_a_build_that_eats_all_memory_is_ended(shop: Shop, before: str) -> None:
    shop.contract(HUNGRY)
    ended = shop.ended(shop.begin())
    assert ended["state"] == "failed", ended
    assert (ended["failure"], "128 MiB" in ended["cause"]) == ("out_of_memory", True), ended
    assert shop.step(ended["number"], "build") == "failed"
    shop.contract(None)
    shop.sound(before)


def test_an_app_that_eats_all_memory_comes_back(shop: Shop, before: str) -> None:
    shop.repository.commit({"shop/urls.py": EATING.replace("hello", "hungry")})
    shop.live(shop.begin())
    unit = until(lambda: len(found := shop.units()) == 1 and found[0], "the release before to be gone")
    assert killed_by_its_limit(shop.server, unit) == 0
    assert shop.installed.page("shop", "/eat").status_code >= 500
    assert killed_by_its_limit(shop.server, unit) > 0
    with within(30, "coming back"):
        until(lambda: shop.installed.page("shop").status_code == 200, "the app to answer", timeout=60)
    shop.sound("hungry")


@pytest.mark.parametrize("way", BAD)
def test_rel_08_a_bad_release_leaves_the_old_one(way: str, shop: Shop, before: str) -> None:
    files, contract = BAD[way]
    shop.repository.commit({**files, "webops.toml": contract})
    ended = shop.ended(shop.begin())
    assert ended["state"] == "failed", ended
    assert ended["cause"]
    shop.repository.commit({"Procfile": None, "webops.toml": None} if contract else {"webops.toml": None})
    shop.sound(before)


def test_rel_18_after_a_reboot_the_apps_answer_without_the_panel(shop: Shop, before: str, git_host: GitServer) -> None:
    """Those at a socket of systemd's, and those at a port of their own behind one."""
    git_host.repository("team/ported", ON_A_PORT)
    shop.installed.create("ported", git_host.url("team/ported"))
    platform = "webops-panel.socket webops-panel.service webops-worker.service webops-hostd.socket webops-pgd.socket"
    shop.server.run(f"systemctl disable {platform}")
    shop.server.reboot()
    with within(60, "answering"):
        until(lambda: shop.installed.page("shop").text == before, "the app to answer", timeout=60)
        until(lambda: shop.installed.page("ported", "/hello.txt").text == "hello", "the other one", timeout=60)
    assert shop.server.run(("systemctl", "is-active", "webops-panel.service"), check=False).stdout.strip() != "active"
    shop.server.run(f"systemctl enable --now {platform}")
    until(lambda: shop.installed.web.get(f"https://{PANEL}/healthz").status_code == 200, "the panel", timeout=60)
    shop.sound(before)


# --- parts -------------------------------------------------------------------------------------------------------


def _asleep_at(point: str, shop: Shop) -> tuple[int, int]:
    """The worker frozen in the middle of a release: its process and the release."""
    shop.push(f"asleep at {point}")
    with shop.armed(point, "stop"):
        worker, number = shop.worker(), shop.begin()
        until(lambda: shop.frozen(worker), f"the worker to sleep at {point}", timeout=60)
    return worker, number


class _another_worker:
    """A second one beside systemd's, as somebody would have who runs two; the first one is started anew at the end."""

    UNIT = "second-worker.service"

    def __init__(self, shop: Shop) -> None:
        self._server = shop.server

    def __enter__(self) -> None:
        text = self._server.run(("systemctl", "cat", WORKER)).stdout
        self._server.write(f"/run/systemd/system/{self.UNIT}", text)
        self._server.run(f"systemctl daemon-reload; systemctl start {self.UNIT}")

    def __exit__(self, *_: object) -> None:
        unit = self.UNIT
        self._server.run(f"systemctl stop {unit}; rm /run/systemd/system/{unit}; systemctl daemon-reload")
        self._server.run(("systemctl", "restart", WORKER))


def _answers(shop: Shop) -> bool:
    """Whether the site answers at all: nobody listens while nginx is down."""
    try:
        return shop.installed.page("shop").status_code == 200
    except httpx2.TransportError:
        return False


def _patiently(shop: Shop, number: int) -> dict[str, object]:
    """After a boot the panel answers with 502 or 503 at first."""
    until(lambda: shop.installed.web.get(f"https://{PANEL}/healthz").status_code == 200, "the panel", timeout=60)
    return shop.ended(number)


def killed_by_its_limit(server: Server, unit: str) -> int:
    """How many of its processes the kernel ended because its control group had no memory left."""
    group = server.run(("systemctl", "show", "--property=ControlGroup", "--value", unit)).stdout.strip()
    counted = f"cat /sys/fs/cgroup/memory{group}/memory.oom_control || cat /sys/fs/cgroup{group}/memory.events"
    found = dict(line.split() for line in server.run(counted).lines)
    return int(found["oom_kill"])
