"""From one version to another on a server with a site: well, badly, killed, cut from power.

The site never notices; what fails leads back by itself, with the database as it was. Then a backup, keys, and a
platform without its panel.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import httpx2
import pytest
from tests.server.installed import OWNER, PANEL, Installed
from tests.server.lab.visitor import visitor
from tests.server.test_setup import visits
from tests.support.git_server import GitServer
from tests.support.waiting import until

pytestmark = pytest.mark.server

CLONE = "/opt/webops-clone"
COMMIT = f"git -C {CLONE} -c user.name=a -c user.email=a@a.test commit -q --allow-empty -a -m"
SITE = "https://hello.apps.test/"
SITE_FILE = "/etc/webops/nginx/sites/hello.conf"
PARTS, OTHER_TEXT = "host/src/webops_host/linux/nginx_parts.py", "s/no-store/no-store,private/"
BAD_MIGRATION = """
from django.db import migrations
class Migration(migrations.Migration):
    dependencies = [("core", "{last}")]
    operations = [
        migrations.RunSQL("CREATE TABLE half_way (id int)"),
        migrations.RunSQL("SELECT 1 / 0"),
    ]
    atomic = False
"""


@pytest.fixture(scope="module")
def site(installed: Installed, git_host: GitServer) -> Installed:
    git_host.repository("team/hello", {"index.html": "hello"})
    installed.allow(git_host)
    installed.create("hello", git_host.url("team/hello"))
    return installed


@pytest.fixture
def visited(site: Installed) -> Iterator[Installed]:
    """The site is visited all through the test, and every visitor got the page."""
    answers: list[str] = []
    with visits(site.server, SITE, answers):
        yield site
    assert len(answers) > 20
    assert set(answers) == {"hello"}


@contextmanager
def saving(installed: Installed) -> Iterator[list[int]]:
    """Somebody saves one variable after the other in the panel: the status of each answer, 0 for none."""
    stop, answers = threading.Event(), list[int]()

    def save() -> None:
        with visitor(installed.server.address, timeout=120) as client:
            client.headers.update({**installed.api.headers, "Connection": "close"})
            while not stop.wait(0.1):
                wanted = {"variables": {f"SAVED_{len(answers)}": "1"}}
                try:
                    path = f"https://{PANEL}/api/v1/deployments/hello/variables"
                    answers.append(client.patch(path, json=wanted).status_code)
                except httpx2.HTTPError:
                    answers.append(0)

    thread = threading.Thread(target=save)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()


def assert_all_was_saved(installed: Installed, answers: list[int]) -> None:
    """Requests waited rather than failed, and nothing that was accepted is lost. It is taken away for the next test."""
    assert answers
    assert set(answers) == {200}
    path, wanted = "deployments/hello/variables", {f"SAVED_{number}" for number in range(len(answers))}
    assert wanted == {item["key"] for item in installed.call("GET", path)["items"] if item["key"].startswith("SAVED")}
    installed.call("PATCH", path, variables=dict.fromkeys(wanted))


def live(installed: Installed) -> str:
    return installed.server.run("basename $(readlink /opt/webops/current)").stdout.strip()


def upgrade(installed: Installed, *, check: bool = True) -> str:
    done = installed.server.run(f"cd {CLONE} && ./setup.sh upgrade --unattended 2>&1", check=check, timeout=1200)
    return done.stdout


def seconds_of_going_back(installed: Installed) -> float:
    """From when the last upgrade went wrong until the version before served again, as the log has it."""
    lines = [line.partition(" ") for line in installed.server.read("/var/log/webops/setup.log").splitlines()]
    began, ended = (
        max(datetime.fromisoformat(time) for time, _, text in lines if said in text)
        for said in ("Going back to", "serves again")
    )
    return (ended - began).total_seconds()


def assert_well(installed: Installed, version: str) -> None:
    """This version is live, its panel answers, and knows its owner and the site."""
    assert live(installed) == version
    page = until(lambda: installed.web.get(f"https://{PANEL}/account/login/"), "the panel", timeout=60)
    assert page.status_code == 200
    assert installed.call("GET", "me")["username"] == OWNER
    assert installed.call("GET", "deployments/hello")["name"] == "hello"
    assert installed.server.run(("systemctl", "is-active", "webops-worker", "webops-panel")).lines == ["active"] * 2


def test_rel_17_an_upgrade_and_the_site_does_not_notice(visited: Installed) -> None:
    """What the new version writes for a site holds at once."""
    before = live(visited)
    text = visited.server.read(SITE_FILE)
    visited.server.run(f"sed -i {OTHER_TEXT} {CLONE}/{PARTS} && {COMMIT} new")
    with saving(visited) as answers:
        said = upgrade(visited)
    assert live(visited) != before, said
    assert_all_was_saved(visited, answers)
    assert visited.server.read(SITE_FILE) == text.replace("no-store", "no-store,private") != text
    assert_well(visited, live(visited))
    assert visited.deploy("hello")["state"] == "live"


def test_rel_17_a_migration_that_fails_leads_back(visited: Installed) -> None:
    before, server = live(visited), visited.server
    folder = f"{CLONE}/control-panel/apps/core/migrations"
    last = server.run(f"ls {folder} | grep '^[0-9]' | tail -n 1").stdout.strip().removesuffix(".py")
    server.write(f"{folder}/9999_bad.py", BAD_MIGRATION.format(last=last))
    server.run(f"git -C {CLONE} add -A && {COMMIT} bad")
    with saving(visited) as answers:
        said = upgrade(visited, check=False)
        count = len(answers)
        until(lambda: len(answers) > count + 1, "an answer of the version before")
    assert f"{before} serves again" in said
    assert "panel's tables" in said
    assert_all_was_saved(visited, answers)
    assert_well(visited, before)
    tables = server.run("runuser -u postgres -- psql -XAtqd webops -c \"SELECT to_regclass('half_way') IS NULL\"")
    assert tables.stdout.strip() == "t"
    server.run(f"git -C {CLONE} reset -q --hard HEAD~1")


def test_rel_17_a_version_that_does_not_come_up_leads_back_within_a_minute(visited: Installed) -> None:
    before, server = live(visited), visited.server
    text = server.read(SITE_FILE)
    server.run(f"echo 'raise SystemExit(3)' >> {CLONE}/control-panel/config/asgi.py")
    server.run(f"sed -i s/no-store,private/no-cache/ {CLONE}/{PARTS} && {COMMIT} broken")
    said = upgrade(visited, check=False)
    assert server.read(SITE_FILE) == text
    assert f"{before} serves again" in said
    assert_well(visited, before)
    assert seconds_of_going_back(visited) < 60
    server.run(f"git -C {CLONE} reset -q --hard HEAD~1")


@pytest.mark.parametrize("moment", ["--- panel's tables", "services: link"])
def test_rel_17_an_upgrade_that_is_killed_leads_back(visited: Installed, moment: str) -> None:
    before, server = live(visited), visited.server
    server.run(f"{COMMIT} killed && : > /var/log/webops/setup.log")
    words = ("systemd-run", "--quiet", "--collect", "--unit=the-upgrade", f"--working-directory={CLONE}")
    server.run((*words, f"{CLONE}/setup.sh", "upgrade", "--unattended"))
    until(lambda: moment in server.read("/var/log/webops/setup.log"), f"{moment!r}", timeout=600, every=0.05)
    server.run(("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "webops-upgrade.service"), check=False)
    until(
        lambda: f"{before} serves again" in server.read("/var/log/webops/setup.log"),
        "the version before to serve again",
        timeout=60,
        every=0.2,
    )
    assert_well(visited, before)


def test_rel_17_after_a_power_cut_in_an_upgrade_the_version_before_serves(site: Installed) -> None:
    before, server = live(site), site.server
    server.run(f"{COMMIT} cut && : > /var/log/webops/setup.log")
    words = ("systemd-run", "--quiet", "--collect", "--unit=the-upgrade", f"--working-directory={CLONE}")
    server.run((*words, f"{CLONE}/setup.sh", "upgrade", "--unattended"))
    until(lambda: "services: link" in server.read("/var/log/webops/setup.log"), "the switch", timeout=600, every=0.05)
    server.power_cut()
    server.boot()
    until(lambda: live(site) == before, "the version before", timeout=180, every=0.5)
    until(lambda: not server.run("ls /var/lib/webops/setup/upgrade.json", check=False).lines, "the record", timeout=180)
    assert_well(site, before)
    assert site.page("hello").text == "hello"


def test_keys_are_rotated_and_everything_can_still_be_read(visited: Installed) -> None:
    server = visited.server
    visited.call("PATCH", "deployments/hello/variables", variables={"SECRET_WORD": "kept"})
    before = server.read("/etc/webops/panel.env")
    server.run(("webops-admin", "rotate-keys"), timeout=300)
    after = server.read("/etc/webops/panel.env")
    key = next(line for line in after.splitlines() if line.startswith("ENCRYPTION_KEY"))
    assert key not in before
    assert "," not in key
    assert_well(visited, live(visited))
    found = visited.call("GET", "deployments/hello/variables?values=true")
    assert "kept" in str(found)


def test_rel_16_a_backup_brings_the_panel_back(visited: Installed) -> None:
    server = visited.server
    server.run(("webops-admin", "backup", "/var/tmp/panel.tar.gz"), timeout=300)
    assert server.run("stat -c %a /var/tmp/panel.tar.gz").stdout.strip() == "600"
    server.run("runuser -u postgres -- psql -qd webops -c 'TRUNCATE deployments, core_users CASCADE'")
    assert visited.api.get("me").status_code == 401
    server.run("echo SECRET_KEY=lost > /etc/webops/panel.env")
    assert server.run(("systemctl", "restart", "webops-panel.service"), check=False).returncode != 0
    server.run(("webops-admin", "restore", "--yes", "/var/tmp/panel.tar.gz"), timeout=600)
    assert_well(visited, live(visited))


def test_a_way_in_is_printed_for_the_owner(site: Installed) -> None:
    said = site.server.run(("webops-admin", "sign-in-link")).stdout
    assert f"https://{PANEL}/" in said


def test_without_the_panel_the_sites_go_on(visited: Installed) -> None:
    server = visited.server
    server.run(("webops-admin", "uninstall", "--keep-sites", "--yes"), timeout=300)
    assert server.run("systemctl is-active webops-panel webops-worker", check=False).returncode != 0
    assert visited.page("hello").text == "hello"
    server.run(("nginx", "-t", "-q"))


def test_without_the_panel_the_sites_come_back_after_a_reboot(site: Installed) -> None:
    site.server.reboot()
    page = until(lambda: site.page("hello"), "the site after a reboot", timeout=90, every=0.5)
    assert page.text == "hello"
