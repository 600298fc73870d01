"""The worker of one host: takes rows that wait, one at a time per deployment, and never trusts that it will finish.

It waits at the doorbell and looks at the rows anyway every few seconds. While something runs, a second thread renews
the leases, and hands on cancels, deadlines and lost leases.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.conf import settings
from django.db import close_old_connections, connections, transaction
from django.db.models import F, Q

from apps.core import hosts, queue, work
from apps.core.bells import Bell, FlagBell
from apps.core.clock import now
from apps.core.lines import UNREACHABLE
from apps.core.models import Host as HostRow
from apps.deployments import commands, errands, pipeline, reaper, removal, schedules, timers, turns
from apps.deployments.actions import releases
from apps.deployments.models import Deployment, Errand, Release, State, Wish, WorkState
from webops_host.errors import HostError, Stale
from webops_host.ports import Host

log = logging.getLogger("webops.worker")
LOOK_SECONDS = 1.0
LOOK_SECONDS_WITH_QUEUE = 10.0
"""Between two looks when nothing rings; with a queue that delivers, the looks only find what was lost."""
PULSE_SECONDS = 0.25
RENEW_EVERY = 16  # pulses: a lease of 20 s is renewed every 4 s
REAP_SECONDS = 15.0
DEADLINE = 3600.0
"""Seconds that a release may take from when it begins; how long it waited does not count, nor a clock that jumps."""
REST = 30.0
"""Seconds until a removal that failed is tried again: others have their turn meanwhile."""
ERRANDS = 4
"""How many short errands go on at once, beside the releases: nobody waits with a switch for somebody else's build."""


@dataclass
class Job:
    """A deployment this worker holds, and what runs on it."""

    deployment_id: int
    fence: int
    signals: pipeline.Signals = field(default_factory=pipeline.Signals)
    release_id: int | None = None
    is_errand: bool = False
    is_removal: bool = False
    since: float = field(default_factory=time.monotonic)


