"""`manage.py sign_in_link`: a one-time way in, for an owner who can not sign in any more or for the first one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.actions import entrances
from apps.core.models import Role, User


class Command(BaseCommand):
    help = "Print a link that lets an owner choose a new password. It works once, for an hour."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", nargs="?", default="", help="whom to let in; without it the first owner")

    def handle(self, *args: Any, username: str, **options: Any) -> None:
        for sentence in entrances.told(entrances.make(self._account(username))):
            self.stdout.write(sentence)

    def _account(self, username: str) -> User | None:
        """Raises CommandError when there is no such account."""
        active = User.objects.filter(is_active=True)
        if username:
            found = active.filter(username=username).first()
            if found is None:
                names = ", ".join(active.order_by("pk").values_list("username", flat=True)[:20])
                raise CommandError(f"There is no account “{username}”. There are: {names or 'none yet'}.")
            return found
        if not User.objects.exists():
            return None
        owner = active.filter(memberships__role=Role.OWNER).order_by("pk").first()
        if owner is None:
            raise CommandError("No active account owns a team. Name one: manage.py sign_in_link USERNAME")
        return owner
