"""The settings overlay and the release work, with real Django projects of a few lines."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.support.django_env import ready_environment

from webops_host import runner
from webops_host.builds import LocalBuilds
from webops_host.command import Command
from webops_host.django_work import place_overlay
from webops_host.embedded.databases import EmbeddedDatabases
from webops_host.environment import runtime_environment
from webops_host.errors import CommandFailed, CommandTimedOut
from webops_host.layout import Layout
from webops_host.names import DeploymentName, DottedName, VariableKey
from webops_host.values import Console, DjangoWork, Runtime

NAME = DeploymentName("shop")
SHOW = """
import json, webops_settings as s
names = [name for name in dir(s) if name.isupper()]
print(json.dumps({name: getattr(s, name) for name in names if name != "TRUE"}, default=str))
"""
STARTPROJECT = """
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "django-insecure-abc"
DEBUG = bool(__import__("sys").argv[1])
ALLOWED_HOSTS = []
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "django.contrib.messages", "django.contrib.staticfiles", "things",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware",
]
ROOT_URLCONF = "shop.urls"
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "assets", BASE_DIR / "not-there"]
"""
SMALL = (
    "from pathlib import Path\n"
    "BASE_DIR = Path(__file__).resolve().parent.parent\n"
    "INSTALLED_APPS = ['django.contrib.staticfiles', 'things']\n"
    "ROOT_URLCONF = 'shop.urls'\n"
    "DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'\n"
    "STATICFILES_DIRS = [BASE_DIR / 'assets']\n"
)
PROJECT = {
    "manage.py": 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")',
    "shop/__init__.py": "",
    "shop/urls.py": "urlpatterns = []",
    "shop/settings.py": SMALL,
    "things/__init__.py": "",
    "things/models.py": "from django.db import models\nclass Thing(models.Model):\n    name = models.TextField()\n",
    "things/migrations/__init__.py": "",
    "things/migrations/0001_initial.py": (
        "from django.db import migrations, models\n"
        "ID = models.AutoField(primary_key=True, auto_created=True, serialize=False, verbose_name='ID')\n"
        "class Migration(migrations.Migration):\n"
        "    operations = [migrations.CreateModel('Thing', [('id', ID), ('name', models.TextField())])]\n"
    ),
    "assets/site.css": "body {}",
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "sites")


def lay(layout: Layout, files: Mapping[str, str], release: int = 1) -> Path:
    folder = layout.source(NAME, release)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def runtime(layout: Layout, settings: str = "shop.settings", release: int = 1, **variables: str) -> Runtime:
    keys = {VariableKey(key): value for key, value in variables.items()}
    digest = ready_environment(layout)
    return Runtime(NAME, release, variables=keys, environment=digest, settings=DottedName(settings))


def overlaid(layout: Layout, settings: str, **variables: str) -> dict[str, Any]:
    """The settings that a project of these lines runs with."""
    folder = lay(layout, {"conf.py": settings})
    place_overlay(layout.overlay(NAME, 1))
    env = runtime_environment(layout, runtime(layout, "conf", **variables))
    done = runner.run_binary(Command(("python", "-W", "error", "-c", SHOW), cwd=folder, env=env))
    return json.loads(done)


def changed(settings: dict[str, Any]) -> set[str]:
    return {name for name, *_ in settings["WEBOPS_CHANGES"]}


# --- one setting at a time ---


def test_what_is_right_is_left_alone_and_kept(layout: Layout):
    found = overlaid(
        layout,
        "import os\nSECRET_KEY = os.environ['KEY']\nDEBUG = False\nALLOWED_HOSTS = ['*']\nCUSTOM = [1]\n"
        "STATIC_URL = '/static/'\nSTATIC_ROOT = os.environ['STATIC_ROOT']\nMEDIA_ROOT = os.environ['MEDIA_ROOT']\n"
        "MEDIA_URL = '/media/'\nSECURE_PROXY_SSL_HEADER = ('HTTP_X_FORWARDED_PROTO', 'https')\n"
        "LOGGING = {'version': 1, 'handlers': {'c': {'class': 'logging.StreamHandler'}}, 'root': {'handlers': ['c']}}\n"
        "EMAIL_HOST = 'smtp.example.com'\n",
        KEY="from-environment",
        SECRET_KEY="ours",
    )
    assert changed(found) == set()
    assert (found["SECRET_KEY"], found["CUSTOM"]) == ("from-environment", [1])


@pytest.mark.parametrize("key", ["", "SECRET_KEY = 'django-insecure-1'\n", "SECRET_KEY = 'written-down'\n"])
def test_a_missing_or_published_secret_key_is_replaced_and_never_printed(layout: Layout, key: str):
    found = overlaid(layout, key, SECRET_KEY="ours-alone")
    assert found["SECRET_KEY"] == "ours-alone"
    assert "ours-alone" not in str(found["WEBOPS_CHANGES"])
    assert "written-down" not in str(found["WEBOPS_CHANGES"])


@pytest.mark.parametrize(("wanted", "debug"), [("", False), ("0", False), ("1", True), ("true", True)])
def test_debug_is_off_unless_somebody_says_so(layout: Layout, wanted: str, debug: bool):
    assert overlaid(layout, "DEBUG = True", DEBUG=wanted)["DEBUG"] is debug


def test_the_sites_names_are_added_to_the_allowed_ones(layout: Layout):
    found = overlaid(layout, "ALLOWED_HOSTS = ['shop.com', '.mine.org']", WEBOPS_HOSTS="a.example, www.mine.org")
    assert found["ALLOWED_HOSTS"] == ["shop.com", ".mine.org", "a.example", "localhost", "127.0.0.1", "[::1]"]
    assert overlaid(layout, "ALLOWED_HOSTS = ['*']", WEBOPS_HOSTS="a.example")["ALLOWED_HOSTS"] == ["*"]


def test_the_sites_addresses_may_send_forms(layout: Layout):
    found = overlaid(layout, "CSRF_TRUSTED_ORIGINS = ['shop.com']", WEBOPS_ORIGINS="http://a.localhost:8100")
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://shop.com", "http://a.localhost:8100"]


SQLITE = "{'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db.sqlite3', 'CONN_MAX_AGE': 5}"
POSTGRES = (
    "{{'ENGINE': 'django.db.backends.postgresql', 'NAME': 'x', 'USER': 'u', 'PASSWORD': {password}, 'HOST': '{host}'}}"
)
URL = "postgres://ada:p%40ss@db.internal:5433/shop?sslmode=require"


@pytest.mark.parametrize(
    "theirs",
    [
        SQLITE, "{}", "{'ENGINE': 'django.db.backends.dummy'}", POSTGRES.format(password="'pw'", host="localhost"),
        POSTGRES.format(password="'pw'", host="db"), POSTGRES.format(password="''", host=""),
    ],
)  # fmt: skip
def test_a_database_that_is_not_here_is_replaced(layout: Layout, theirs: str):
    found = overlaid(layout, f"DATABASES = {{'default': {theirs}, 'other': {SQLITE}}}", DATABASE_URL=URL)
    default = found["DATABASES"]["default"]
    assert default["ENGINE"] == "django.db.backends.postgresql"
    assert (default["NAME"], default["USER"], default["PASSWORD"]) == ("shop", "ada", "p@ss")
    assert (default["HOST"], default["PORT"], default["OPTIONS"]) == ("db.internal", "5433", {"sslmode": "require"})
    assert default.get("CONN_MAX_AGE") == (5 if theirs is SQLITE else None)
    assert found["DATABASES"]["other"]["NAME"] == "db.sqlite3"
    assert "p@ss" not in str(found["WEBOPS_CHANGES"])


@pytest.mark.parametrize(
    "theirs",
    [
        POSTGRES.format(password="os.environ['PGPASS']", host="localhost"),
        POSTGRES.format(password="'pw'", host="db.example.com"),
        "{'ENGINE': 'django.db.backends.postgresql', 'NAME': 'shop', 'HOST': 'db.internal', 'CONN_MAX_AGE': 9}",
    ],
)  # fmt: skip
def test_a_database_that_the_project_was_given_is_kept(layout: Layout, theirs: str):
    found = overlaid(layout, f"import os\nDATABASES = {{'default': {theirs}}}", DATABASE_URL=URL, PGPASS="secret")
    assert "DATABASES['default']" not in changed(found)


def test_settings_for_postgresql_get_the_whole_database_where_there_is_another(layout: Layout):
    theirs = "{'ENGINE': 'django.db.backends.postgresql', 'NAME': os.environ['DB'], 'HOST': os.environ['DBHOST']}"
    lines = f"import os\nDATABASES = {{'default': {theirs}}}"
    found = overlaid(layout, lines, DATABASE_URL="sqlite:////srv/db.sqlite3", DB="/srv/db.sqlite3", DBHOST="")
    assert found["DATABASES"]["default"]["ENGINE"] == "django.db.backends.sqlite3"


def test_a_database_behind_a_socket_and_a_file_are_understood(layout: Layout):
    found = overlaid(layout, "", DATABASE_URL="postgres://a:b@/shop?host=/run/postgresql&port=5434")
    assert (found["DATABASES"]["default"]["HOST"], found["DATABASES"]["default"]["PORT"]) == ("/run/postgresql", "5434")
    found = overlaid(layout, "", DATABASE_URL="sqlite:////srv/with%20space/db.sqlite3")
    assert found["DATABASES"]["default"]["NAME"] == "/srv/with space/db.sqlite3"


def test_static_and_media_go_where_the_web_server_reads_them(layout: Layout):
    (layout.source(NAME, 1) / "static").mkdir(parents=True)
    settings = (
        "STATIC_ROOT = 'static'\nSTATIC_URL = 'assets/'\nSTATICFILES_DIRS = ['gone', ('p', 'gone-too')]\nMEDIA_URL = ''"
    )
    found = overlaid(layout, settings)
    assert found["STATIC_ROOT"] == str(layout.static(NAME, 1))
    assert found["STATICFILES_DIRS"] == ["static"]  # what the repository kept where it also collects
    assert (found["STATIC_URL"], found["MEDIA_URL"]) == ("/assets/", "/media/")
    assert found["MEDIA_ROOT"] == str(layout.media(NAME))


def test_an_address_elsewhere_for_static_files_is_kept(layout: Layout):
    assert overlaid(layout, "STATIC_URL = 'https://cdn.example.com/x/'")["STATIC_URL"] == "https://cdn.example.com/x/"


HTTPS_ONLY = "SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True\nSECURE_HSTS_SECONDS = 99"


def test_a_host_that_speaks_http_can_be_used_all_the_same(layout: Layout):
    found = overlaid(layout, HTTPS_ONLY, WEBOPS_HTTPS="0")
    names = ("SECURE_SSL_REDIRECT", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS")
    assert not any(found[name] for name in names)
    found = overlaid(layout, "", WEBOPS_HTTPS="1")
    assert found["SESSION_COOKIE_SECURE"] is found["CSRF_COOKIE_SECURE"] is True
    assert found["SECURE_PROXY_SSL_HEADER"] == ["HTTP_X_FORWARDED_PROTO", "https"]
    assert overlaid(layout, HTTPS_ONLY, WEBOPS_HTTPS="1")["SECURE_SSL_REDIRECT"] is True


def test_development_tools_that_are_not_installed_are_left_out(layout: Layout):
    found = overlaid(
        layout,
        "INSTALLED_APPS = ['django.contrib.auth', 'debug_toolbar', 'shop_that_is_missing']\n"
        "MIDDLEWARE = ['debug_toolbar.middleware.DebugToolbarMiddleware', 'x.Y']",
    )
    assert found["INSTALLED_APPS"] == ["django.contrib.auth", "shop_that_is_missing"]
    assert found["MIDDLEWARE"] == ["x.Y"]


def test_errors_reach_standard_error_and_log_files_are_not_lost(layout: Layout):
    found = overlaid(
        layout,
        "LOGGING = {'version': 1, 'handlers': {'file': {'class': 'logging.FileHandler', 'filename': 'logs/x.log'}},"
        " 'loggers': {'shop': {'handlers': ['file']}}}",
    )
    assert found["LOGGING"]["handlers"]["file"]["class"] == "logging.StreamHandler"
    assert found["LOGGING"]["root"]["handlers"] == ["webops_console"]


def test_a_folder_for_data_that_the_release_does_not_bring_survives_it(layout: Layout):
    found = overlaid(
        layout,
        "from pathlib import Path\nHERE = Path(__file__).parent\nICONS = HERE / 'data' / 'icons'\n"
        "QUEUE = {'file': str(HERE / 'data' / 'q.sqlite3'), 'workers': 2}\nCODE = HERE / 'shop' / 'x.json'\n",
    )
    kept = layout.data(NAME) / "files/data"
    assert found["QUEUE"] == {"file": str(kept / "q.sqlite3"), "workers": 2}
    assert found["ICONS"] == str(kept / "icons")
    assert [path.name for path in kept.iterdir()] == ["icons"]
    assert {"QUEUE", "ICONS"} == changed(found) & {"QUEUE", "ICONS", "CODE"}


def test_mail_without_a_server_goes_to_the_output(layout: Layout):
    assert "console" in overlaid(layout, "")["EMAIL_BACKEND"]
    assert "EMAIL_BACKEND" not in overlaid(layout, "EMAIL_HOST = 'smtp.example.com'")


def test_mailers_of_django_6_1_stand_alone(layout: Layout):
    smtp = "MAILERS = {'default': {'BACKEND': 'django.core.mail.backends.smtp.EmailBackend'%s}}"
    here, there = overlaid(layout, smtp % ""), overlaid(layout, smtp % ", 'OPTIONS': {'host': 'smtp.example.com'}")
    assert "console" in here["MAILERS"]["default"]["BACKEND"]
    assert "smtp" in there["MAILERS"]["default"]["BACKEND"]
    assert not [found for found in (here, there, overlaid(layout, "MAILERS = {}")) if "EMAIL_BACKEND" in found]


def test_the_overlay_is_python_3_6(layout: Layout):
    """What can be said without that interpreter: its grammar and no newer standard library names."""
    for file in (Path(runner.__file__).parent / "overlay").glob("*.py"):
        ast.parse(file.read_text(), feature_version=(3, 6))
        assert "removeprefix" not in file.read_text()


# --- the release work ---


def work(layout: Layout, wanted: DjangoWork = DjangoWork(), lines: list[str] | None = None, **more: Any):  # noqa: B008
    url = EmbeddedDatabases(layout).ensure(NAME)
    around = runtime(layout, **{"SECRET_KEY": "k" * 50, "DATABASE_URL": url, **more})
    return LocalBuilds(layout).django(around, wanted, Console((lines if lines is not None else []).append))


def test_a_project_that_was_never_meant_for_us_comes_up(layout: Layout):
    lines: list[str] = []
    lay(layout, {**PROJECT, "shop/settings.py": STARTPROJECT})
    facts = work(layout, lines=lines)
    assert (facts.static_url, facts.media_url, facts.database) == ("/static/", "/media/", "sqlite")
    assert facts.migrations_applied > 10
    assert facts.static_files > 50
    assert (layout.static(NAME, 1) / "site.css").is_file()
    assert (layout.data(NAME) / "db.sqlite3").stat().st_size > 10_000
    assert not (layout.source(NAME, 1) / "db.sqlite3").exists()
    assert sum(line.startswith("Settings overlay: ") for line in lines) > 5
    assert "k" * 50 not in "\n".join(lines)


def test_what_did_not_change_is_not_done_again(layout: Layout):
    lay(layout, PROJECT)
    first = work(layout)
    lay(layout, PROJECT, 2)
    facts = work(layout, DjangoWork(migrate=False, collectstatic=False, static_from=1), release=2)
    assert (facts.migrations_applied, facts.static_files) == (0, first.static_files)
    assert (layout.static(NAME, 2) / "site.css").samefile(layout.static(NAME, 1) / "site.css")
    lay(layout, PROJECT, 3)
    assert work(layout, release=3).migrations_applied == 0


def test_uploads_that_the_repository_ships_are_brought_along_once(layout: Layout):
    settings = SMALL + "MEDIA_ROOT = BASE_DIR / 'media'\n"
    lay(layout, {**PROJECT, "shop/settings.py": settings, "media/a/b.txt": "shipped"})
    kept = layout.media(NAME) / "kept.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("uploaded")
    off = DjangoWork(migrate=False, collectstatic=False)
    work(layout, off)
    file = layout.media(NAME) / "a/b.txt"
    assert file.read_text() == "shipped"
    file.write_text("changed by a visitor")
    work(layout, off)
    assert (file.read_text(), kept.read_text()) == ("changed by a visitor", "uploaded")


def test_a_project_without_static_files_is_fine(layout: Layout):
    lay(layout, {**PROJECT, "shop/settings.py": SMALL.replace("'django.contrib.staticfiles', ", "")})
    facts = work(layout)
    assert (facts.static_url, facts.static_files) == ("", 0)


@pytest.mark.parametrize(
    ("phase", "files"),
    [
        ("setup", {"shop/settings.py": "import nothing_like_this"}),
        ("setup", {"things/models.py": "raise RuntimeError('in models')"}),
        ("check", {"shop/urls.py": "from django.urls import path\nurlpatterns = [path('x', 'not callable')]"}),
        ("migrate", {"things/migrations/0001_initial.py": "raise RuntimeError('in a migration')"}),
        ("collectstatic", {"assets/site.css": "@import 'gone.css';", "shop/settings.py": SMALL + (
            "STORAGES = {'default': {'BACKEND': 'django.core.files.storage.FileSystemStorage'}, 'staticfiles':"
            " {'BACKEND': 'django.contrib.staticfiles.storage.ManifestStaticFilesStorage'}}"
        )}),
    ],
    ids=["settings", "models", "check", "migrate", "collectstatic"],
)  # fmt: skip
def test_a_failure_says_in_which_phase_and_prints_the_traceback(layout: Layout, phase: str, files: dict[str, str]):
    lines: list[str] = []
    lay(layout, {**PROJECT, **files})
    with pytest.raises(CommandFailed) as caught:
        work(layout, lines=lines)
    assert caught.value.facts["phase"] == phase
    assert caught.value.facts["status"] != 0
    assert len(lines) > 1


def test_work_that_never_ends_is_ended_in_its_phase(layout: Layout):
    lay(layout, {**PROJECT, "things/models.py": "import time\ntime.sleep(60)"})
    with pytest.raises(CommandTimedOut) as caught:
        work(layout, DjangoWork(timeout=1.0))
    assert caught.value.facts["phase"] == "setup"


def test_a_project_that_writes_its_own_report_is_not_believed_blindly(layout: Layout):
    report = '{"phase": "done", "facts": {"django": 7}}'
    forged = f"import os\nopen(os.environ['WEBOPS_REPORT'], 'w').write({report!r})\nos._exit(0)"
    lay(layout, {**PROJECT, "shop/settings.py": forged})
    with pytest.raises(CommandFailed):
        work(layout)


def test_without_the_overlay_the_projects_own_settings_count(layout: Layout):
    settings = (
        "SECRET_KEY = 'x'\nDATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db.sqlite3'}}"
    )
    lay(layout, {**PROJECT, "shop/settings.py": f"{SMALL}{settings}\nSTATIC_URL = '/s/'"})
    around = Runtime(NAME, 1, environment=ready_environment(layout))
    facts = LocalBuilds(layout).django(around, DjangoWork(collectstatic=False), Console(lambda line: None))
    assert facts.static_url == "/s/"
    assert (layout.source(NAME, 1) / "db.sqlite3").is_file()


def test_this_interpreter_is_what_the_projects_run_on(layout: Layout):
    env = runtime_environment(layout, runtime(layout))
    printed = runner.run(Command(("python", "-c", "import sys; print(sys.version)"), env=env)).output
    assert printed == "\n".join(sys.version.splitlines())
