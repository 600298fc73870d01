"""Small broken repositories, one for each kind of failure that a release can explain.

Each is the smallest thing that fails for real in that way: nothing is faked, the programs themselves say no.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MANAGE = """import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
WSGI = """import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
"""
SETTINGS = """from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "django-insecure-sample"
DEBUG = True
ALLOWED_HOSTS = []
INSTALLED_APPS = ["django.contrib.contenttypes", "shop"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "shop.urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
"""
URLS = """from django.http import HttpResponse
from django.urls import path
def home(request):
    return HttpResponse("hello")
urlpatterns = [path("", home)]
"""
DJANGO: dict[str, str] = {
    "manage.py": MANAGE,
    "requirements.txt": "Django==5.2.19\ngunicorn==23.0.0\n",
    "shop/__init__.py": "",
    "shop/settings.py": SETTINGS,
    "shop/urls.py": URLS,
    "shop/wsgi.py": WSGI,
}
"""A healthy little site that the broken ones differ from."""
PYTHON = {"requirements.txt": "gunicorn==23.0.0\n"}
NO_OVERLAY = "[django]\noverlay = false\n"
BAD_SQL = """from django.db import migrations
class Migration(migrations.Migration):
    dependencies = []
    operations = [migrations.RunSQL("CREATE TABEL nonsense")]
"""
EMPTY_MIGRATION = """from django.db import migrations
class Migration(migrations.Migration):
    dependencies = [{parent}]
    operations = []
"""


@dataclass(frozen=True)
class Broken:
    """A repository, the kind it must be explained as, and words that cause, evidence and hint together must hold."""

    kind: str
    files: Mapping[str, str]
    words: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)


def django(kind: str, *words: str, **files: str) -> Broken:
    """The healthy site with some files changed; `__` in a name is a slash, and `_py` and the like are suffixes."""
    changed = {name.replace("__", "/"): text for name, text in files.items()}
    return Broken(kind, {**DJANGO, **changed}, words)


def web(kind: str, line: str, *words: str, timeout: str = "20s", memory: str = "512M", **files: str) -> Broken:
    contract = f'[deploy]\nhealth = {{ path = "/health", timeout = "{timeout}" }}\n[resources]\nmemory = "{memory}"\n'
    return Broken(kind, {**PYTHON, "Procfile": f"web: {line}\n", "webops.toml": contract, **files}, words)


