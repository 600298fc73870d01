"""AUTH-01: what the panel does not start with, said in one plain message."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from apps.core import checks
from apps.core.management.commands.runserver import Command as RunServer
from apps.core.models import User
from config import env, serve

PANEL = Path(__file__).resolve().parents[2] / "control-panel"
GOOD = {"SECRET_KEY": secrets.token_urlsafe(50), "ENCRYPTION_KEY": Fernet.generate_key().decode()}
WEAK = {
    "missing": "",
    "short": "a1b2c3d4e5",
    "one letter": "a" * 60,
    "django's": "django-insecure-" + "x7#kq9z!m2" * 5,
    "an example": "example-key-" + "0123456789abcdef" * 3,
    "to be changed": "changeme-" + "0123456789abcdef" * 3,
}


def production(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"WEBOPS_MODE": "production", "WEBOPS_VAR": str(tmp_path / "var"), **GOOD, **more}


@pytest.mark.parametrize("key", WEAK.values(), ids=WEAK)
def test_auth_01_production_does_not_start_with_a_weak_key(key, tmp_path):
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is missing or weak") as refused:
        env.read(production(tmp_path, SECRET_KEY=key))
    assert not key or key not in str(refused.value)


@pytest.mark.parametrize(
    "key", ["", "short", "not a key,", f"{GOOD['ENCRYPTION_KEY']},broken"], ids=["none", "short", "no key", "one bad"]
)
def test_auth_01_production_does_not_start_without_a_key_for_secrets(key, tmp_path):
    with pytest.raises(ImproperlyConfigured, match="ENCRYPTION_KEY"):
        env.read(production(tmp_path, ENCRYPTION_KEY=key))


def test_auth_01_production_makes_no_keys(tmp_path):
    with pytest.raises(ImproperlyConfigured):
        env.read({"WEBOPS_MODE": "production", "WEBOPS_VAR": str(tmp_path / "var")})
    assert not (tmp_path / "var").exists()


def test_auth_01_the_embedded_default_makes_its_own_keys_once_and_for_itself(tmp_path):
    first, again = (env.read({"WEBOPS_VAR": str(tmp_path / "var")}) for _ in range(2))
    assert (first.secret_key, first.encryption_keys) == (again.secret_key, again.encryption_keys)
    assert (tmp_path / "var/keys.env").stat().st_mode & 0o777 == 0o600
    other = env.read({"WEBOPS_VAR": str(tmp_path / "other")})
    assert other.secret_key != first.secret_key
    assert first.secret_key not in repr(first)


@pytest.mark.parametrize("program", [("manage.py", "check"), ("-m", "config.serve")], ids=["manage.py", "serve"])
def test_auth_01_the_message_is_plain_and_there_is_no_traceback(program, tmp_path):
    given = {"PATH": os.environ["PATH"], **production(tmp_path, SECRET_KEY="short")}
    ended = subprocess.run(
        (sys.executable, *program), cwd=PANEL, env=given, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("The settings are not right. SECRET_KEY is missing or weak.")
    assert len(ended.stderr.strip().splitlines()) == 1


def test_auth_01_no_variable_turns_debugging_on(tmp_path):
    given = {"PATH": os.environ["PATH"], **production(tmp_path, DEBUG="1", DJANGO_DEBUG="True")}
    ask = "from django.conf import settings; print(settings.DEBUG, settings.SESSION_COOKIE_SECURE)"
    words = (sys.executable, "-c", ask)
    told = {**given, "DJANGO_SETTINGS_MODULE": "config.settings"}
    ended = subprocess.run(words, cwd=PANEL, env=told, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "True"]


# --- the development account ---


@pytest.fixture
def developer(db) -> User:
    return User.objects.create_superuser("admin", password=checks.DEVELOPMENT_PASSWORD)


def at(settings, bind: str, *, is_production: bool = False) -> None:
    settings.ENV = replace(settings.ENV, bind=bind)
    settings.PRODUCTION = is_production


@pytest.mark.parametrize(
    ("bind", "is_production", "count"),
    [
        ("127.0.0.1:8800", False, 0),
        ("[::1]:8800", False, 0),
        ("localhost:8800", False, 0),
        ("127.0.0.1:8800", True, 1),
        ("0.0.0.0:8800", False, 1),
        ("[::]:8800", False, 1),
        (":8800", False, 1),
        ("192.0.2.1:8800", False, 1),
        ("panel.example.com:8800", False, 1),
        ("127.0.0.1.example.com:8800", False, 1),
    ],
)
def test_auth_01_the_check_finds_the_development_password(bind, is_production, count, developer, settings):
    at(settings, bind, is_production=is_production)
    found = [message for message in run_checks(tags=["security"]) if message.id == "webops.E001"]
    assert len(found) == count
    assert all(message.is_serious() and message.hint for message in found)


@pytest.mark.parametrize(("addr", "is_production"), [("0.0.0.0", False), ("127.0.0.1", True)])
def test_auth_01_runserver_does_not_serve_it(addr, is_production, developer, settings):
    at(settings, "127.0.0.1:8800", is_production=is_production)
    command = RunServer()
    command.addr, command.port = addr, "8801"
    with pytest.raises(CommandError, match="development password"):
        command.inner_run()


def test_auth_01_up_does_not_serve_it(developer, settings):
    at(settings, "0.0.0.0:8800")
    with pytest.raises(CommandError, match="development password"):
        call_command("bootstrap", "--to-serve")


@pytest.mark.parametrize("bind", ["0.0.0.0", "127.0.0.1"])
def test_auth_01_serving_looks_at_the_socket_itself(bind, developer, settings):
    at(settings, "127.0.0.1:8800")  # what the environment says of a socket that was handed down
    with socket.create_server((bind, 0)) as listener:
        if bind == "127.0.0.1":
            serve._refuse_development_password(listener)
            return
        with pytest.raises(SystemExit, match="development password"):
            serve._refuse_development_password(listener)


def test_auth_01_another_password_is_served_anywhere(settings, db):
    User.objects.create_superuser("admin", password="correct horse battery staple")
    at(settings, "0.0.0.0:8800", is_production=True)
    assert not [message for message in run_checks(tags=["security"]) if message.id == "webops.E001"]
