"""Serves the panel with uvicorn, on a listening socket that was handed down (by `up` or systemd) or on WEBOPS_BIND.

A handed-down socket stays open while the panel restarts, so a request then waits instead of failing.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import sys
from pathlib import Path
from types import FrameType, ModuleType

import django
import uvicorn
from django.conf import settings
from django.core.checks import Tags, run_checks
from django.core.exceptions import ImproperlyConfigured

FIRST_FD = 3  # where systemd puts what it hands down (sd_listen_fds(3))
DRAIN = 5  # seconds that open requests, live streams among them, have at the end


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    _load_signals_of_tests_alone()
    try:
        django.setup()
    except ImproperlyConfigured as error:
        sys.exit(f"The settings are not right. {error}")
    for message in run_checks(tags=[Tags.security]):
        if message.is_serious():
            sys.exit(f"{message.msg}\n{message.hint or ''}".strip())
    with _listener() as listener:
        _refuse_development_password(listener)
        _Server(_config()).run(sockets=[listener])


def _load_signals_of_tests_alone() -> None:
    """ninja listens to one signal of `django.test`, and with that package comes the whole test client: 2.3 MiB at rest.
    The package is not marked as loaded, so whoever asks for it later gets it."""
    package = ModuleType("django.test")
    package.__path__ = [str(Path(django.__file__).with_name("test"))]
    sys.modules[package.__name__] = package
    importlib.import_module("django.test.signals")
    del sys.modules[package.__name__]


class _Server(uvicorn.Server):
    """uvicorn's own, except that it tells systemd when it is ready and wakes up once a second, not ten times."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        from apps.core import notify

        self._loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        await super().startup(sockets=sockets)
        notify.ready()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            try:
                await asyncio.wait_for(self._woken.wait(), timeout=1.0)
            except TimeoutError:
                continue

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._woken.set)


def _refuse_development_password(listener: socket.socket) -> None:
    """By the address that really listens: what WEBOPS_BIND says of a socket that was handed down proves nothing."""
    from apps.core.checks import accounts_with_development_password, is_loopback

    place = listener.getsockname()
    is_own = listener.family == socket.AF_UNIX or is_loopback(f"[{place[0]}]:{place[1]}")
    names = [] if is_own else accounts_with_development_password()
    if names:
        sys.exit(
            f"At {place[0]} others can reach the panel, and the account “{names[0]}” has the development password.\n"
            f"Set another one first: venv/bin/python manage.py changepassword {names[0]}"
        )


def _config() -> uvicorn.Config:
    return uvicorn.Config(
        "config.asgi:application",
        lifespan="off",
        loop="asyncio",
        ws="none",
        server_header=False,
        proxy_headers=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=DRAIN,
    )


def _listener() -> socket.socket:
    handed = os.environ.pop("WEBOPS_LISTEN_FD", "") or _from_systemd()
    if handed:
        return socket.socket(fileno=int(handed))
    name, _, port = settings.ENV.bind.rpartition(":")
    name = name.strip("[]")
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    return socket.create_server((name, int(port)), family=family, backlog=512)


def _from_systemd() -> str:
    """The number of the one socket that systemd handed to this very process, or nothing."""
    count, process = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    if not count or process != str(os.getpid()):
        return ""
    if count != "1":
        sys.exit(f"systemd handed down {count} sockets; the panel takes one. Look at webops-panel.socket.")
    return str(FIRST_FD)


if __name__ == "__main__":
    main()
