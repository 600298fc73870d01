"""A release as a list of steps with an undo stack.

queued → fetch → inspect → build → release → start → check → switch → finish. Every step registers its undo before it
acts, asks before it acts, and does nothing the second time. Up to `switch` a failure undoes everything and the release
before goes on serving; after it the release is live, and what remains is only tidying.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from django.db import close_old_connections, transaction

from apps.core import faults
from apps.core.clock import now
from apps.core.errors import Refused
from apps.deployments import explain, hiding, steps
from apps.deployments.logs import Writer
from apps.deployments.models import Release, ReleaseKind, ReleaseStep, State, StepState
from apps.deployments.steps import Outcome, Run, Unsettled
from webops_host.errors import Cancelled, HostError, Stale
from webops_host.ports import Host

Step = Callable[[Run], Outcome]
worker_log = logging.getLogger("webops.worker")

STEPS: dict[str, tuple[tuple[str, Step], ...]] = {
    ReleaseKind.INSPECT: (("fetch", steps.fetch), ("inspect", steps.inspect)),
    ReleaseKind.DEPLOY: (
        ("fetch", steps.fetch),
        ("inspect", steps.inspect_and_accept),
        ("build", steps.build),
        ("release", steps.release),
        ("start", steps.start),
        ("check", steps.check),
        ("switch", steps.switch),
        ("finish", steps.finish),
    ),
    ReleaseKind.ROLLBACK: (
        ("start", steps.start),
        ("check", steps.check),
        ("switch", steps.switch),
        ("finish", steps.finish),
    ),
}
POINTS = tuple(f"{name}.{side}" for name, _ in STEPS[ReleaseKind.DEPLOY] for side in ("before", "after"))
"""Every fault point of a release, in order."""


ATTEMPTS = 3
"""How often a release is begun at most, when workers are stopped meanwhile."""


class LeaseLost(Exception):
    """Another worker took the deployment over; this one must leave everything as it is."""


@dataclass
class Signals:
    """What the worker tells a running release from outside: cancel, or that its lease is gone. With `again` what is
    cancelled goes back to those that wait."""

    cancel: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)
    reason: str = "Cancelled by a person."
    again: bool = False

    def stop(self) -> bool:
        return self.cancel.is_set() or self.lost.is_set()


def lay_out(release: Release) -> None:
    """The steps as rows, so that a page can show what is to come. Again (a second attempt): waiting anew."""
    release.steps.all().delete()
    names = (name for name, _ in STEPS[release.kind])
    ReleaseStep.objects.bulk_create(
        ReleaseStep(release=release, position=position, name=name) for position, name in enumerate(names)
    )


def perform(release: Release, host: Host, signals: Signals) -> None:
    """Take the release, which has been laid out, through its steps and leave it in an end state, or waiting again.
    Raises LeaseLost, Unsettled, and what the database says when nothing can be recorded: then the reaper goes on."""
    log = Writer(release)
    run = Run(release=release, host=host, log=log, stop=signals.stop)
    try:
        log.hide(hiding.secrets_of(release.deployment))
        with ExitStack() as undo:
            run.undo = undo
            for position, (name, step) in enumerate(STEPS[release.kind]):
                run.step = name
                _take_or_leave(run, position, name, step, signals)
            undo.pop_all()
        if release.kind == ReleaseKind.INSPECT:
            _end(release, State.READY)
    except (LeaseLost, Stale):
        raise LeaseLost from None
    except Unsettled:
        raise
    except Cancelled:
        log.write(run.step, signals.reason)
        if not (signals.again and _wait_again(release)):
            _end(release, State.CANCELLED, cause=signals.reason)
    except Exception as error:  # the outer edge of background work: everything becomes an explained failure
        close_old_connections()  # it may be this one's connection to the database that was cut
        _fail(run, error)
    finally:
        log.close()


def _take_or_leave(run: Run, position: int, name: str, step: Step, signals: Signals) -> None:
    """One step. When the lease is gone, what there is to undo belongs to the newer holder."""
    try:
        _take(run, position, name, step, signals)
    except (LeaseLost, Stale):
        run.undo.pop_all()
        raise


def _take(run: Run, position: int, name: str, step: Step, signals: Signals) -> None:
    """One step, recorded. A cancel is heeded until the switch has been made."""
    row = ReleaseStep.objects.filter(release=run.release, position=position)
    ours = row.filter(release__state__in=(State.RUNNING, State.LIVE))
    if signals.lost.is_set():
        raise LeaseLost
    if signals.cancel.is_set() and run.release.state != State.LIVE:
        raise Cancelled(signals.reason)
    if not ours.update(state=StepState.RUNNING, started_at=now(), note=""):
        raise LeaseLost
    try:
        faults.point(f"{name}.before")
        outcome = step(run)
        faults.point(f"{name}.after")
    except BaseException as error:
        word = "Cancelled" if isinstance(error, Cancelled) else "Failed"
        if not isinstance(error, (LeaseLost, Stale, Unsettled)):
            row.update(state=StepState.FAILED, finished_at=now(), note=word)
        raise
    state = StepState.SKIPPED if outcome.skipped else StepState.DONE
    row.update(state=state, finished_at=now(), note=outcome.note[:300])


def _fail(run: Run, error: Exception) -> None:
    """Explain and record. A failure after the switch leaves the release live, with a note. Raises LeaseLost when
    another worker has settled the release: what failed here failed because of that."""
    if not Release.objects.filter(pk=run.release.pk, state__in=(State.RUNNING, State.LIVE)).exists():
        raise LeaseLost
    if not isinstance(error, (HostError, Refused)):
        worker_log.error("%s failed in the step %s", run.release, run.step, exc_info=error)
    found = explain.failure(error, step=run.step, lines=run.log.tail(60, run.step), plan=run.plan)
    run.log.write(run.step, f"✗ {found.cause}")
    if isinstance(error, HostError) and error.hint:
        run.log.write(run.step, error.hint)
    if Release.objects.filter(pk=run.release.pk, state=State.LIVE).exists():
        return
    run.release.failure = found.kind
    run.release.evidence = [run.log.masked(line) for line in found.evidence]
    run.release.hint = run.log.masked(found.hint)
    _end(run.release, State.FAILED, cause=run.log.masked(found.cause))


def _wait_again(release: Release) -> bool:
    """Back to those that wait, for the next worker: nothing of it is left. False: it was begun often enough, or a
    person does not want it any more. One that was asked for meanwhile takes its place."""
    with transaction.atomic():
        current = Release.objects.select_for_update().get(pk=release.pk)
        if current.state != State.RUNNING or current.cancel_requested or current.attempts >= ATTEMPTS:
            return False
        if Release.objects.filter(deployment=release.deployment, state=State.QUEUED).exists():
            current.state, current.finished_at = State.SUPERSEDED, now()
            current.cause = "A newer release was asked for while the worker was started anew."
        else:
            current.state, current.started_at = State.QUEUED, None
        current.save(update_fields=["state", "started_at", "finished_at", "cause"])
        current.steps.all().delete()
    return True


def _end(release: Release, state: State, *, cause: str = "") -> None:
    """An end state, unless the release has reached one already."""
    with transaction.atomic():
        current = Release.objects.select_for_update().get(pk=release.pk)
        if current.state != State.RUNNING:
            return
        release.state, release.cause, release.finished_at = state, cause, now()
        release.save(update_fields=["state", "cause", "failure", "evidence", "hint", "finished_at"])
