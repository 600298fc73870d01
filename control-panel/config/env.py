"""Settings from the environment, typed and checked at start.

In embedded mode missing keys are made once and kept in `<var>/keys.env` (mode 0600). In production a missing or weak
one stops the start with its name and a hint.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
EXAMPLES = ("insecure", "example", "changeme", "change-me", "secret-key", "secret_key", "django-")
"""What keys in somebody's documentation say. A random key practically never does."""
DEFAULT_GIT_HOSTS = "github.com,gitlab.com,bitbucket.org,codeberg.org"
PANEL_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?(:[0-9]{1,5})?")
SERVER = {
    "WEBOPS_VAR": "/var/lib/webops/panel",
    "WEBOPS_INSTALL_PATH": "/srv/webops",
    "REDIS_URL": "unix:///run/webops/redis.sock?db=0",
}
"""Where things are on a server, unless the environment says otherwise."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What the panel was told from outside."""

    production: bool
    var: Path
    install_path: Path
    secret_key: str = field(repr=False)
    encryption_keys: tuple[str, ...] = field(repr=False)
    database_url: str = field(repr=False)
    postgres_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    host: str
    panel_host: str
    allowed_hosts: tuple[str, ...]
    origins: tuple[str, ...]
    bind: str
    git_hosts: tuple[str, ...]
    fetch_limit_mib: int
    fetch_timeout: int
    disk_floor_mib: int
    site_port_base: int
    concurrency: int


def read(environ: Mapping[str, str] = os.environ) -> Environment:
    """The environment as a value. Raises ImproperlyConfigured with the name of the setting and what to do."""
    production = _choice(environ, "WEBOPS_MODE", ("embedded", "production"), "embedded") == "production"
    if production:
        environ = {**SERVER, **{name: value for name, value in environ.items() if value}}
    var = Path(environ.get("WEBOPS_VAR", "") or BASE_DIR / "var").absolute()
    if not production:
        environ = {**_made_keys(var), **environ}
    panel = _panel_host(environ)
    return Environment(
        production=production,
        var=var,
        install_path=Path(environ.get("WEBOPS_INSTALL_PATH", "") or var / "sites").absolute(),
        secret_key=_secret_key(environ),
        encryption_keys=_encryption_keys(environ),
        database_url=environ.get("DATABASE_URL", "") or f"sqlite:///{var / 'panel.sqlite3'}",
        postgres_url=environ.get("WEBOPS_POSTGRES_URL", ""),
        redis_url=environ.get("REDIS_URL", ""),
        host=environ.get("WEBOPS_HOST", "") or "local",
        panel_host=panel,
        allowed_hosts=_words(environ.get("WEBOPS_ALLOWED_HOSTS", "") or panel or "localhost,127.0.0.1,[::1]"),
        origins=_words(environ.get("WEBOPS_ORIGINS", "")),
        bind=environ.get("WEBOPS_BIND", "127.0.0.1:8800"),
        git_hosts=_words(environ.get("WEBOPS_GIT_HOSTS", DEFAULT_GIT_HOSTS)),
        fetch_limit_mib=_number(environ, "WEBOPS_FETCH_LIMIT_MIB", 1024),
        fetch_timeout=_number(environ, "WEBOPS_FETCH_TIMEOUT", 600),
        disk_floor_mib=_number(environ, "WEBOPS_DISK_FLOOR_MIB", 1024),
        site_port_base=_number(environ, "WEBOPS_SITE_PORT_BASE", 8100),
        concurrency=_number(environ, "WEBOPS_CONCURRENCY", 2),
    )


def _panel_host(environ: Mapping[str, str]) -> str:
    """The name under which people open the panel. Links that it sends or prints have this name, whatever was asked."""
    name = environ.get("WEBOPS_PANEL_HOST", "").strip().lower()
    if name and not PANEL_HOST.fullmatch(name):
        raise ImproperlyConfigured(f"WEBOPS_PANEL_HOST is {name!r}. Give a host name, for example panel.example.org.")
    return name


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "") or str(default)
    if not text.isdigit():
        raise ImproperlyConfigured(f"{name} is {text!r}. Give a whole number, for example {default}.")
    return int(text)


def _choice(environ: Mapping[str, str], name: str, choices: tuple[str, ...], default: str) -> str:
    text = environ.get(name, "") or default
    if text not in choices:
        raise ImproperlyConfigured(f"{name} is {text!r}. Use one of: {', '.join(choices)}.")
    return text


def _secret_key(environ: Mapping[str, str]) -> str:
    key = environ.get("SECRET_KEY", "")
    if len(key) < 40 or len(set(key)) < 10 or any(word in key.lower() for word in EXAMPLES):
        raise ImproperlyConfigured(
            "SECRET_KEY is missing or weak. Make one with: "
            'python3 -c "import secrets; print(secrets.token_urlsafe(50))"'
        )
    return key


def _encryption_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    keys = _words(environ.get("ENCRYPTION_KEY", ""))
    try:
        for key in keys:
            Fernet(key.encode())
    except ValueError:
        keys = ()
    if not keys:
        raise ImproperlyConfigured(
            "ENCRYPTION_KEY is missing or is not a Fernet key (several may be given, newest first, with commas). Make "
            'one with: python3 -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
        )
    return keys


def _made_keys(var: Path) -> dict[str, str]:
    """The embedded default's own keys, made at the first start."""
    path = var / "keys.env"
    if not path.exists():
        var.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = f"SECRET_KEY={secrets.token_urlsafe(50)}\nENCRYPTION_KEY={Fernet.generate_key().decode()}\n"
        fresh = var / f".keys.{os.getpid()}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(lines)
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(fresh, path)  # never over keys that another process made at the same moment
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
