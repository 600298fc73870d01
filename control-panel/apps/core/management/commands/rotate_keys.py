"""`manage.py rotate_keys`: bring every stored secret under the newest encryption key."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.core import audit, rotation


class Command(BaseCommand):
    help = (
        "Encrypt every stored secret with the first key of ENCRYPTION_KEY. The panel may run meanwhile, and it can be "
        "interrupted: run it again. Afterwards the older keys can be taken out."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = rotation.everything()
        audit.record(None, "keys.rotate", team=None, changed=done.changed, unreadable=done.unreadable)
        self.stdout.write(f"{done.changed} values changed, {done.same} were under the newest key already.")
        if done.unreadable:
            raise CommandError(
                f"{done.unreadable} values can not be read with any of the keys given.\n"
                "Put the key they were written with back into ENCRYPTION_KEY, and run this again."
            )
