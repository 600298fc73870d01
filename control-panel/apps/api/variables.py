"""Environment variables of a deployment. Names are for every member; values for those who may read secrets, and only
when they ask for them, which is noted in the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from django.db import transaction
from ninja import Query, Router
from pydantic import Field

from apps.api import lookup
from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.api.schema import Schema
from apps.core import access, audit
from apps.core.access import Capability
from apps.deployments import pending
from apps.deployments.actions import variables
from apps.deployments.models import Deployment

router = Router(tags=["variables"])


class ShownVariable(Schema):
    """`applied`: what is live was started with this value. `generated`: the platform made it."""

    key: str
    applied: bool
    generated: bool
    updated_at: datetime
    value: str | None = None


class Variables(Schema):
    items: list[ShownVariable]
    not_applied: bool
    changed: list[str] = Field(default_factory=list)


class AllVariables(Schema):
    variables: dict[str, str]


class SomeVariables(Schema):
    """A key with null is removed."""

    variables: dict[str, str | None]


class Dotenv(Schema):
    dotenv: str = Field(max_length=1024 * 1024, description="The text of a .env file")
    replace: bool = Field(default=False, description="Remove variables that it does not name")


@router.get("/{name}/variables", response={200: Variables, **PROBLEMS}, operation_id="list_variables")
def index(request: Request, name: str, values: bool = False) -> Variables:
    """With `values=true` also the values; needs a role and a token scope that may read secrets."""
    deployment = lookup.deployment(request.actor, name)
    if values:
        access.require(request.actor, Capability.READ_SECRETS, deployment.team)
        audit.record(request.actor, "variables.read", team=deployment.team, target=deployment.name)
    return _shown(deployment, values=values)


@router.put("/{name}/variables", response={200: Variables, **PROBLEMS}, operation_id="replace_variables")
def replace(request: Request, name: str, wanted: AllVariables) -> Variables:
    """Have exactly these, and those the platform made."""
    deployment = lookup.deployment(request.actor, name)
    changed = variables.set_many(request.actor, deployment, wanted.variables, replace=True)
    return _after(request, name, changed)


@router.patch("/{name}/variables", response={200: Variables, **PROBLEMS}, operation_id="change_variables")
def change(request: Request, name: str, wanted: SomeVariables) -> Variables:
    deployment = lookup.deployment(request.actor, name)
    to_set = {key: value for key, value in wanted.variables.items() if value is not None}
    with transaction.atomic():
        changed = variables.set_many(request.actor, deployment, to_set)
        changed += variables.unset(request.actor, deployment, set(wanted.variables) - set(to_set))
    return _after(request, name, changed)


@router.delete("/{name}/variables", response={200: Variables, **PROBLEMS}, operation_id="remove_variables")
def remove(request: Request, name: str, key: Annotated[list[str], Query(min_length=1, max_length=200)]) -> Variables:
    """Remove these; absent ones are fine."""
    deployment = lookup.deployment(request.actor, name)
    keys = {item.replace("\x00", "") for item in key}
    return _after(request, name, variables.unset(request.actor, deployment, keys))


@router.post("/{name}/variables/import", response={200: Variables, **PROBLEMS}, operation_id="import_variables")
def import_(request: Request, name: str, wanted: Dotenv) -> Variables:
    """Set variables from the text of a `.env` file."""
    deployment = lookup.deployment(request.actor, name)
    changed = variables.import_dotenv(request.actor, deployment, wanted.dotenv, replace=wanted.replace)
    return _after(request, name, changed)


def _after(request: Request, name: str, changed: list[str]) -> Variables:
    shown = _shown(lookup.deployment(request.actor, name), values=False)
    shown.changed = sorted(changed)
    return shown


def _shown(deployment: Deployment, *, values: bool) -> Variables:
    live = deployment.live
    applied = pending.applied(live)
    return Variables(
        items=[
            ShownVariable(
                key=row.key,
                applied=applied.get(row.key) == row.value,
                generated=row.generated,
                updated_at=row.updated_at,
                value=row.value if values else None,
            )
            for row in deployment.variables.order_by("key")
        ],
        not_applied=pending.not_applied(deployment, live),
    )
