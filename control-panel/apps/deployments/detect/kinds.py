"""Commands made into processes: what serves, what works beside it, and whether what that needs is there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from apps.deployments.detect import lines, processes
from apps.deployments.detect.choices import Context
from apps.deployments.detect.lines import Command
from apps.deployments.detect.notes import Notes
from apps.deployments.plan import Process
from webops_host.names import DottedName, ProcessKind
from webops_host.values import Gunicorn, ProjectLine

_BROKERED = re.compile(r"\bcelery\b|\brq\b|rqworker|rq worker|dramatiq|\barq\b|\bhuey\b|flower")
_BROKER_KEYS = re.compile(r"REDIS|BROKER|AMQP|RABBITMQ")


@dataclass(frozen=True, slots=True)
class Default:
    """What serves when nobody says otherwise."""

    application: str
    asgi: bool = False
    where: str = ""


def has_broker(context: Context, settings: str = "") -> bool:
    """Whether a queue's broker is known: given by a person, or one that needs no server."""
    given = (key for key, value in context.panel.variables.items() if value)
    return any(_BROKER_KEYS.search(key) for key in given) or bool(
        re.search(r"memory://|sqla\+|filesystem://|ALWAYS_EAGER\s*=\s*True", settings)
    )


def web(context: Context, command: Command | None, default: Default, root: str, notes: Notes) -> Process:
    """The process that serves: the platform's gunicorn wherever it can do what the line asks for."""
    limits = lines.limits(context)
    kind = ProcessKind("web")
    if command is None:
        notes.found("Web process", default.application, "the usual way to serve it", where=default.where)
        return Process(kind, Gunicorn(DottedName(default.application), default.asgi), limits=limits)
    count, limits = max(command.count or 1, 1), command.limits or limits
    text, gone = processes.without_platform_work(command.text)
    if gone:
        notes.found(
            "Release work",
            "; ".join(gone),
            "the platform does this once a release",
            origin=command.origin,
            where=command.where,
        )
    served = _served(processes.web(text), default, root, context)
    if served is not None:
        reason = _reason(processes.web(text))
        notes.found("Web process", served.application, reason, origin=command.origin, where=command.where)
        return Process(kind, served, count, limits)
    line = processes.line(processes.on_port(processes.from_folder(text or command.text, command.home, root)))
    if line is None:
        return Process(kind, Gunicorn(DottedName(default.application), default.asgi), count, limits)
    notes.found(
        "Web process",
        line.line,
        "kept as it is written; it has to listen on $PORT",
        origin=command.origin,
        where=command.where,
    )
    return Process(kind, line, count, limits)


def _served(found: processes.Web | None, default: Default, root: str, context: Context) -> Gunicorn | None:
    if found is None:
        return None
    if found.default or not found.application:
        return Gunicorn(DottedName(default.application), default.asgi, found.workers, found.threads)
    module, _, attribute = found.application.partition(":")
    if not _exists(context, module, root):
        return (
            Gunicorn(DottedName(default.application), default.asgi, found.workers, found.threads)
            if default.where
            else None
        )
    named = attribute or (default.application.partition(":")[2] if default.where else "application")
    return processes.gunicorn(found, f"{module}:{named}")


def _exists(context: Context, module: str, root: str) -> bool:
    base = posixpath.join(root, module.replace(".", "/"))
    return any(context.tree.has(f"{base}{end}") for end in (".py", "/__init__.py"))


def _reason(found: processes.Web | None) -> str:
    if found is None or found.default:
        return "the server of the line is replaced by gunicorn"
    if found.dropped:
        return f"served by the platform's gunicorn, without {' '.join(found.dropped)[:80]}"
    return "served by the platform's gunicorn as the line asks"


def others(context: Context, commands: Iterable[Command], root: str, broker: bool, notes: Notes) -> list[Process]:
    """Workers and schedulers. One whose broker is not known is planned with no copies: it would only crash."""
    found = []
    for command in commands:
        if command.kind in ("web", "release"):
            continue
        line = processes.line(processes.from_folder(command.text, command.home, root))
        if line is None:
            notes.warn("line_unusable", f"The line of {command.kind} can not be run.", where=command.where)
            continue
        waits = command.count is None and not broker and bool(_BROKERED.search(command.text))
        count = 0 if waits else 1 if command.count is None else command.count
        reason = "waits for a broker" if waits else "as it is written"
        notes.found(f"Process {command.kind}", command.text, reason, origin=command.origin, where=command.where)
        if waits:
            no_broker(command.kind, command.where, notes)
        found.append(Process(ProcessKind(command.kind), line, count, command.limits or lines.limits(context)))
    return found


def no_broker(kind: str, where: str, notes: Notes) -> None:
    notes.warn(
        "no_broker",
        f"“{kind}” needs a message broker and none is known here, so no copy is started.",
        where=where,
        fix="Set REDIS_URL or CELERY_BROKER_URL to a Redis server, then start one copy.",
    )


def celery(context: Context, root: str, broker: bool, notes: Notes) -> list[Process]:
    """Worker and beat for a Celery app that no Procfile mentions."""
    prefix = f"{root}/" if root else ""
    for path in context.tree.glob(f"{prefix}**/celery.py", f"{prefix}**/celery_app.py", f"{prefix}**/celeryapp.py"):
        text = context.tree.text(path)
        if not re.search(r"\bCelery\(", text):
            continue
        module = path[len(prefix) :].removesuffix(".py").replace("/", ".").removesuffix(".celery")
        beat = bool(re.search(r"beat_schedule|add_periodic_task", text))
        found = [_celery(context, "worker", f"celery -A {module} worker --loglevel INFO", broker)]
        found += [_celery(context, "beat", f"celery -A {module} beat --loglevel INFO", broker)] if beat else []
        notes.found("Process worker", f"celery -A {module} worker", "a Celery app is defined there", where=path)
        if not broker:
            no_broker("worker", path, notes)
        return found
    return []


def _celery(context: Context, kind: str, text: str, broker: bool) -> Process:
    return Process(ProcessKind(kind), ProjectLine(text), 1 if broker else 0, lines.limits(context))
