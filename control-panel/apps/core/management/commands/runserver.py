"""`manage.py runserver`: Django's own, except that it asks first whom it would let in."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.staticfiles.management.commands.runserver import Command as RunServer
from django.core.management.base import CommandError

from apps.core.checks import accounts_with_development_password, is_loopback


class Command(RunServer):
    addr: str
    port: str

    def inner_run(self, *args: Any, **options: Any) -> None:
        bind = f"{self.addr}:{self.port}"
        names = [] if is_loopback(bind) and not settings.PRODUCTION else accounts_with_development_password()
        if names:
            raise CommandError(
                f"At {bind} others can reach the panel, and the account “{names[0]}” has the development password.\n"
                f"Set another one first: venv/bin/python manage.py changepassword {names[0]}"
            )
        super().inner_run(*args, **options)
