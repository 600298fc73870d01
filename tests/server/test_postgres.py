"""Databases on a server: each deployment its own, from its own user; passwords, dumps and restores while it serves."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.server.installed import Installed
from tests.support.git_server import GitServer
from tests.support.waiting import until

pytestmark = pytest.mark.server

SETTINGS = """
from pathlib import Path
SECRET_KEY = "x"
DEBUG = True
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = ["shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(__file__).parent / "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
"""
MIGRATION = """
from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    operations = [migrations.CreateModel("Good", [("id", models.BigAutoField(primary_key=True))])]
"""
URLS = """
from django.db import connection
from django.http import HttpResponse
from django.urls import path
from shop.models import Good
def answer(request):
    if "add" in request.GET:
        Good.objects.bulk_create(Good() for _ in range(int(request.GET["add"])))
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, session_user, current_database()")
        return HttpResponse(" ".join([*cursor.fetchone(), str(Good.objects.count())]))
urlpatterns = [path("", answer)]
"""
APP = {
    "manage.py": "import os, sys\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
    "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n",
    "requirements.txt": "django==5.2.*\n",
    "shop/__init__.py": "",
    "shop/settings.py": SETTINGS,
    "shop/models.py": "from django.db import models\nclass Good(models.Model):\n    pass\n",
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": MIGRATION,
    "shop/urls.py": URLS,
    "shop/wsgi.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
    "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
}
ASK = """
import sys
sys.path.insert(0, "/opt/webops/current/host")
from pathlib import Path
from webops_host.daemon.client import HostClient
from webops_host.names import DeploymentName
databases = HostClient(Path("/run/webops/pgd.sock")).fenced(DeploymentName("shop"), 1 << 40).databases
print(getattr(databases, sys.argv[1])(DeploymentName("shop")))
"""


@pytest.fixture(scope="module")
def shop(installed: Installed, git_host: GitServer) -> Installed:
    git_host.repository("team/shop", APP)
    installed.allow(git_host)
    installed.create("shop", git_host.url("team/shop"), timeout=600)
    return installed


def over(shop: Installed, errand: dict[str, Any]) -> dict[str, Any]:
    while not errand["over"]:
        errand = shop.call("GET", f"databases/shop/errands/{errand['id']}?wait=20")
    assert errand["state"] == "done", errand
    return errand


def ask(shop: Installed, user: str, what: str) -> str:
    """A call to pgd as a user of the system, as far as that gets."""
    words = ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "/usr/bin/python3", "-I", "-", what)
    done = shop.server.run(words, input=ASK.encode(), check=False)
    return done.stdout + done.stderr


def sql(shop: Installed, user: str, url: str, statement: str = "SELECT 1") -> str:
    words = ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "psql", "-XAtc", statement, url)
    done = shop.server.run(words, check=False)
    return (done.stdout + done.stderr).strip()


def own_url(shop: Installed) -> str:
    """As the unit has it."""
    unit = shop.server.run("cat /etc/webops/units/wo-shop--*-web-1.env").stdout
    return next(line.split("=", 1)[1].strip('"') for line in unit.splitlines() if line.startswith("DATABASE_URL="))


def test_an_app_has_a_database_of_its_own_as_its_own_role(shop: Installed) -> None:
    assert shop.page("shop", "/?add=3").text == "wo_shop wo_shop__a wo_shop 3"
    now = shop.call("GET", "databases/shop")
    assert (now["engine"], now["tables"] >= 1, now["connection_limit"]) == ("postgres", True, 20)


def test_db_01_its_user_and_password_reach_no_other_database(shop: Installed) -> None:
    url = own_url(shop)
    assert sql(shop, "wo-shop", url) == "1"
    for database in ("webops", "postgres", "template1"):
        assert "FATAL" in sql(shop, "wo-shop", url.replace("/wo_shop?", f"/{database}?"))
    for role in ("postgres", "webops"):
        assert "Peer authentication failed" in sql(shop, "wo-shop", f"postgres://{role}@/{role}?host=/run/postgresql")
    assert "127.0.0.1" not in shop.server.run("ss -Hltn sport = :5432").stdout


def test_net_03_nobody_but_the_worker_changes_databases_through_pgd(shop: Installed) -> None:
    for user in ("wo-shop", "www-data", "daemon"):
        assert "not running" in ask(shop, user, "ensure") or "ermission" in ask(shop, user, "ensure")
    assert "may not ask" in ask(shop, "webops", "ensure")
    assert "may not ask" in ask(shop, "webops", "drop")
    assert "SELECT" not in ask(shop, "webops", "facts")
    assert "rotating=False" in ask(shop, "webops", "facts")


def test_a_new_password_reaches_the_app_without_a_failed_request(shop: Installed) -> None:
    before = own_url(shop)
    stop, seen = threading.Event(), []

    def visit() -> None:
        while not stop.is_set():
            seen.append(shop.page("shop").status_code)

    visiting = threading.Thread(target=visit)
    visiting.start()
    try:
        outcome = over(shop, shop.call("POST", "databases/shop/rotate"))["outcome"]
        number = int(outcome.split("Release ")[1].split()[0])
        shop.live("shop", number)
    finally:
        stop.set()
        visiting.join()
    assert set(seen) == {200}
    assert shop.page("shop").text.startswith("wo_shop wo_shop__b ")
    until(lambda: not shop.call("GET", "databases/shop")["rotating"], "the old password to end", timeout=60)
    assert "FATAL" in sql(shop, "wo-shop", before)


def test_fs_07_a_dump_comes_back_and_a_hostile_one_does_nothing(shop: Installed) -> None:
    rows = int(shop.page("shop").text.split()[-1])
    over(shop, shop.call("POST", "databases/shop/dumps"))
    dump = shop.call("GET", "databases/shop")["dumps"][0]
    content = shop.api.get(f"databases/shop/dumps/{dump['id']}").content
    assert (content[:5], len(content)) == (b"PGDMP", dump["bytes"])
    shop.page("shop", "/?add=100")
    over(shop, shop.call("POST", "databases/shop/restore", dump=dump["id"]))
    assert int(shop.page("shop").text.split()[-1]) == rows
    over(shop, shop.call("POST", "databases/shop/revert"))
    assert int(shop.page("shop").text.split()[-1]) == rows + 100
    hostile = b"CREATE TABLE x (y text);\nCOPY x FROM PROGRAM 'touch /tmp/mark';\n"
    taken = shop.api.post("databases/shop/uploads", content=hostile)
    assert taken.is_success, taken.text
    over(shop, taken.json())
    uploaded = shop.call("GET", "databases/shop")["dumps"][0]
    asked = shop.call("POST", "databases/shop/restore", dump=uploaded["id"])
    while not asked["over"]:
        asked = shop.call("GET", f"databases/shop/errands/{asked['id']}?wait=20")
    assert (asked["state"], "external program" in asked["outcome"]) == ("failed", True), asked
    assert int(shop.page("shop").text.split()[-1]) == rows + 100
    assert shop.server.run("find / -xdev -name mark -newer /etc/webops/panel.env", check=False).stdout == ""


def test_the_app_serves_again_after_the_server_was_rebooted(shop: Installed) -> None:
    text = shop.page("shop").text
    shop.server.reboot()
    assert shop.page("shop").text == text
