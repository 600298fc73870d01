"""What is no release, on a really installed server: switches, domains asked of a real DNS by the worker, the site's
options through nginx, commands in the sandbox, scaling."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.journeys.broken import DJANGO
from tests.server.installed import DOMAIN, Installed
from tests.server.lab.lab import Lab
from tests.support.git_server import GitServer
from tests.support.waiting import until

pytestmark = pytest.mark.server
SHOP, OTHER = "shop.example", "www.shop.example"
RESOLVERS = "/etc/resolv.conf"


class NameServer:
    """Answers A and TXT questions on port 53 of an address, from a table; nothing else is there."""

    def __init__(self, address: str) -> None:
        self.records: dict[tuple[str, int], list[bytes]] = {}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.close()

    def leads(self, name: str, *addresses: str) -> None:
        self.records[name, 1] = [socket.inet_aton(address) for address in addresses]

    def proves(self, name: str, text: str) -> None:
        self.records[f"_webops-challenge.{name}", 16] = [bytes([len(text)]) + text.encode()]

    def _serve(self) -> None:
        while True:
            try:
                asked, who = self._socket.recvfrom(512)
                self._socket.sendto(self._answer(asked), who)
            except OSError:
                return

    def _answer(self, asked: bytes) -> bytes:
        labels, place = [], 12
        while size := asked[place]:
            labels.append(asked[place + 1 : place + 1 + size].decode().lower())
            place += 1 + size
        kind = struct.unpack_from("!H", asked, place + 1)[0]
        found = self.records.get((".".join(labels), kind), [])
        answers = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 1, len(data)) + data for data in found)
        return asked[:2] + struct.pack("!5H", 0x8180, 1, len(found), 0, 0) + asked[12 : place + 5] + answers


@pytest.fixture(scope="module")
def names(lab: Lab, installed: Installed) -> Iterator[NameServer]:
    """The server's first name server is the test's."""
    server, made = installed.server, NameServer(lab.network.gateway)
    before = server.read(RESOLVERS)
    server.write(RESOLVERS, f"nameserver {lab.network.gateway}\n{before}")
    yield made
    server.write(RESOLVERS, before)
    made.close()


@pytest.fixture(scope="module")
def shop(installed: Installed, git_host: GitServer) -> Iterator[Installed]:
    """A static site and an app."""
    installed.allow(git_host)
    git_host.repository("team/shop", {"index.html": "<h1>Shop</h1>"})
    installed.create("shop", git_host.url("team/shop"))
    git_host.repository("team/clinic", {**DJANGO, "Procfile": "web: gunicorn shop.wsgi\nworker: sleep 100000\n"})
    installed.create("clinic", git_host.url("team/clinic"), timeout=600)
    yield installed
    for name in ("shop", "clinic"):
        installed.call("DELETE", f"deployments/{name}?confirm={name}")
        until(
            lambda name=name: installed.api.get(f"deployments/{name}").status_code == 404, "it to be gone", timeout=90
        )


def test_the_switch_is_thrown_by_the_worker(shop):
    assert shop.call("POST", "deployments/shop/stop?wait=30")["status"] == "stopped"
    assert shop.page("shop").status_code != 200
    assert shop.call("POST", "deployments/shop/start?wait=30")["status"] == "running"
    assert shop.page("shop").text == "<h1>Shop</h1>"
    shop.call("POST", "deployments/clinic/restart?wait=60")
    assert shop.page("clinic").status_code == 200  # it waits for the program, and does not fail
    until(lambda: shop.call("GET", "deployments/clinic")["status"] == "running", "all of it to run")


def records(shop: Installed, name: str) -> dict[str, Any]:
    shown = shop.call("POST", "deployments/shop/domains/check?wait=60")
    (item,) = [item for item in shown["items"] if item["name"] == name]
    return {**item, **{record["kind"]: record for record in item["records"]}}


def test_a_domain_is_looked_up_by_the_worker_and_answers(shop, names):
    address = shop.server.address
    names.leads(SHOP, "203.0.113.9")
    made = shop.call("POST", "deployments/shop/domains?wait=60", name="Shop.Example")
    assert made["address4"] == [address]
    found = records(shop, SHOP)
    assert found["A"]["says"] == f"Points elsewhere: 203.0.113.9; set an A record to {address}."
    names.leads(SHOP, address)
    found = records(shop, SHOP)
    assert (found["points_here"], found["A"]["says"]) == (True, "Points here.")
    assert shop.web.get(f"https://{SHOP}/").text == "<h1>Shop</h1>"
    certificate = shop.call("GET", "deployments/shop/certificate")
    assert {item["host"] for item in certificate["items"]} == {f"shop.{DOMAIN}", SHOP}
    shop.call("DELETE", f"deployments/shop/domains/{SHOP}?wait=30")
    with pytest.raises(Exception, match=r"(?i)disconnect|alert|refused|EOF|reset|unrecognized"):
        shop.web.get(f"https://{SHOP}/")


def test_www_leads_to_the_bare_domain_without_a_release(shop, names):
    for name in (SHOP, OTHER):
        names.leads(name, shop.server.address)
        shop.call("POST", "deployments/shop/domains?wait=60", name=name)
    before = shop.call("GET", "deployments/shop")["release"]
    shop.call("PATCH", "deployments/shop/domains?wait=30", www="to_bare")
    answer = shop.web.get(f"https://{OTHER}/page?q=1", follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"https://{SHOP}/page?q=1")
    assert shop.call("GET", "deployments/shop")["release"] == before


def newest(shop: Installed) -> int:
    return int(shop.call("GET", "deployments/clinic/releases")["items"][0]["number"])


def went_live(shop: Installed, number: int) -> None:
    ended = shop.ended("clinic", number)
    assert ended["state"] == "live", (ended["cause"], shop.log("clinic", number))


def test_an_app_answers_to_a_new_domain_after_its_own_release(shop, names):
    before = newest(shop)
    names.leads("clinic.example", shop.server.address)
    shop.call("POST", "deployments/clinic/domains?wait=60", name="clinic.example")
    went_live(shop, newest(shop))
    assert shop.web.get("https://clinic.example/").status_code == 200
    went_live(shop, shop.call("POST", "deployments/clinic/rollback", release=before)["number"])
    assert shop.web.get("https://clinic.example/").status_code == 200  # the older release knows it too


def test_the_sites_options_reach_nginx_at_once(shop):
    shop.call("PATCH", "deployments/shop/site?wait=30", maintenance=True)
    assert shop.page("shop").status_code == 503
    shop.call("PATCH", "deployments/shop/site?wait=30", maintenance=False)
    shop.call("PUT", "deployments/shop/site/wall/guest?wait=30", password="a long password")
    assert shop.page("shop").status_code == 401
    assert shop.page("shop", auth=("guest", "wrong password")).status_code == 401
    assert shop.page("shop", auth=("guest", "a long password")).text == "<h1>Shop</h1>"
    shop.call("DELETE", "deployments/shop/site/wall/guest?wait=30")
    shop.call("PATCH", "deployments/shop/site?wait=30", allow=["192.0.2.0/24"])
    assert shop.page("shop").status_code == 403
    shop.call("PATCH", "deployments/shop/site?wait=30", allow=[], fallback=True)
    assert shop.page("shop", "/any/where").text == "<h1>Shop</h1>"
    shop.call("PATCH", "deployments/shop/site?wait=30", as_released=True)
    assert shop.page("shop", "/any/where").status_code == 404


def command(shop: Installed, line: str, **more: Any) -> tuple[dict[str, Any], list[str]]:
    number = shop.call("POST", "deployments/clinic/commands", command=line, **more)["number"]
    path = f"deployments/clinic/commands/{number}"
    ended = until(lambda: (found := shop.call("GET", f"{path}?wait=30"))["over"] and found, "it to end", timeout=90)
    return ended, [json.loads(text)["text"] for text in shop.api.get(f"{path}/log").text.splitlines()]


def test_a_command_runs_as_the_deployments_user_in_its_sandbox(shop):
    ended, lines = command(shop, "id -un; python manage.py check; cat /etc/webops/panel.env; exit 3")
    assert (ended["state"], ended["exit_status"]) == ("failed", 3)
    assert lines[0] == "wo-clinic"
    assert any("System check identified no issues" in line for line in lines)
    assert "SECRET_KEY" not in "".join(lines)


def test_rel_01_a_command_goes_on_while_its_worker_is_stopped_and_killed(shop):
    made = shop.call("POST", "deployments/clinic/commands", command="echo begun; sleep 15; echo over")
    path = f"deployments/clinic/commands/{made['number']}"
    until(lambda: "begun" in shop.api.get(f"{path}/log").text, "its first line")
    shop.server.run(("systemctl", "restart", "webops-worker.service"))
    shop.server.run(("systemctl", "kill", "--kill-who=main", "--signal=KILL", "webops-worker.service"))
    other, lines = command(shop, "echo beside it")
    assert (other["state"], lines) == ("done", ["beside it"])
    ended = until(lambda: (found := shop.call("GET", f"{path}?wait=30"))["over"] and found, "it to end", timeout=90)
    assert (ended["state"], ended["exit_status"]) == ("done", 0)
    texts = [json.loads(line)["text"] for line in shop.api.get(f"{path}/log").text.splitlines()]
    assert texts == ["begun", "over"]


def test_rel_11_a_command_is_ended_with_what_it_started(shop):
    made = shop.call("POST", "deployments/clinic/commands", command="echo begun; sleep 54321 & sleep 54321")
    path = f"deployments/clinic/commands/{made['number']}"
    until(lambda: "begun" in shop.api.get(f"{path}/log").text, "its first line")
    shop.call("POST", f"{path}/cancel")
    ended = shop.call("GET", f"{path}?wait=30")
    assert (ended["state"], ended["cause"]) == ("cancelled", "Cancelled by a person.")
    until(lambda: not shop.server.run("pgrep -f 'sleep 5432[1]' || true").stdout.strip(), "its processes to be gone")


def test_a_command_that_takes_too_long_is_ended(shop):
    ended, _ = command(shop, "sleep 54322", limit_seconds=2)
    assert (ended["state"], ended["exit_status"]) == ("failed", None)
    assert ended["cause"].startswith("It took longer than 2 s")


def limits_of_workers(shop: Installed) -> list[str]:
    words = "systemctl show 'wo-clinic--*-worker-*' --property=MemoryMax --state=active"
    return str(shop.server.run(words).stdout).split()


def test_scaling_makes_a_release_with_more_copies_and_limits(shop):
    number = shop.call("PATCH", "deployments/clinic/scale", copies={"worker": 2}, limits={"memory_mib": 300})["release"]
    went_live(shop, number)
    wanted = [f"MemoryMax={300 << 20}"] * 2
    until(lambda: limits_of_workers(shop) == wanted, "the workers of the release before to be gone")
    too_much = shop.api.patch("deployments/clinic/scale", json={"limits": {"memory_mib": 1 << 20}})
    assert too_much.status_code == 400