class Worker:
    """`run` until `stop` is called. Stopping ends what runs: releases and errands wait for the next worker, commands
    are over. A release may take `deadline` seconds, and a removal that failed rests for `rest`."""

    def __init__(
        self,
        *,
        concurrency: int = 2,
        connect: Callable[[HostRow], Host] = hosts.of,
        executor: Executor | None = None,
        bell: Bell | None = None,
        look_seconds: float = LOOK_SECONDS,
        deadline: float = DEADLINE,
        rest: float = REST,
    ) -> None:
        self.owner = work.new_owner()
        self.host = settings.ENV.host
        self._bell = bell or FlagBell()
        self._look_seconds, self._deadline, self._rest = look_seconds, deadline, rest
        self._resting: dict[int, float] = {}
        self._connect = connect
        self._executor = executor
        self._pool = executor or ThreadPoolExecutor(concurrency + ERRANDS, thread_name_prefix="lane")
        self._concurrency = concurrency
        self._jobs: dict[int, Job] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._busy = threading.Event()
        self._running: list[Future[None]] = []
        self._taken = 0
        self._reaped_at: datetime | None = None
        self._collector = timers.Collector()

    def run(self) -> None:
        """Work until stopped."""
        pulse = threading.Thread(target=self._pulse, name="pulse", daemon=True)
        pulse.start()
        turned_at = datetime.min.replace(tzinfo=UTC)
        with self._bell:
            while not self._stopping.is_set():
                self.look()
                if (now() - turned_at).total_seconds() >= REAP_SECONDS:
                    turned_at = now()
                    self._take_turns()
                self._bell.wait(self._look_seconds)
        self._pool.shutdown(wait=True)
        pulse.join()

    @property
    def is_idle(self) -> bool:
        return not self._jobs

    def stop(self) -> None:
        """End: nothing new is taken, and what runs is ended. Safe in a signal handler."""
        self._stopping.set()
        for job in list(self._jobs.values()):
            job.signals.reason, job.signals.again = "The worker was stopped.", True
            job.signals.cancel.set()
        self._busy.set()
        self._bell.ring()

    def work_once(self) -> None:
        """Do everything that waits now, and return when it is done. For tests and one-off runs."""
        while True:
            before = self._taken
            self.look()
            wait(self._running)
            if self._taken == before:
                return

    # --- taking work ---------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Look at the rows once, and begin what may begin."""
        close_old_connections()
        try:
            self._take_waiting()  # first: somebody may be looking at a button
            is_first, is_due = self._reaped_at is None, self._due()
            if is_due:
                self._keep_ours()
                reaper.reap(self._connect, self.host)
                errands.reap(self.host)
                commands.go_on(self._connect, self._stopping.is_set, self.owner, self.host, self._beside)
                schedules.reap(self.host)
                self._take_waiting()
            commands.run_waiting(self._connect, self._stopping.is_set, self.owner, self.host, self._beside)
            schedules.run_due(self._connect, self._stopping.is_set, self.host)
            self._collector.look(self._connect, self.host, self._beside, open_too=is_due, every=is_first)
        except UNREACHABLE as error:
            log.warning("the database can not be reached; looking again: %s", error)
        except Exception:  # the outer edge: nothing that passes may end the worker
            log.exception("a look at the waiting rows failed; looking again")

    def _due(self) -> bool:
        if self._reaped_at is not None and (now() - self._reaped_at).total_seconds() < REAP_SECONDS:
            return False
        self._reaped_at = now()
        queue.beat(self.owner)
        return True

    def _keep_ours(self) -> None:
        """What we work on is not lost, whatever the clock says: it may have jumped, or the machine have slept."""
        for job in list(self._jobs.values()):
            self._tend(job, renew=True)

    def _take_turns(self) -> None:
        """What the platform does by itself from time to time."""
        try:
            turns.run_due(self._connect, self._stopping.is_set, self.owner, self.host, self._beside)
        except UNREACHABLE as error:
            log.warning("the database can not be reached; looking again: %s", error)
        except Exception:  # the outer edge, as above
            log.exception("the turns could not be looked at; looking again")

    def _beside(self, name: str, act: Callable[[], None]) -> None:
        """Begin what needs no lane."""
        if self._executor is not None:
            self._executor.submit(act)
        else:
            threading.Thread(target=act, name=name, daemon=True).start()

    def _take_waiting(self) -> None:
        """Errands first: they are short, and a release that follows then sees what they changed."""
        lanes = Deployment.objects.filter(work.free(now()), host__name=self.host).exclude(releases__state=State.RUNNING)
        waiting = Errand.objects.filter(state=WorkState.QUEUED, deployment__in=lanes).exclude(
            deployment__wish=Wish.DELETED
        )
        for deployment_id in dict.fromkeys(waiting.order_by("pk").values_list("deployment_id", flat=True)):
            if self._has_room(ERRANDS, is_errand=True):
                self._take(deployment_id)
        releases_wait = (
            lanes.filter(Q(releases__state=State.QUEUED) | Q(wish=Wish.DELETED))
            .order_by("releases__created_at", "pk")
            .values_list("pk", flat=True)
            .distinct()
        )
        for deployment_id in releases_wait:
            if self._has_room(self._concurrency, is_errand=False):
                self._take(deployment_id)

    def _has_room(self, most: int, *, is_errand: bool) -> bool:
        going = sum(job.is_errand == is_errand for job in list(self._jobs.values()))
        return going < most and not self._stopping.is_set()

    def _take(self, deployment_id: int) -> None:
        """Claim the lane with what waits in it, and start a thread for it."""
        lane = Deployment.objects.filter(pk=deployment_id)
        if deployment_id in self._jobs or self._resting.get(deployment_id, 0.0) > time.monotonic():
            return
        with transaction.atomic():  # one, so that the disk is waited for once
            if not work.claim(lane, self.owner):
                return
            deployment = lane.select_related("host", "team").get()
            job = Job(deployment_id, deployment.fence)
            act = self._claimed(deployment, job)
            if act is None:
                work.release(lane, self.owner, job.fence)
                return
        with self._lock:
            self._jobs[deployment_id] = job
            self._busy.set()
        self._taken += 1
        future = self._pool.submit(self._work, job, act)
        self._running = [*(other for other in self._running if not other.done()), future]

    def _claimed(self, deployment: Deployment, job: Job) -> Callable[[], None] | None:
        host = self._connect(deployment.host).fenced(deployment.slug, job.fence)
        if deployment.wish == Wish.DELETED:
            job.is_removal = True
            return lambda: removal.remove(deployment, host)
        errand = errands.claim(deployment)
        if errand is not None:
            job.is_errand = True
            return lambda: errands.perform(errand, host, job.signals.stop)
        release = deployment.releases.filter(state=State.QUEUED).select_related("triggered_by").first()
        if release is None:
            return None
        release.deployment = deployment
        if releases.hold_back(release):
            return None
        waiting = Release.objects.filter(pk=release.pk, state=State.QUEUED)
        ref = releases.ref_now(release)
        if not waiting.update(state=State.RUNNING, started_at=now(), attempts=F("attempts") + 1, ref=ref):
            return None
        release.refresh_from_db()
        release.deployment = deployment
        pipeline.lay_out(release)
        job.release_id = release.pk
        return lambda: pipeline.perform(release, host, job.signals)

    def _work(self, job: Job, act: Callable[[], None]) -> None:
        """One claimed piece of work, from start to the end of its lease."""
        try:
            act()
            self._resting.pop(job.deployment_id, None)
        except (pipeline.LeaseLost, Stale):
            log.warning("deployment %s was taken over by another worker", job.deployment_id)
        except HostError as error:
            log.warning("deployment %s: %s %s", job.deployment_id, error.message, error.hint)
            self._rest_from(job, error.message, error.hint)
        except Exception:  # the outer edge of a task
            log.exception("work on deployment %s failed", job.deployment_id)
            self._rest_from(job, "It failed inside WebOps.", "The worker's log says more.")
        finally:
            with self._lock:
                self._jobs.pop(job.deployment_id, None)
                if not self._jobs and not self._stopping.is_set():
                    self._busy.clear()
            self._give_back(job)
            self._bell.ring()

    def _rest_from(self, job: Job, cause: str, hint: str) -> None:
        """A removal that failed lets others go first, and says why."""
        if job.is_removal:
            self._resting[job.deployment_id] = time.monotonic() + self._rest
            errands.tell_removal(job.deployment_id, cause, hint)

    def _give_back(self, job: Job) -> None:
        """End the lease, over a connection of now: the work's own may have been cut, and would be the next work's."""
        connections.close_all()
        try:
            work.release(Deployment.objects.filter(pk=job.deployment_id), self.owner, job.fence)
        except UNREACHABLE as error:
            log.warning("the lease of deployment %s ends by itself: %s", job.deployment_id, error)
        finally:
            connections.close_all()

    # --- the pulse -----------------------------------------------------------------------------------------------

    def _pulse(self) -> None:
        count = 0
        while self._jobs or not self._stopping.is_set():
            if self._rests():
                continue
            count += 1
            for job in list(self._jobs.values()):
                try:
                    self._tend(job, renew=count % RENEW_EVERY == 0)
                except Exception:  # the outer edge: leases outlive a passing fault of the database
                    log.exception("could not renew the lease of deployment %s", job.deployment_id)
                    connections.close_all()
            threading.Event().wait(PULSE_SECONDS)
        connections.close_all()

    def _rests(self) -> bool:
        """Wait until something runs, without a connection and without waking up in between. False: it runs."""
        if self._busy.is_set():
            return False
        connections.close_all()
        self._busy.wait()
        return True

    def _tend(self, job: Job, *, renew: bool) -> None:
        """Renew, and pass on what the rows say of the running release."""
        lane = Deployment.objects.filter(pk=job.deployment_id)
        if renew and not work.renew(lane, self.owner, job.fence):
            job.signals.lost.set()
        if job.release_id is None or job.signals.cancel.is_set():
            return
        if time.monotonic() - job.since > self._deadline:
            job.signals.reason = "It took longer than the platform allows."
            job.signals.cancel.set()
        elif Release.objects.filter(pk=job.release_id, cancel_requested=True).exists():
            job.signals.cancel.set()
