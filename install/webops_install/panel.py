"""The panel, asked from outside as a visitor would, and told things through its `manage.py`."""

from __future__ import annotations

import http.client
import socket
import ssl
from pathlib import Path

from webops_host.runner import Result
from webops_install import settings
from webops_install.machine import Machine
from webops_install.settings import PANEL

CURRENT = Path("/opt/webops/current")
SECRET = ("SECRET_KEY", "ENCRYPTION_KEY", "REDIS_URL")
SIGN_IN = "/account/login/"


def as_user(user: str, *argv: str | Path) -> tuple[str | Path, ...]:
    """Words that run a program as a user, without a session."""
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--", *argv)


def manage(machine: Machine, *words: str, release: Path = CURRENT, timeout: float = 600.0, quiet: bool = False) -> str:
    """What `manage.py` of a release printed, run as the panel's user with the panel's settings. Raises SetupError."""
    told = settings.read_environment(machine.text(PANEL) or "")
    hidden = frozenset(told[name] for name in SECRET if name in told)
    program, folder = _words(release, words), _folder(machine, release)
    return machine.run(*program, env=told, cwd=folder, timeout=timeout, hide=hidden, quiet=quiet)


def manage_says(machine: Machine, *words: str, release: Path = CURRENT) -> Result:
    """The same, where its status is the answer."""
    told = settings.read_environment(machine.text(PANEL) or "")
    return machine.asks(*_words(release, words), env=told, cwd=_folder(machine, release), timeout=120)


def _words(release: Path, words: tuple[str, ...]) -> tuple[str | Path, ...]:
    return as_user("webops", release / "panel/bin/python", "manage.py", *words)


def _folder(machine: Machine, release: Path) -> Path:
    return machine.at(release / "src/control-panel")


def ask(name: str, path: str = SIGN_IN, address: str = "127.0.0.1") -> str:
    """The status of a page, asked of the nginx here: the name may lead elsewhere still. Else why there is none."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # which certificate it is, other checks look at
    try:
        raw = socket.create_connection((address, 443), timeout=5)
        with raw, context.wrap_socket(raw, server_hostname=name) as tls:
            tls.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            answer = http.client.HTTPResponse(tls)
            answer.begin()
            return str(answer.status)
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
