"""A new password of a database, brought to everything that would start with the old one.

Both work for a while. What runs goes on with the old one; what starts from now on, also by a rollback or a restart, has
to have the new one, or it would fail on the day that the old one is ended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from django.db import transaction

from apps.deployments.models import Deployment, Release


def carry(deployment: Deployment, old: str, new: str) -> int:
    """Put the new address in the place of the old one, in every release that can run again and in every variable that
    a person set to it. Returns how many texts changed. Again: 0."""
    places = _replacements(old, new)
    changed = 0
    with transaction.atomic():
        for release in deployment.releases.exclude(variables=None).only("variables"):
            before: dict[str, str] = json.loads(release.variables or "{}")
            after = {key: _replaced(value, places) for key, value in before.items()}
            if after != before:
                Release.objects.filter(pk=release.pk).update(variables=json.dumps(after, ensure_ascii=False))
                changed += 1
        for variable in deployment.variables.all():
            value = _replaced(variable.value, places)
            if value != variable.value:
                variable.value = value
                variable.save(update_fields=["value"])
                changed += 1
    return changed


def _replacements(old: str, new: str) -> Mapping[str, str]:
    """Longest first: role and password together, then the password alone."""
    was, now = urlsplit(old), urlsplit(new)
    if not was.password or not now.password or old == new:
        return {}
    return {f"{was.username}:{was.password}": f"{now.username}:{now.password}", was.password: now.password}


def _replaced(text: str, places: Mapping[str, str]) -> str:
    """The role alone is replaced only where it is the whole value: it is a short word."""
    roles = {old.partition(":")[0]: new.partition(":")[0] for old, new in places.items() if ":" in old}
    for old, new in places.items():
        text = text.replace(old, new)
    return roles.get(text, text)
