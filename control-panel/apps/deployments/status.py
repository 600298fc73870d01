"""What a deployment is now, asked of the machine: never from a column."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from apps.core.clock import now
from apps.deployments.models import Deployment, ErrandKind, Release, State, Wish, WorkState
from apps.deployments.plan import Kind
from webops_host.errors import HostError
from webops_host.ports import Host
from webops_host.values import UnitState, UnitStatus

RESTLESS, LATELY = 5, 600.0  # starts over, and seconds since the last, by which a program that runs is no good one


class Condition(enum.StrEnum):
    """The few words a status can be. `icon` and colour are the pages' business."""

    RUNNING = "running"
    DEPLOYING = "deploying"
    DEGRADED = "degraded"
    CRASHED = "crashed"
    FAILED = "failed"
    STOPPED = "stopped"
    DRAFT = "draft"
    DELETING = "deleting"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Status:
    """A condition with its reason in words, when it was asked, and the units that were seen."""

    condition: Condition
    reason: str
    at: datetime
    units: tuple[UnitStatus, ...] = ()
    serving: int | None = None  # number of the release that the web server answers with


def of(deployment: Deployment, host: Host) -> Status:
    """Ask the host. An unreachable host gives UNKNOWN with the reason, never an error."""
    at = now()
    if deployment.wish == Wish.DELETED:
        return Status(Condition.DELETING, _removal(deployment), at)
    open_release, live = deployment.open_release, deployment.live
    if live is None:
        return _without_live(deployment, open_release, at)
    try:
        units = host.processes.status(deployment.slug)
        address = host.sites.address(deployment.slug)
        condition, reason = _unserved(host, live) if address is None else _condition(live, units, at)
    except HostError as error:
        return Status(Condition.UNKNOWN, error.message, at)
    if deployment.wish == Wish.STOPPED:
        condition, reason = Condition.STOPPED, "Stopped by a person."
    serving = address.release if address else None
    if open_release is not None and open_release.number and condition is Condition.RUNNING:
        return Status(
            Condition.DEPLOYING,
            f"Release {open_release.number} is on its way; {live.number} serves.",
            at,
            units,
            serving,
        )
    return Status(condition, reason, at, units, serving)


def _removal(deployment: Deployment) -> str:
    failed = deployment.errands.filter(kind=ErrandKind.REMOVE, state=WorkState.FAILED).first()
    return f"It could not be removed yet: {failed.outcome}" if failed is not None else "It is being removed."


def _without_live(deployment: Deployment, open_release: Release | None, at: datetime) -> Status:
    if open_release is not None:
        doing = "The first release is on its way." if open_release.number else "Looking at the repository."
        return Status(Condition.DEPLOYING, doing, at)
    last = deployment.newest
    if last is not None and last.state in (State.FAILED, State.CANCELLED):
        return Status(Condition.FAILED, last.cause or "The first release did not go live.", at)
    return Status(Condition.DRAFT, "Not deployed yet.", at)


def _unserved(host: Host, live: Release) -> tuple[Condition, str]:
    if live.files in host.accounts.releases(live.deployment.slug):
        return Condition.CRASHED, "The web server does not serve it."
    return Condition.CRASHED, "Its files are not on this server. Deploy it again."


def _condition(live: Release, units: tuple[UnitStatus, ...], at: datetime) -> tuple[Condition, str]:
    mine = [unit for unit in units if unit.ref.release == live.files]
    crashed = [unit for unit in mine if unit.state is UnitState.CRASHED]
    web = [unit for unit in mine if unit.ref.kind == "web"]
    if live.plan_data and live.plan_data.get("kind") == Kind.STATIC:
        return Condition.RUNNING, f"Release {live.number} is served."
    if not web or any(unit.state in (UnitState.CRASHED, UnitState.STOPPED) for unit in web):
        reason = next((unit.reason for unit in web if unit.reason), "")
        return Condition.CRASHED, reason or "The web process does not run."
    if crashed:
        return Condition.DEGRADED, f"{crashed[0].ref.kind}: {crashed[0].reason or 'crashed'}"
    if all(unit.state is UnitState.ASLEEP for unit in web):
        return Condition.RUNNING, "Asleep; the next visitor wakes it."
    if any(unit.state is UnitState.STARTING for unit in web):
        return Condition.DEGRADED, "The web process is starting."
    for unit in mine:
        if unit.restarts >= RESTLESS and at.timestamp() - unit.since < LATELY:
            return Condition.DEGRADED, f"{unit.ref.kind}: it ended and was started again {unit.restarts} times."
    return Condition.RUNNING, f"Release {live.number} runs."
