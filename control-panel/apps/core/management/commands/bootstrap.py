"""`manage.py bootstrap`: set up an embedded panel, or bring it up to date."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core import bootstrap
from apps.core.errors import Refused


class Command(BaseCommand):
    help = "Make the tables, the first account and the local host. Doing it again changes nothing."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to-serve", action="store_true", help="refuse what must not be served at WEBOPS_BIND")

    def handle(self, *args: Any, to_serve: bool, **options: Any) -> None:
        try:
            for sentence in bootstrap.prepare():
                self.stdout.write(sentence)
            if to_serve:
                bootstrap.refuse_development_password()
        except Refused as refused:
            raise CommandError(f"{refused.message}\n{refused.hint}".strip()) from refused
