"""Environment variables of a deployment. They apply with the next release; until then they are “not applied yet”."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import transaction

from apps.core import access, audit
from apps.core.access import Actor, Capability
from apps.core.clock import now
from apps.core.errors import Invalid
from apps.deployments import dotenv
from apps.deployments.models import Deployment, Variable
from webops_host.errors import BadValue
from webops_host.names import PersonKey

LARGEST = 64 * 1024


def set_many(
    actor: Actor, deployment: Deployment, values: Mapping[str, str], *, secret: bool = True, replace: bool = False
) -> list[str]:
    """Set variables, all or none; with `replace` those not named are removed. Returns the keys that changed.
    Setting the same value again changes nothing. Raises Invalid with the key as field."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    checked = {_key(key): _value(key, value) for key, value in values.items()}
    with transaction.atomic():
        before = {row.key: row for row in deployment.variables.all()}
        changed = [key for key, value in checked.items() if key not in before or before[key].value != value]
        for key in changed:
            Variable.objects.update_or_create(
                deployment=deployment,
                key=key,
                defaults={"value": checked[key], "secret": secret, "generated": False, "updated_by": actor.user},
            )
        if replace:
            changed += _remove(deployment, set(before) - set(checked))
        _note(actor, deployment, "variables.set", changed)
    return changed


def unset(actor: Actor, deployment: Deployment, keys: Iterable[str]) -> list[str]:
    """Remove variables; absent ones are fine. Returns the keys that were there."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    with transaction.atomic():
        gone = _remove(deployment, set(keys))
        _note(actor, deployment, "variables.unset", gone)
    return gone


def import_dotenv(actor: Actor, deployment: Deployment, text: str, *, replace: bool = False) -> list[str]:
    """Set variables from the text of a `.env` file. Raises Invalid that names the line."""
    parsed = dotenv.parse(text)
    if parsed.mistakes:
        wrong = [f"Line {mistake.line}: {mistake.message}" for mistake in parsed.mistakes]
        raise Invalid(wrong[0], hint="Write one NAME=value per line.", fields={"dotenv": wrong})
    return set_many(actor, deployment, dict(parsed.pairs), replace=replace)


def _remove(deployment: Deployment, keys: set[str]) -> list[str]:
    rows = deployment.variables.filter(key__in=keys, generated=False)
    gone = sorted(rows.values_list("key", flat=True))
    rows.delete()
    return gone


def _note(actor: Actor, deployment: Deployment, action: str, keys: list[str]) -> None:
    if keys:
        Deployment.objects.filter(pk=deployment.pk).update(variables_changed_at=now())
        audit.record(actor, action, team=deployment.team, target=deployment.name, keys=sorted(keys))


def _key(text: str) -> str:
    try:
        return PersonKey(text)
    except BadValue as error:
        raise Invalid.of(text[:128] or "key", error) from None


def _value(key: str, text: str) -> str:
    if "\x00" in text:
        raise Invalid(f"{key} holds a NUL byte.", hint="No program can receive that.", fields={key: ["Holds NUL."]})
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Invalid(f"{key} is not valid Unicode text.", fields={key: ["Not valid Unicode."]}) from None
    if size > LARGEST:
        raise Invalid(f"{key} is larger than 64 KiB.", hint="Put large values in a file.", fields={key: ["Too large."]})
    return text
