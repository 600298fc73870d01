"""What the platform itself does from time to time on each host, such as renewing certificates.

Each has a row per host; whichever worker claims it does it in a thread of its own. A worker that dies in the middle
loses its lease, and the next one does it again: a turn asks before it acts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.db import IntegrityError, connections, transaction

from apps.core import work
from apps.core.clock import now
from apps.core.models import Host as HostRow
from apps.deployments.models import Turn
from webops_host.errors import HostError
from webops_host.ports import Host

log = logging.getLogger("webops.turns")
RENEWALS = 3  # how often a lease is renewed while it lasts
Act = Callable[[HostRow, Host, Callable[[], bool]], str]
"""Does it for one host, asks now and then whether to stop, and says in a few words what came of it."""


@dataclass(frozen=True, slots=True)
class Rule:
    every: timedelta
    act: Act


class _Known:
    rules: Mapping[str, Rule] = {}


def know(name: str, every: timedelta, act: Act) -> None:
    """Say what is to be done, and how often. Called once, when Django is set up."""
    _Known.rules = {**_Known.rules, name: Rule(every, act)}


def soon(name: str, host: str) -> None:
    """Have it done at the worker's next look."""
    if not Turn.objects.filter(name=name, host=host).update(next_at=now()):
        _add(name, host)


Begin = Callable[[str, Callable[[], None]], None]
"""Starts something beside the worker's own work, under a name."""


def run_due(connect: Callable[[HostRow], Host], stop: Callable[[], bool], owner: str, host: str, begin: Begin) -> int:
    """Begin every turn of the host whose time has come. Returns how many."""
    row = HostRow.objects.filter(name=host).first()
    if row is None:
        return 0
    rows = {turn.name: turn for turn in Turn.objects.filter(host=host)}
    begun = 0
    for name, rule in _Known.rules.items():
        turn = rows.get(name) or _add(name, host)
        if turn is None or turn.next_at > now() or not work.claim(Turn.objects.filter(pk=turn.pk), owner):
            continue
        turn.refresh_from_db()
        begin(f"turn-{name}", partial(_take, turn, rule, row, connect, stop))
        begun += 1
    return begun


def _add(name: str, host: str) -> Turn | None:
    with suppress(IntegrityError), transaction.atomic():
        return Turn.objects.create(name=name, host=host, next_at=now())
    return Turn.objects.filter(name=name, host=host).first()


def _take(turn: Turn, rule: Rule, row: HostRow, connect: Callable[[HostRow], Host], stop: Callable[[], bool]) -> None:
    """One turn, from its start to the end of its lease."""
    mine = Turn.objects.filter(pk=turn.pk)
    over = threading.Event()
    renewing = threading.Thread(target=_hold, args=(turn, over), name=f"hold-{turn.name}", daemon=True)
    renewing.start()
    try:
        outcome = perform(rule, row, connect(row), stop)
        mine.update(last_at=now(), next_at=now() + rule.every, last_outcome=outcome[:300])
    except Exception:  # the outer edge of a thread: the next look tries again
        log.exception("the turn %s could not be taken", turn.name)
    finally:
        over.set()
        renewing.join()
        work.release(mine, turn.lease_owner, turn.fence)
        connections.close_all()


def perform(rule: Rule, row: HostRow, host: Host, stop: Callable[[], bool]) -> str:
    """Do it now, in this thread; what goes wrong becomes the outcome."""
    try:
        return rule.act(row, host, stop)
    except HostError as error:
        return f"failed: {error.message}"
    except Exception:  # the outer edge of background work
        log.exception("a turn failed")
        return "failed inside WebOps; see the worker's log"


def _hold(turn: Turn, over: threading.Event) -> None:
    while not over.wait(work.LEASE.total_seconds() / RENEWALS):
        work.renew(Turn.objects.filter(pk=turn.pk), turn.lease_owner, turn.fence)
    connections.close_all()
