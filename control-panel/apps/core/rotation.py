"""Bringing every stored secret under the newest key, one row at a time, so that an interruption loses nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.apps import apps
from django.db.models import Model, TextField, Value
from django.db.models.functions import Cast

from apps.core.crypto import EncryptedTextField, Unreadable, rotate

RAW = TextField()


@dataclass
class Rotated:
    """How many values were brought under the newest key, were under it already, or could not be read."""

    changed: int = 0
    same: int = 0
    unreadable: int = 0


def fields() -> Iterator[tuple[type[Model], str]]:
    """Every encrypted column of every table."""
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, EncryptedTextField):
                yield model, field.name


def everything(after_each: Callable[[Rotated], None] = lambda found: None) -> Rotated:
    """Rotate all of them. A value that changes meanwhile is left alone: it was written with the newest key."""
    found = Rotated()
    for model, name in fields():
        for _ in _column(model, name, found):
            after_each(found)
    return found


def _column(model: type[Model], name: str, found: Rotated) -> Iterator[None]:
    """One value at each turn."""
    rows = model._base_manager.annotate(raw=Cast(name, RAW)).exclude(raw=None)
    for pk, raw in rows.values_list("pk", "raw").iterator(chunk_size=500):
        try:
            fresh = rotate(raw)
        except Unreadable:
            found.unreadable += 1
            continue
        if fresh == raw:
            found.same += 1
        else:
            found.changed += rows.filter(pk=pk, raw=raw).update(**{name: Value(fresh, output_field=RAW)})
        yield
