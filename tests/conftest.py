"""The cast of the tests: an owner, a team mate, a viewer, a stranger; their team, a machine in memory, a deployment.

Django is set up here and not by the ini file, so that its settings see a fresh folder and nothing of this machine.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import django
import pytest

# What is asserted beside a test says what it saw, as in the test itself.
pytest.register_assert_rewrite("tests.support", "tests.server", "tests.journeys", "tests.browser")
KEPT = ("WEBOPS_SCREENSHOTS", "WEBOPS_LAB_")
for name in [name for name in os.environ if name.startswith("WEBOPS_") and not name.startswith(KEPT)]:
    del os.environ[name]
_var = tempfile.TemporaryDirectory(prefix="webops-tests-")
atexit.register(_var.cleanup)
os.environ.update(
    WEBOPS_VAR=_var.name, DATABASE_URL="sqlite://", NO_COLOR="1", DJANGO_SETTINGS_MODULE="config.settings"
)
django.setup()

from django.conf import settings as django_settings  # noqa: E402 - Django has to be set up first

from apps.core import hosts  # noqa: E402
from apps.core.models import Host, Membership, Role, Team, User  # noqa: E402
from apps.deployments.models import Deployment  # noqa: E402
from webops_host.fake import FakeHost  # noqa: E402

django_settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
django_settings.ALLOWED_HOSTS = ["panel", "testserver", "localhost", "127.0.0.1"]
django_settings.STATIC_ROOT = _var.name  # WhiteNoise warns when it is missing
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, settings) -> None:
    """Each test has its own logs, sockets and sites: row ids repeat from test to test, and with them file names."""
    settings.ENV = replace(settings.ENV, var=tmp_path / "var", install_path=tmp_path / "sites")


@pytest.fixture
def team(db) -> Team:
    return Team.objects.create(slug="acme", name="Acme")


def member(team: Team, username: str, role: Role) -> User:
    user = User.objects.create_user(username, password=PASSWORD)
    Membership.objects.create(team=team, user=user, role=role)
    return user


@pytest.fixture
def owner(team: Team) -> User:
    return member(team, "olga", Role.OWNER)


@pytest.fixture
def mate(team: Team) -> User:
    return member(team, "mika", Role.DEVELOPER)


@pytest.fixture
def viewer(team: Team) -> User:
    return member(team, "vera", Role.VIEWER)


@pytest.fixture
def stranger(db) -> User:
    return member(Team.objects.create(slug="other", name="Other"), "sven", Role.OWNER)


@pytest.fixture
def host(db) -> Iterator[FakeHost]:
    """The machine of every deployment, in memory."""
    Host.objects.get_or_create(name="local", defaults={"kind": "embedded"})
    machine = FakeHost()
    with hosts.using(lambda row: machine):
        yield machine


@pytest.fixture
def blog(team: Team, host: FakeHost) -> Deployment:
    """A draft that nobody has deployed yet."""
    return Deployment.objects.create(
        team=team, host=Host.objects.get(name="local"), name="blog", repository="https://github.com/acme/blog"
    )
