"""What the doors of all pages share: a request that knows who asks, what they may do, and refusals beside the field."""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.http import HttpRequest

from apps.core.access import POLICY, Actor, Capability
from apps.core.errors import Missing, Refused
from apps.core.models import Role, Team


class Request(HttpRequest):
    """A request of somebody who signed in: the middleware lets no other reach a page."""

    actor: Actor


@dataclass(frozen=True, slots=True)
class Allowed:
    """Whether a button works for this person, and which roles it needs. True and false like a bool."""

    ok: bool
    needs: str

    def __bool__(self) -> bool:
        return self.ok


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a person may do in one team, for templates: `may.deploy`, `may.read_secrets`, …"""

    role: Role
    view: Allowed
    deploy: Allowed
    read_secrets: Allowed
    configure: Allowed
    delete: Allowed
    administer: Allowed


def permissions(actor: Actor, team: Team) -> Permissions:
    """Raises Missing for a stranger."""
    role = actor.role_in(team)
    if role is None:
        raise Missing("There is no such thing here, or you may not see it.")
    return permissions_of(role)


def permissions_of(role: Role) -> Permissions:
    return Permissions(
        role=role,
        **{
            capability.name.lower(): Allowed(capability in POLICY[role], needs(capability)) for capability in Capability
        },
    )


def needs(capability: Capability) -> str:
    """The roles that have it, in words: “developer, admin or owner”."""
    able = [role.label.lower() for role in reversed(Role) if capability in POLICY[role]]
    return f"{', '.join(able[:-1])} or {able[-1]}" if len(able) > 1 else able[0]


def refuse(form: forms.Form, error: Refused) -> None:
    """Put a refusal where the person typed; what belongs to no field of the form goes on top of it."""
    for name, messages in error.fields.items():
        for message in messages:
            if name in form.fields:
                form.add_error(name, message)
            else:
                form.add_error(None, f"{name}: {message}")
    if not error.fields:
        form.add_error(None, f"{error.message} {error.hint}".strip())
