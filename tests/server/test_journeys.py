"""Whole stories on a booted server, from outside: what a person does, and what visitors then get."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.journeys.broken import DJANGO
from tests.server.crowd import assert_crowd_is_bounded
from tests.server.installed import DOMAIN, Installed
from tests.support.git_server import GitServer, Repository
from tests.support.waiting import until

pytestmark = pytest.mark.server

CANARY = "canary-on-the-server-5b1e"
APP = {
    **DJANGO,
    "shop/settings.py": DJANGO["shop/settings.py"].replace('"shop"]', '"django.contrib.staticfiles", "shop"]')
    + 'STATIC_URL = "/static/"\n',
    "shop/static/shop/look.css": "body { color: teal }\n",
    "shop/models.py": (
        "from django.db import models\nclass Visit(models.Model):\n    at = models.DateTimeField(auto_now=True)\n"
    ),
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": (
        "from django.db import migrations, models\n"
        "class Migration(migrations.Migration):\n"
        "    initial = True\n"
        "    operations = [migrations.CreateModel('Visit', [('id', models.BigAutoField(primary_key=True)),"
        " ('at', models.DateTimeField(auto_now=True))])]\n"
    ),
    "shop/urls.py": (
        "import os, sys\n"
        "from django.db import connection\n"
        "from django.http import HttpResponse\n"
        "from django.urls import path\n"
        "from shop.models import Visit\n"
        "def home(request):\n"
        "    Visit.objects.create()\n"
        "    print('somebody came', file=sys.stderr, flush=True)\n"
        "    return HttpResponse(f\"{os.environ.get('GREETING', 'hello')} {Visit.objects.count()} {connection.vendor}"
        " {request.scheme} {request.get_host()} {request.META.get('HTTP_X_FORWARDED_FOR')}\")\n"
        "urlpatterns = [path('', home)]\n"
    ),
    "Procfile": "worker: python -c \"import time; print('at work', flush=True); time.sleep(10**6)\"\n",
}


@pytest.fixture(scope="module")
def pages(installed: Installed, git_host: GitServer) -> Iterator[Repository]:
    """A static site that is live."""
    installed.allow(git_host)
    repository = git_host.repository(
        "team/pages", {"index.html": "first", "404.html": "lost", "a.0123abcd.css": "a {}"}
    )
    installed.create("pages", git_host.url("team/pages"))
    return repository


@pytest.fixture(scope="module")
def shop(pages: Repository, installed: Installed, git_host: GitServer) -> Repository:
    """A Django app that is live, with a worker process and a secret."""
    repository = git_host.repository("team/store", APP)
    installed.create("store", git_host.url("team/store"), variables={"STRIPE_KEY": CANARY})
    return repository


def test_a_static_site_changes_and_goes_back(installed: Installed, pages: Repository) -> None:
    pages.commit({"index.html": "second"})
    assert installed.deploy("pages")["state"] == "live"
    assert installed.page("pages").text == "second"
    number = installed.call("POST", "deployments/pages/rollback")["number"]
    installed.live("pages", number)
    assert installed.page("pages").text == "first"


def test_a_static_site_is_served_as_visitors_expect(installed: Installed, pages: Repository) -> None:
    plain = installed.web.get(f"http://pages.{DOMAIN}/x?y=1")
    assert (plain.status_code, plain.headers["location"]) == (301, f"https://pages.{DOMAIN}/x?y=1")
    page = installed.page("pages")
    assert "max-age=63072000" in page.headers["strict-transport-security"]
    assert (page.headers["cache-control"], page.headers["etag"][:1]) == ("no-cache", '"')
    assert "immutable" in installed.page("pages", "/a.0123abcd.css").headers["cache-control"]
    assert (installed.page("pages", "/none").status_code, installed.page("pages", "/none").text) == (404, "lost")


def test_a_django_app_has_its_database_its_files_and_its_worker(installed: Installed, shop: Repository) -> None:
    first = installed.page("store").text.split()
    assert first[0] == "hello"
    assert first[2:5] == ["postgresql", "https", f"store.{DOMAIN}"]
    assert re.fullmatch(r"[\d.]+", first[5]), "one address, set by nginx"
    style = installed.page("store", "/static/shop/look.css")
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    wanted = {"wo-store--1-web-1.service", "wo-store--1-worker-1.service"}
    shown = "systemctl list-units --plain --no-legend --state=running 'wo-store--*.service'"
    # a release is live before its other processes are started
    until(lambda: {line.split()[0] for line in installed.server.run(shown).lines} == wanted, "both processes")
    found = installed.call("GET", "deployments/store")
    assert (found["status"], found["reason"]) == ("running", "Release 1 runs.")


def test_rows_survive_a_release_and_a_variable_reaches_it(installed: Installed, shop: Repository) -> None:
    before = int(installed.page("store").text.split()[1])
    installed.call("PATCH", "deployments/store/variables", variables={"GREETING": 'gr"üß$e'})
    assert installed.deploy("store")["state"] == "live"
    words = installed.page("store").text.split()
    assert words[0] == 'gr"üß$e'
    assert int(words[1]) > before


def test_what_programs_print_is_in_the_panel(installed: Installed, shop: Repository) -> None:
    installed.page("store")

    def texts() -> str:
        return installed.api.get("deployments/store/logs").text

    until(lambda: "somebody came" in texts() and "at work" in texts(), "lines of both programs", timeout=20)


def test_a_package_that_has_no_wheel_is_built_by_the_deployments_own_user(
    installed: Installed, pages: Repository, git_host: GitServer
) -> None:
    files = {
        "requirements.txt": "docopt==0.6.2\n",  # comes as source alone
        "app.py": (
            "import docopt, os\n"
            "from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer\n"
            "ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), SimpleHTTPRequestHandler).serve_forever()\n"
        ),
        "Procfile": "web: python app.py\n",
    }
    git_host.repository("team/built", files)
    installed.create("built", git_host.url("team/built"))
    assert installed.page("built", "/requirements.txt").text == "docopt==0.6.2\n"
    owners = installed.server.run("stat -c %U /srv/webops/built/envs/*/.ready").stdout.split()
    assert owners == ["wo-built"]


def test_what_programs_take_for_granted_holds_in_the_sandbox(
    installed: Installed, pages: Repository, git_host: GitServer
) -> None:
    """To become who they are already (gunicorn before 21), and to look for a `.env` in every folder above theirs."""
    program = (
        "import os, pathlib\n"
        "from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer\n"
        "os.setuid(os.getuid()); os.setgid(os.getgid())\n"
        "found = [str(f) for f in pathlib.Path('x').absolute().parents if (f / '.env').exists()]\n"
        "assert not found, found\n"
        "ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), SimpleHTTPRequestHandler).serve_forever()\n"
    )
    files = {"app.py": program, "Procfile": "web: python app.py\n", "hello.txt": "hello"}
    repository = git_host.repository("team/usual", files)
    installed.create("usual", git_host.url("team/usual"))
    repository.commit({"hello.txt": "again"})
    assert installed.deploy("usual")["state"] == "live"
    assert installed.page("usual", "/hello.txt").text == "again"


def test_npm_runs_what_a_package_does_when_it_is_installed(
    installed: Installed, pages: Repository, git_host: GitServer
) -> None:
    """npm begins none of it where it finds no processor. It may run in a copy of the package: it writes beside ours."""
    files = {
        "package.json": '{"name": "x", "private": true, "dependencies": {"tool": "file:./tool"}, '
        '"scripts": {"build": "mkdir dist && cp made dist/index.html"}}',
        "webops.toml": '[build]\npublish = "dist"\n',
        "tool/package.json": '{"name": "tool", "version": "1.0.0", '
        '"scripts": {"postinstall": "echo made > $INIT_CWD/made"}}',
    }
    git_host.repository("team/front", files)
    installed.create("front", git_host.url("team/front"))
    assert installed.page("front").text == "made\n"


def test_sec_01_a_secret_is_in_no_log_no_words_and_no_unit(installed: Installed, shop: Repository) -> None:
    server = installed.server
    assert server.run(f"journalctl --no-pager -q | grep -c {CANARY}", check=False).stdout.strip() == "0"
    assert server.run(f"ps -eww -o args | grep -v grep | grep -c {CANARY}", check=False).stdout.strip() == "0"
    shown = server.run("systemctl show 'wo-store--*' 'webops-*'").stdout
    assert "wo-store--" in shown
    assert CANARY not in shown
    held = server.run(f"grep -rlsa {CANARY} /etc /var/log /run /srv/webops /var/lib/webops", check=False).stdout.split()
    assert held
    assert all(
        re.fullmatch(r"/etc/webops/units/wo-store--\d+-\w+-1\.service\.env|/etc/webops/units/wo-store.*", file)
        for file in held
    ), held


def test_rel_10_after_a_release_nobody_sees_the_one_before(installed: Installed, pages: Repository) -> None:
    pages.commit({"index.html": "newest"})
    installed.deploy("pages")
    assert installed.page("pages").text == "newest"
    assert {installed.page("pages").text for _ in range(100)} == {"newest"}


def test_rel_11_a_cancelled_build_leaves_nothing_running(
    installed: Installed, pages: Repository, git_host: GitServer
) -> None:
    git_host.repository("team/slow", {"index.html": "x", "webops.toml": '[build]\ncommand = "sleep 987 & sleep 987"\n'})
    installed.call("POST", "deployments", name="slow", repository=git_host.url("team/slow"))
    until(lambda: installed.server.run("pgrep -f 'sleep 987'", check=False).returncode == 0, "the build", timeout=60)
    installed.call("POST", "deployments/slow/cancel")
    assert installed.ended("slow", 1, timeout=60)["state"] == "cancelled"
    assert installed.server.run("pgrep -f 'sleep 987'", check=False).returncode == 1
    assert installed.server.run("systemctl list-units --plain --no-legend 'webops-job-*'").stdout.strip() == ""


def test_a_django_app_that_hangs_leaves_the_other_sites_room(installed: Installed, shop: Repository) -> None:
    """The crowd's requests fill the app's log: what looks at it comes before."""
    units = "'wo-store--*-web-1.service'"
    installed.server.run(f"systemctl kill -s STOP {units}")
    try:
        assert_crowd_is_bounded(installed.server, f"store.{DOMAIN}")
    finally:
        installed.server.run(f"systemctl kill -s CONT {units}")
    assert installed.page("store").status_code == 200


def test_rel_19_a_removed_deployment_leaves_nothing_and_its_name_is_free(
    installed: Installed, shop: Repository, git_host: GitServer
) -> None:
    server = installed.server
    uid = server.run("id -u wo-store").stdout.strip()
    installed.call("DELETE", "deployments/store?confirm=store")
    until(lambda: installed.api.get("deployments/store").status_code == 404, "the end of it", timeout=90)
    left = server.run(
        "ls -d /srv/webops/store /etc/systemd/system/wo-store--* /etc/webops/units/wo-store--* /run/webops/store/*"
        " /etc/webops/nginx/sites/store.conf /etc/webops/tls/store 2>/dev/null; id wo-store 2>/dev/null;"
        f" find / -xdev -uid {uid} -not -path '/proc/*' 2>/dev/null;"
        " runuser -u postgres -- psql -Atc \"SELECT datname FROM pg_database WHERE datname LIKE 'wo_store%'\"",
        check=False,
    ).stdout
    assert left.strip() == ""
    installed.create("store", git_host.url("team/store"))
    assert int(installed.page("store").text.split()[1]) <= 2, "a database of its own, as new but for the health check"
    assert server.run("id -u wo-store").stdout.strip() != uid
