"""Secrets at rest: one field type, Fernet with several keys (the newest encrypts, all decrypt)."""

from __future__ import annotations

from functools import cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

from apps.core.errors import Refused


class Unreadable(Refused):
    """A secret was written with a key that is no longer given."""

    status = 500
    code = "secret_unreadable"


@cache
def _keys(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key.encode()) for key in keys])


def encrypt(text: str) -> str:
    return _keys(tuple(settings.ENCRYPTION_KEYS)).encrypt(text.encode("utf-8", "surrogatepass")).decode()


def decrypt(token: str) -> str:
    """Raises Unreadable when no key fits."""
    try:
        return _keys(tuple(settings.ENCRYPTION_KEYS)).decrypt(token.encode()).decode("utf-8", "surrogatepass")
    except InvalidToken:
        raise Unreadable(
            "A stored secret can not be read.", hint="Put the key it was written with back into ENCRYPTION_KEY."
        ) from None


def rotate(token: str) -> str:
    """The same secret under the newest key; one that is under it already stays as it is. Raises Unreadable."""
    newest = Fernet(settings.ENCRYPTION_KEYS[0].encode())
    try:
        newest.decrypt(token.encode())
    except InvalidToken:
        return encrypt(decrypt(token))
    return token


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # not subscriptable at run time
    """Text that is encrypted in the database and plain in Python. It can not be searched."""

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None else encrypt(str(value))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return None if value is None else decrypt(value)
