"""`setup.sh` on a bare server that already serves a site with nginx: looked at first, killed on its way, gone on with,
run again. The story is told once for each suite; each test looks at one part of it."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
import trustme
from tests.server.installed import DOMAIN, PANEL, clone
from tests.server.lab.acme import NAME, Pebble
from tests.server.lab.server import Server
from tests.server.lab.visitor import visitor
from tests.support.waiting import until

pytestmark = pytest.mark.server
logging.getLogger("httpx2").setLevel(logging.WARNING)  # a visitor who comes all the while is not worth a line each time

OLD_SITE = "server { listen 80; listen [::]:80; server_name old.test; location / { return 200 'still here'; } }\n"
LOG = "/var/log/webops/setup.log"
UNIT = "the-setup"
CUTS = ("release: install the panel", "packages: install", "PostgreSQL: prepare", "units: write", "services: start")
"""What the log says at the moments at which it is killed."""
WATCHED = "find /etc /opt /srv /usr /var/lib -xdev -newer /tmp/mark -not -path '*/__pycache__*' -type f"


@dataclass
class Story:
    """What happened on one server."""

    server: Server
    folder: str
    rehearsal: str = ""
    touched: list[str] = field(default_factory=list)
    killed_at: list[str] = field(default_factory=list)
    finish: str = ""
    seconds: float = 0.0
    again: str = ""
    old_site: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def story(bare: Server) -> Story:
    told = Story(bare, clone(bare))
    bare.run("apt-get install -y -qq --no-install-recommends nginx curl", timeout=600)
    bare.write("/etc/nginx/sites-available/old", OLD_SITE)
    bare.run("ln -s ../sites-available/old /etc/nginx/sites-enabled/old")
    bare.run(("systemctl", "restart", "nginx"))  # after a reload the processes before it would answer a little longer
    with visits(bare, "http://old.test/", told.old_site):
        bare.run("touch /tmp/mark")
        told.rehearsal = setup(told, "--dry-run").stdout
        told.touched = bare.run(WATCHED).lines
        for moment in CUTS:
            kill_at(told, moment)
        began = time.monotonic()
        told.finish = setup(told).stdout
        told.seconds = time.monotonic() - began
        told.again = setup(told).stdout
    return told


def setup(told: Story, *words: str) -> object:
    command = f'cd {told.folder} && ./setup.sh --unattended --domain {DOMAIN} "$@"'
    return told.server.run(("bash", "-c", command, "setup", *words), timeout=1800)


def kill_at(told: Story, moment: str) -> None:
    """Start it, and kill it and all that it started once it says this. What was passed before is not said again."""
    server = told.server
    server.run(f"mkdir -p /var/log/webops && : > {LOG}")
    start = ("systemd-run", "--quiet", "--collect", f"--unit={UNIT}", f"--working-directory={told.folder}")
    server.run((*start, f"{told.folder}/setup.sh", "--unattended", "--domain", DOMAIN))
    is_over = lambda: not server.run(("systemctl", "is-active", UNIT), check=False).stdout.startswith("active")  # noqa: E731
    until(lambda: moment in server.read(LOG) or is_over(), f"setup to say {moment!r}", timeout=900, every=0.1)
    if not is_over():
        server.run(("systemctl", "kill", "--signal=KILL", "--kill-whom=all", UNIT), check=False)
        told.killed_at.append(moment)
    until(is_over, "the killed setup to be gone", timeout=60)


@contextmanager
def visits(server: Server, url: str, answers: list[str], pause: float = 0.05) -> Iterator[None]:
    """Somebody visits a page all the while; each answer is kept."""
    stop = threading.Event()

    def visit() -> None:
        with visitor(server.address, timeout=10) as client:
            while not stop.wait(pause):
                try:
                    answers.append(client.get(url, headers={"Connection": "close"}).text)
                except Exception as error:
                    answers.append(repr(error))

    thread = threading.Thread(target=visit)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_rehearsal_changes_nothing_and_says_what_would_be_done(story: Story) -> None:
    assert "changes would be made. Nothing was changed." in story.rehearsal
    assert "packages: would install" in story.rehearsal
    assert "accounts: would make the user webops" in story.rehearsal
    assert story.touched == []


def test_a_setup_that_was_killed_is_finished_by_the_next(story: Story) -> None:
    assert len(story.killed_at) >= 4
    assert "Done: " in story.finish
    assert story.seconds < 300


def test_it_says_that_a_second_run_changed_nothing(story: Story) -> None:
    assert "Nothing was changed: everything was as it should be" in story.again
    assert ": done (" not in story.again


def test_the_site_that_was_there_before_answered_all_the_while(story: Story) -> None:
    assert len(story.old_site) > 100
    assert set(story.old_site) == {"still here"}
    server = story.server
    bare_address = server.run(("curl", "-s", "http://127.0.0.1/")).stdout
    assert bare_address == "still here"  # names that nobody has stay with it


def test_the_panel_answers_and_there_is_no_default_account(story: Story) -> None:
    with visitor(story.server.address) as client:
        assert client.get(f"https://{PANEL}/account/login/").status_code == 200
        form = {"username": "admin", "password": "admin123"}
        assert client.post(f"https://{PANEL}/api/v1/session", json=form).status_code == 401
    assert len(re.findall(r"https://\S+/first-sign-in/\S+", story.finish)) <= 1
    assert "first-sign-in" not in story.server.read(LOG)


def test_the_doctor_finds_nothing_wrong(story: Story) -> None:
    found = story.server.run(("webops-admin", "doctor"), check=False, timeout=300)
    assert not [line for line in found.lines if line.startswith("wrong")], found.stdout
    assert found.returncode == 0


def test_fs_08_nothing_secret_is_readable_and_nothing_of_root_is_writable(story: Story) -> None:
    server = story.server
    places = "/opt/webops /etc/webops /var/lib/webops /etc/systemd/system /etc/nginx/sites-enabled"
    writable = server.run(f"find -L {places} -xdev -type f -perm /022 -user root 2>/dev/null", check=False).lines
    assert writable == []
    secret = ("panel.env", "packages.env", "redis.key", "redis.conf", "tls/.platform/privkey.pem")
    for user in ("nobody", "www-data", "webops-build", "webops-canary"):
        for name in secret:
            assert server.run(("cat", f"/etc/webops/{name}"), user=user, check=False).returncode != 0, (user, name)


def test_redis_and_postgresql_listen_on_no_port(story: Story) -> None:
    listening = story.server.run("ss -Hltnp").stdout
    assert "redis" not in listening
    assert "postgres" not in listening


def test_the_units_in_their_sandboxes(story: Story) -> None:
    for unit in ("webops-hostd", "webops-pgd", "webops-panel", "webops-worker", "webops-redis"):
        words = ("systemd-analyze", "security", "--no-pager", "--threshold=20", f"{unit}.service")
        assert story.server.run(words, check=False).returncode == 0, unit


def test_the_panel_gets_a_certificate_once_its_name_leads_here(
    story: Story, acme: Pebble, authority: trustme.CA
) -> None:
    server = story.server
    server.finds(NAME, acme.address)
    server.finds(PANEL, server.address)
    server.write("/etc/webops/acme-ca.pem", authority.cert_pem.bytes())
    acme.points(PANEL, server.address)
    told = ("--acme-server", acme.directory, "--acme-ca", "/etc/webops/acme-ca.pem")
    said = server.run(("webops-admin", "setup", "--unattended", *told), timeout=600).stdout
    with visitor(server.address, acme.root) as client:
        assert client.get(f"https://{PANEL}/account/login/").status_code == 200, said
    again = server.run(("webops-admin", "setup", "--unattended"), timeout=600).stdout
    assert "Nothing was changed" in again


def test_it_is_up_again_after_a_reboot(story: Story) -> None:
    story.server.reboot()
    with visitor(story.server.address) as client:
        found = until(lambda: client.get(f"https://{PANEL}/account/login/"), "the panel", timeout=90, every=0.5)
    assert found.status_code == 200
    assert story.server.failed_units == ()


def test_uninstalling_takes_everything_but_what_was_there(story: Story) -> None:
    server = story.server
    said = server.run(("webops-admin", "uninstall", "--all", "--yes"), timeout=600).stdout
    assert "apt-get purge fail2ban" in said
    assert server.run(("systemctl", "list-units", "--failed", "--plain", "--no-legend")).lines == []
    left = server.run("ls -d /opt/webops /etc/webops /srv/webops /var/lib/webops 2>/dev/null", check=False).lines
    assert left == []
    assert "webops" not in server.run("cat /etc/passwd /etc/group; ls /etc/systemd/system /etc/nginx/*enabled").stdout
    assert server.run(("nft", "list", "tables")).stdout.find("webops") == -1
    assert server.run(("curl", "-s", "-H", "Host: old.test", "http://127.0.0.1/")).stdout == "still here"
    assert server.run("ls /var/backups/webops/panel").lines == ["before-uninstall.dump"]
