"""How many copies of each process run, and what the deployment may use. A change makes a release of the commit that is
live: it starts beside the old one and takes over when it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.core import access, audit, hosts
from apps.core.access import Actor, Capability
from apps.core.errors import Conflict, Invalid
from apps.deployments import looking, overrides, running
from apps.deployments.actions import releases
from apps.deployments.contract import PlatformLimits
from apps.deployments.models import Deployment, Release
from webops_host.errors import HostError
from webops_host.values import Gunicorn, Limits

MOST_COPIES = PlatformLimits().copies
LEAST = {"memory_mib": 64, "cpu_percent": 10, "tasks": 16}


@dataclass(frozen=True, slots=True)
class Scale:
    """One process kind as it is scaled. `workers` are those inside one copy, for gunicorn; the web process is one copy
    always, because what serves is switched as a whole."""

    kind: str
    copies: int
    workers: int | None
    is_web: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How a deployment is scaled: its processes, its limits, and the most of each that the platform gives."""

    processes: tuple[Scale, ...]
    limits: Mapping[str, int]
    most: Mapping[str, int]


def standing(deployment: Deployment) -> Standing:
    """As what is live has it; without a live release there are no processes yet."""
    live = deployment.live
    plan = live.plan if live is not None else None
    limits = plan.limits if plan is not None else Limits()
    processes = tuple(
        Scale(
            str(process.kind),
            process.count,
            process.program.workers if isinstance(process.program, Gunicorn) else None,
            process.kind == running.WEB,
        )
        for process in (plan.processes if plan is not None else ())
    )
    return Standing(processes, {name: getattr(limits, name) for name in LEAST}, most(deployment))


def most(deployment: Deployment) -> dict[str, int]:
    """The most of each limit, as the host says."""
    try:
        found = looking.platform_limits(hosts.of(deployment.host))
    except HostError:
        found = PlatformLimits()
    return {name: getattr(found, name) for name in LEAST}


def scale(
    actor: Actor,
    deployment: Deployment,
    *,
    copies: Mapping[str, int] | None = None,
    workers: int | None = None,
    limits: Mapping[str, int] | None = None,
) -> Release | None:
    """Change what is given and queue a release with it. None: nothing has changed. Raises Invalid with the field,
    Conflict without a live release."""
    access.require(actor, Capability.CONFIGURE, deployment.team)
    live = deployment.live
    if live is None:
        raise Conflict(f"{deployment} has no live release.", hint="Deploy it first.", code="nothing_live")
    releases.refuse_before_rollback(deployment)
    now = standing(deployment)
    wanted = dict(deployment.overrides)
    wanted["counts"] = {**wanted.get("counts", {}), **_copies(now, copies or {})}
    if workers is not None:
        wanted["workers"] = workers
    wanted.update(_limits(now, limits or {}))
    checked = overrides.check(wanted)
    if checked == deployment.overrides:
        return None
    return _apply(actor, deployment, live, checked)


def _apply(actor: Actor, deployment: Deployment, live: Release, checked: dict[str, Any]) -> Release:
    Deployment.objects.filter(pk=deployment.pk).update(overrides=checked)
    deployment.overrides = checked
    kept = ("counts", "workers", "memory_mib", "cpu_percent", "tasks")
    detail = {name: checked[name] for name in kept if name in checked}
    audit.record(actor, "deployment.scale", team=deployment.team, target=deployment.name, **detail)
    return releases.follow(actor, deployment, trigger="scale")


def _copies(now: Standing, wanted: Mapping[str, int]) -> dict[str, int]:
    known = {process.kind: process for process in now.processes}
    for kind, count in wanted.items():
        if kind not in known:
            names = ", ".join(known) or "none"
            raise Invalid(f"There is no process “{kind}”.", fields={kind[:40]: [f"Its processes: {names}."]})
        low, high = (1, 1) if known[kind].is_web else (0, MOST_COPIES)
        if type(count) is not int or not low <= count <= high:
            rule = "The web process is one copy; give it more workers." if high == 1 else f"Use {low} to {high} copies."
            raise Invalid(f"{count} copies of {kind} can not be had.", hint=rule, fields={kind: [rule]})
    return {kind: count for kind, count in wanted.items() if not known[kind].is_web}


def _limits(now: Standing, wanted: Mapping[str, int]) -> dict[str, int]:
    for name, value in wanted.items():
        if name not in LEAST:
            raise Invalid(f"There is no limit “{name}”.", fields={name[:40]: [f"Limits: {', '.join(LEAST)}."]})
        if type(value) is not int or not LEAST[name] <= value <= now.most[name]:
            rule = f"Use a whole number from {LEAST[name]} to {now.most[name]}."
            raise Invalid(f"{name} can not be {value}.", hint=rule, fields={name: [rule]})
    return dict(wanted)
