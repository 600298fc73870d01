"""A Django app that takes three seconds to start and two to answer some of its requests, and what visitors ask of it.

Every answer says which release made it and with which configuration.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from tests.support.git_server import Repository

from bench.load import Asked, Wrong

BOOT, PATIENCE = 3, 2  # seconds
PLAIN = "plain"
MANAGE = """import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
SETTINGS = """from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "x"
DEBUG = True
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
INSTALLED_APPS = ["django.contrib.contenttypes", "shop"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "shop.urls.marked"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
"""
WSGI = f"""import os, time
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
time.sleep({BOOT})
application = get_wsgi_application()
"""
URLS = f"""import os, time
from django.contrib.contenttypes.models import ContentType
from django.http import HttpResponse
from django.urls import path
from shop.version import MARKER
SHOWN = MARKER + "/" + os.environ.get("COLOUR", "{PLAIN}")
def marked(get_response):
    def middleware(request):
        response = get_response(request)
        response["X-Release"] = SHOWN
        return response
    return middleware
def version(request):
    return HttpResponse(SHOWN, content_type="text/plain")
def stored(request):
    return HttpResponse(str(ContentType.objects.count()), content_type="text/plain")
def echo(request):
    return HttpResponse(request.body, content_type="application/octet-stream")
def slow(request):
    time.sleep({PATIENCE})
    return HttpResponse(SHOWN, content_type="text/plain")
urlpatterns = [path("", version), path("stored", stored), path("echo", echo), path("slow", slow)]
"""
CONTRACT = '[deploy]\nhealth = { timeout = "20s" }\n'
FILES = {
    "manage.py": MANAGE,
    "requirements.txt": "django==5.2.*\ngunicorn>=25.1\n",
    "webops.toml": CONTRACT,
    "shop/__init__.py": "",
    "shop/settings.py": SETTINGS,
    "shop/wsgi.py": WSGI,
    "shop/urls.py": URLS,
}
BROKEN = {
    "import": {"shop/urls.py": "import a_package_that_nobody_has\n"},
    "health": {"shop/urls.py": URLS.replace("def version(request):\n", "def version(request):\n    1 / 0\n")},
}


class PatientApp:
    """Each method makes a commit and returns the marker that its answers will carry. `marker` is the last good one."""

    def __init__(self, repository: Repository) -> None:
        self.repository, self._commits, self._colour = repository, 0, PLAIN
        self.marker = self._commit(FILES)

    def change_code(self) -> str:
        self.marker = self._commit({"shop/urls.py": URLS})
        return self.marker

    def break_down(self, way: str) -> str:
        """A release that can not work; the next commit mends it."""
        return self._commit(BROKEN[way])

    def coloured(self, colour: str) -> str:
        """What the newest code shows with this configuration; it must be good."""
        self._colour = colour
        self.marker = f"patient-{self._commits}/{colour}"
        return self.marker

    def _commit(self, files: Mapping[str, str]) -> str:
        self._commits += 1
        name = f"patient-{self._commits}"
        self.repository.commit({**files, "shop/version.py": f'MARKER = "{name}"\n'})
        return f"{name}/{self._colour}"


def requests(rate: float) -> Callable[[int], Asked]:
    """Each second one that takes two seconds; of the others a sixth are POST and a sixth ask the database."""
    beat = max(2, round(rate))

    def one(number: int) -> Asked:
        if number % beat == 1:
            return Asked("GET", "/slow", b"", _marked)
        if number % 6 == 5:
            sent = random.Random(number).randbytes(200 + 700 * (number % 37))
            return Asked("POST", "/echo", sent, lambda headers, body: _same(headers, body, sent))
        if number % 6 == 2:
            return Asked("GET", "/stored", b"", _counted)
        return Asked("GET", "/", b"", _marked)

    return one


def _marked(headers: Mapping[str, str], body: bytes) -> str:
    return _same(headers, body, headers["x-release"].encode())


def _same(headers: Mapping[str, str], body: bytes, wanted: bytes) -> str:
    if body != wanted:
        raise Wrong(f"a wrong body of {len(body)} bytes")
    return headers["x-release"]


def _counted(headers: Mapping[str, str], body: bytes) -> str:
    if not body.isdigit():
        raise Wrong("a page without its number")
    return headers["x-release"]
