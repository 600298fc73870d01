"""SEC-04: secrets stay readable before, during and after a change of the encryption key."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from apps.core import crypto, rotation
from apps.core.models import AuditRecord
from apps.deployments.models import Variable

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
COUNT = 1000
VALUES = {f"KEY_{number}": f"value {number} ünï\n{'x' * (number % 50)}" for number in range(COUNT)}


@pytest.fixture
def thousand(blog, settings):
    settings.ENCRYPTION_KEYS = (OLD,)
    blog.save()  # its token as well
    Variable.objects.bulk_create(Variable(deployment=blog, key=key, value=value) for key, value in VALUES.items())
    return blog


def readable(blog) -> bool:
    return dict(blog.variables.values_list("key", "value")) == VALUES


def raw() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM variables ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def under(key: str) -> int:
    """How many values a key alone can read."""
    fernet = Fernet(key.encode())
    count = 0
    for token in raw():
        try:
            fernet.decrypt(token.encode())
        except crypto.InvalidToken:
            continue
        count += 1
    return count


def test_sec_04_a_thousand_values_are_readable_before_during_and_after(thousand, settings):
    settings.ENCRYPTION_KEYS = (NEW, OLD)
    assert readable(thousand)

    class Interrupted(Exception):
        pass

    def stop_after(found: rotation.Rotated) -> None:
        if found.changed == COUNT // 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        rotation.everything(after_each=stop_after)
    assert 0 < under(NEW) < COUNT
    assert readable(thousand)

    call_command("rotate_keys")
    assert under(NEW) == COUNT
    assert AuditRecord.objects.get(action="keys.rotate").detail["unreadable"] == 0
    settings.ENCRYPTION_KEYS = (NEW,)
    assert readable(thousand)


def test_sec_04_rotating_again_changes_nothing(thousand, settings):
    before = raw()
    call_command("rotate_keys")
    assert raw() == before


def test_sec_04_a_value_without_its_key_is_counted_and_left_alone(thousand, settings):
    before = raw()
    settings.ENCRYPTION_KEYS = (NEW,)
    with pytest.raises(CommandError, match="1001 values can not be read"):
        call_command("rotate_keys")
    assert raw() == before
    with pytest.raises(crypto.Unreadable):
        readable(thousand)


def test_sec_04_every_encrypted_column_is_found():
    found = {f"{model._meta.db_table}.{name}" for model, name in rotation.fields()}
    assert found == {"variables.value", "deployments.token", "releases.variables", "databases.url",
                     "api_kept_answers.body", "errands.secret", "databases.old_url"}  # fmt: skip


def test_sec_04_no_secret_is_in_the_database_in_plain(thousand):
    assert not [token for token in raw() if "value" in token or not token.startswith("gAAAA")]
