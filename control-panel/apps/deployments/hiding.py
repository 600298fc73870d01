"""What must not be readable in any output: the exact secret values of a deployment, and how a text loses them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote, urlsplit

from django.db.models import Q

from apps.deployments.models import Deployment, Release, State

MASK = "[hidden]"
SHORTEST = 6
"""Shorter values are words of every log and are left alone."""
SECRET_NAME = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|PRIVATE|DATABASE_URL|DSN")
RUNNING = (State.RUNNING, State.LIVE, State.RETIRED)


class Mask:
    """Replaces values in text. Several lines of one value are hidden one by one, as a log shows them."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask these as well from now on; longest first, so that none shows through another."""
        self._values |= {form for secret in secrets for form in _forms(secret)}
        longest_first = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(MASK, text) if self._pattern else text


def secrets_of(deployment: Deployment) -> Iterator[str]:
    """Every value that a program of the deployment may know and nobody may read: its variables, also those that
    running and kept releases were started with, the repository's token, the database's URL and password."""
    if deployment.token:
        yield deployment.token
    if deployment.database is not None:
        yield from _of_url(deployment.database.url)
        yield from _of_url(deployment.database.old_url)
    secret_keys = set()
    for variable in deployment.variables.filter(secret=True):
        secret_keys.add(variable.key)
        yield variable.value
    snapshots = Release.objects.filter(deployment=deployment, state__in=RUNNING).exclude(variables=None)
    for release in snapshots.filter(_alive()).only("variables"):
        yield from _of_snapshot(json.loads(release.variables or "{}"), secret_keys)


def of(deployment: Deployment) -> Mask:
    return Mask(secrets_of(deployment))


def _alive() -> Q:
    return Q(state__in=(State.RUNNING, State.LIVE)) | Q(files_kept=True)


def _of_snapshot(values: dict[str, str], secret_keys: set[str]) -> Iterator[str]:
    for key, value in values.items():
        if key in secret_keys or SECRET_NAME.search(key.upper()):
            yield value
            yield from _of_url(value)


def _of_url(value: str) -> Iterator[str]:
    """The password in a URL alone, too: programs print it when they can not connect."""
    try:
        password = urlsplit(value).password if "://" in value else None
    except ValueError:
        password = None
    if password:
        yield value
        yield unquote(password)


def _forms(secret: str) -> Iterator[str]:
    for text in (secret, quote(secret, safe=""), *secret.splitlines()):
        if len(text.strip()) >= SHORTEST:
            yield text
