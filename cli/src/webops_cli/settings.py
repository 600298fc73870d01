"""Where the panel is and with which token to talk to it: from the environment, or from a file only its owner reads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import urlsplit

from webops_cli.failures import FORBIDDEN, USAGE, Failure

DEFAULT_URL = "http://127.0.0.1:8800"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _browse(url: str) -> bool:
    import webbrowser

    return webbrowser.open(url)


@dataclass
class App:
    """What a command gets from outside. A test hands in a transport, and a sleep that does not.

    `patience` is how many seconds the panel may wait for something new before it answers.
    """

    transport: Any = None  # an httpx2 transport; httpx2 is imported only by what needs it
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    sleep: Callable[[float], None] = sleep
    patience: float = 1.0
    browse: Callable[[str], bool] = _browse


@dataclass(frozen=True)
class Profile:
    url: str
    token: str = field(repr=False)
    username: str = ""


def config_file(environ: Mapping[str, str]) -> Path:
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".config")
    return Path(home) / "webops" / "config.json"


def profile(environ: Mapping[str, str]) -> Profile:
    """The panel to talk to. The environment goes before the file; a token is only ever sent where it belongs."""
    kept = _read(environ)
    url = clean_url(environ.get("WEBOPS_URL") or kept.get("current") or DEFAULT_URL)
    mine = kept.get("panels", {}).get(url, {})
    token = environ.get("WEBOPS_TOKEN") or mine.get("token", "")
    if not token:
        raise Failure(f"You are not signed in to {url}.", exit_code=FORBIDDEN, hint=f"webops login {url}")
    return Profile(url, token, mine.get("username", ""))


def current_url(environ: Mapping[str, str]) -> str:
    return clean_url(environ.get("WEBOPS_URL") or _read(environ).get("current") or DEFAULT_URL)


def keep(environ: Mapping[str, str], kept: Profile) -> Path:
    """Remember a panel and make it the current one."""
    content = _read(environ)
    content.setdefault("panels", {})[kept.url] = {"token": kept.token, "username": kept.username}
    content["current"] = kept.url
    return _write(environ, content)


def forget(environ: Mapping[str, str], url: str) -> None:
    content = _read(environ)
    content.get("panels", {}).pop(url, None)
    _write(environ, content)


def clean_url(text: str) -> str:
    """`https://panel.example.com`, from what people type."""
    text = text.strip()
    if "://" not in text:
        host = text.split("/")[0].rsplit(":", 1)[0].strip("[]")
        text = f"{'http' if host in LOOPBACK else 'https'}://{text}"
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise Failure(
            f"“{text}” is not the address of a panel.", exit_code=USAGE, hint="webops login https://panel.example.com"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def is_private(url: str) -> bool:
    """Whether nobody in between can read along."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in LOOPBACK


def _read(environ: Mapping[str, str]) -> dict[str, Any]:
    path = config_file(environ)
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise Failure(f"{path} can not be read.", hint="Remove it and sign in again: webops login") from None
    return content if isinstance(content, dict) else {}


def _write(environ: Mapping[str, str], content: dict[str, Any]) -> Path:
    path = config_file(environ)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".config.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=1)
    fresh.replace(path)
    return path