BROKEN: dict[str, Broken] = {
    "a dependency that does not exist": Broken(
        "dependency_not_found",
        {**DJANGO, "requirements.txt": "Django==5.2.19\nwebops-no-such-package==1.0\n"},
        ("webops-no-such-package",),
    ),
    "a version that does not exist": Broken(
        "dependency_not_found", {**DJANGO, "requirements.txt": "Django==5.2.9999\n"}, ("django",)
    ),
    "requirements that contradict each other": Broken(
        "dependency_conflict", {**DJANGO, "requirements.txt": "Django==5.2.19\nasgiref==3.0.0\n"}, ("asgiref",)
    ),
    "a project that does not build": Broken(
        "dependency_does_not_build",
        {**DJANGO, "requirements.txt": "Django==5.2.19\n-e .\n", "setup.py": "raise SystemExit('no compiler today')\n"},
        ("no compiler today",),
    ),
    "a Python that a dependency refuses": Broken(
        "wrong_python",
        {**DJANGO, "requirements.txt": "Django==6.0.1\n", "webops.toml": '[app]\npython = "3.11"\n'},
        ("3.12",),
    ),
    "a Python that is nowhere": Broken(
        "python_missing", {**DJANGO, "webops.toml": '[app]\npython = "3.99"\n'}, ("3.99",)
    ),
    "a module that is not installed": Broken(
        "missing_module", {**DJANGO, "shop/settings.py": SETTINGS + "import shop_private_settings\n"}, ("shop_private",)
    ),
    "settings that Django refuses": Broken(
        "settings_error", {**DJANGO, "shop/settings.py": SETTINGS + 'INSTALLED_APPS += ["shop"]\n'}, ("unique", "shop")
    ),
    "settings that do not parse": Broken(
        "syntax_error", {**DJANGO, "shop/settings.py": SETTINGS + "DEBUG = = True\n"}, ("invalid syntax",)
    ),
    "a variable that the settings need": Broken(
        "missing_variable",
        {**DJANGO, "shop/settings.py": SETTINGS + 'import os\nSTRIPE = os.environ["STRIPE_KEY"]\n'},
        ("STRIPE_KEY",),
    ),
    "a variable that the contract requires": Broken(
        "variable_missing",
        {**DJANGO, "webops.toml": '[env.required]\nSTRIPE_KEY = "Secret API key"\n'},
        ("STRIPE_KEY", "Secret API key"),
    ),
    "no secret key": Broken(
        "secret_key_missing",
        {
            **DJANGO,
            "webops.toml": NO_OVERLAY,
            "shop/settings.py": SETTINGS + 'SECRET_KEY = ""\nALLOWED_HOSTS = ["*"]\n',
            "shop/urls.py": URLS.replace('"hello"', "signing.dumps(1)").replace(
                "def home", "from django.core import signing\ndef home"
            ),
        },
    ),
    "a migration with an error": Broken(
        "migration_error",
        {**DJANGO, "shop/migrations/__init__.py": "", "shop/migrations/0001_initial.py": BAD_SQL},
        ("TABEL",),
    ),
    "two migrations with one parent": Broken(
        "migrations_conflict",
        {
            **DJANGO,
            "shop/migrations/__init__.py": "",
            "shop/migrations/0001_initial.py": EMPTY_MIGRATION.format(parent=""),
            "shop/migrations/0002_left.py": EMPTY_MIGRATION.format(parent='("shop", "0001_initial")'),
            "shop/migrations/0002_right.py": EMPTY_MIGRATION.format(parent='("shop", "0001_initial")'),
        },
    ),
    "a host name that Django refuses": Broken(
        "disallowed_host",
        {
            **DJANGO,
            "webops.toml": NO_OVERLAY,
            "shop/settings.py": SETTINGS + 'DEBUG = False\nALLOWED_HOSTS = ["example.com"]\n',
        },
        ("ALLOWED_HOSTS",),
    ),
    "a page that fails": Broken(
        "health_check_5xx",
        {**DJANGO, "shop/urls.py": URLS.replace('HttpResponse("hello")', 'HttpResponse("no", status=503)')},
        ("503",),
    ),
    "a page that raises": Broken(
        "python_error",
        {**DJANGO, "shop/urls.py": URLS.replace('return HttpResponse("hello")', 'raise ZeroDivisionError("by zero")')},
        ("ZeroDivisionError",),
    ),
    "a health page that does not exist": Broken(
        "health_check_4xx",
        {**DJANGO, "webops.toml": '[deploy]\nhealth = { path = "/nowhere" }\n'},
        ("404", "/nowhere"),
    ),
    "a page that never answers": Broken(
        "health_check_timeout",
        {
            **DJANGO,
            "webops.toml": '[deploy]\nhealth = { timeout = "4s" }\n',
            "shop/urls.py": URLS.replace("def home", "import threading\ndef home").replace(
                'return HttpResponse("hello")', "threading.Event().wait(60)"
            ),
        },
    ),
    "a program that ends": web("exits_at_start", "python -c 'raise SystemExit(3)'", "3"),
    "a program that listens nowhere": web(
        "never_bound", "python -c 'import threading; threading.Event().wait(60)'", "PORT", timeout="3s"
    ),
    "a program that is not installed": web("command_not_found", "no-such-server --port $PORT", "no-such-server"),
    "a program that takes too much memory": web(
        "out_of_memory",
        "python hungry.py",
        "64 MB",
        memory="64M",
        **{
            "hungry.py": 'import threading\nmany = [b"x" * (1 << 20) for _ in range(400)]\nthreading.Event().wait(60)\n'
        },
    ),
    "a port that is taken": web(
        "port_in_use",
        "python taken.py",
        **{
            "taken.py": "import socket\nfirst, second = socket.socket(), socket.socket()\n"
            'first.bind(("127.0.0.1", 0))\nfirst.listen()\nsecond.bind(first.getsockname())\n'
        },
    ),
    "a release command that fails": Broken(
        "release_phase_failed",
        {**DJANGO, "webops.toml": '[deploy]\nrelease = "echo nothing works today && exit 4"\n'},
        ("nothing works today",),
    ),
    "a build command that fails": Broken(
        "build_failed",
        {"index.html": "hi", "webops.toml": '[build]\ncommand = "echo the oven is cold && exit 2"\npublish = "."\n'},
        ("the oven is cold",),
    ),
    "a publish folder that is not there": Broken(
        "folder_missing",
        {"index.html": "hi", "webops.toml": '[build]\ncommand = "true"\npublish = "dist"\n'},
        ("dist",),
    ),
    "no index.html": Broken(
        "index_missing",
        {"web/about.html": "hi", "webops.toml": '[build]\ncommand = "true"\npublish = "web"\n'},
        ("index.html",),
    ),
    "a folder to publish that nothing makes": Broken(
        "publish_missing", {"about.html": "hi", "webops.toml": '[build]\npublish = "dist"\n'}, ("dist", "webops.toml:2")
    ),
    "nothing to serve": Broken("nothing_to_serve", {"README.md": "# Hello\n"}),
    "a contract with a wrong key": Broken(
        "contract_invalid",
        {**DJANGO, "webops.toml": '[deploy]\nrelase = "true"\n'},
        ("relase", "release", "webops.toml:2"),
    ),
    "a limit above the platform's": Broken(
        "contract_invalid", {**DJANGO, "webops.toml": '[resources]\nmemory = "999G"\n'}, ("memory",)
    ),
    "a front end that does not build": Broken(
        "npm_build_fails",
        {
            "package.json": '{"name":"x","private":true,"scripts":{"build":"node build.js"}}',
            "build.js": "process.exit(7)\n",
        },
    ),
    "a front end that needs a package nobody made": Broken(
        "npm_dependency_not_found",
        {
            "package.json": '{"name":"x","private":true,"scripts":{"build":"true"},'
            '"dependencies":{"webops-no-such-package-anywhere":"1.0.0"}}',
            "webops.toml": '[build]\npublish = "dist"\n',
        },
        ("webops-no-such-package-anywhere",),
    ),
}
