"""Making, changing and removing deployments."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction

from apps.core import access, audit, queue
from apps.core.access import Actor, Capability
from apps.core.errors import Conflict, Invalid
from apps.core.models import Host, Team
from apps.deployments import overrides, repositories
from apps.deployments.models import Deployment, Wish
from webops_host.errors import BadValue
from webops_host.names import RESERVED_NAMES, DeploymentName, GitRef, RelativePath


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person fills in for a new deployment, as typed; `create` checks it."""

    repository: str
    name: str = ""
    ref: str = ""
    root: str = ""
    username: str = ""
    token: str = field(default="", repr=False)


def create(actor: Actor, team: Team, wanted: Wanted) -> Deployment:
    """Make a draft: nothing runs yet. Raises Invalid with the field, Conflict when the name is taken."""
    access.require(actor, Capability.CONFIGURE, team)
    url, _ = repositories.parse(wanted.repository, team)
    name = _name(wanted.name) if wanted.name else free_name(url.short_name)
    try:
        with transaction.atomic():
            deployment = Deployment.objects.create(
                team=team,
                host=Host.objects.order_by("pk").first() or _embedded(),
                name=name,
                repository=str(url),
                ref=_ref(wanted.ref),
                root=_root(wanted.root),
                username=wanted.username.strip(),
                token=wanted.token.strip(),
                created_by=actor.user,
            )
            audit.record(actor, "deployment.create", team=team, target=name, repository=str(url))
    except IntegrityError:
        raise Conflict(
            f"The name “{name}” is taken.", hint="Choose another name for this deployment.", code="name_taken"
        ) from None
    return deployment


def change(actor: Actor, deployment: Deployment, **wanted: Any) -> Deployment:
    """Change settings (those in `SETTINGS`); they apply from the next release on. What is not given stays.
    Raises Invalid with the field, and then nothing is changed."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    for name, value in wanted.items():
        column, checked = SETTINGS[name]
        setattr(deployment, column, checked(value, deployment))
    columns = [SETTINGS[name][0] for name in wanted]
    with transaction.atomic():
        deployment.save(update_fields=columns)
        audit.record(actor, "deployment.change", team=deployment.team, target=deployment.name, changed=sorted(columns))
    return deployment


def remove(actor: Actor, deployment: Deployment, *, confirm: str) -> None:
    """Stop and remove it with its releases, files and database. `confirm` must be its name. Again: nothing more."""
    access.require(actor, Capability.DELETE, deployment.team)
    if confirm != deployment.name:
        raise Invalid(
            f"Type the name “{deployment.name}” to confirm.",
            fields={"confirm": [f"This is not “{deployment.name}”."]},
            code="not_confirmed",
        )
    with transaction.atomic():
        Deployment.objects.filter(pk=deployment.pk).update(wish=Wish.DELETED)
        deployment.releases.filter(state__in=("queued", "running")).update(cancel_requested=True)
        audit.record(actor, "deployment.delete", team=deployment.team, target=deployment.name)
        queue.ring(deployment.host.name, deployment.pk)


def free_name(text: str) -> str:
    """A free name made from a repository's: lower case, hyphens, with a number when it is taken."""
    stem = (
        re.sub(r"-{2,}", "-", re.sub(r"[^a-z0-9]+", "-", text.lower().removesuffix(".git"))).strip("-")[:27].strip("-")
    )
    if not stem or not stem[0].isalpha() or stem in RESERVED_NAMES or len(stem) < 2:
        stem = f"site-{stem}".strip("-")[:27].strip("-")
    taken = set(Deployment.objects.filter(name__startswith=stem).values_list("name", flat=True))
    names = (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _name(text: str) -> DeploymentName:
    try:
        return DeploymentName(text)
    except BadValue as error:
        raise Invalid.of("name", error) from None


def _ref(text: str) -> str:
    try:
        return GitRef(text) if text else ""
    except BadValue as error:
        raise Invalid.of("ref", error) from None


def _root(text: str) -> str:
    try:
        return RelativePath(text.strip().strip("/")) if not text.startswith("/") else RelativePath(text)
    except BadValue as error:
        raise Invalid.of("root", error) from None


def _embedded() -> Host:
    return Host.objects.get_or_create(name="local", defaults={"kind": "embedded"})[0]


def _keep(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 50:
        raise Invalid("Keep 1 to 50 releases.", fields={"keep_releases": ["Use a number from 1 to 50."]})
    return value


SETTINGS: dict[str, tuple[str, Callable[[Any, Deployment], Any]]] = {
    "repository": ("repository", lambda text, deployment: str(repositories.parse(text, deployment.team)[0])),
    "ref": ("ref", lambda text, _: _ref(text)),
    "root": ("root", lambda text, _: _root(text)),
    "token": ("token", lambda text, _: text.strip()),
    "username": ("username", lambda text, _: text.strip()),
    "keep_releases": ("keep_releases", lambda number, _: _keep(number)),
    "overrides_": ("overrides", lambda data, _: overrides.check(data)),
}
"""What a person may change: the column, and the check of what was typed."""
