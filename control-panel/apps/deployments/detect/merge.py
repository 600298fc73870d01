"""What people chose, laid over what was detected."""

from __future__ import annotations

import posixpath
from dataclasses import replace

from apps.deployments.contract import PlatformLimits
from apps.deployments.detect import lines, processes
from apps.deployments.detect.choices import Choice, Context
from apps.deployments.detect.notes import Notes
from apps.deployments.detect.variables import is_generated, is_secret
from apps.deployments.plan import Cron, Django, Health, Kind, Plan, Process, Role, Wanted
from webops_host.names import RelativePath, VariableKey
from webops_host.values import Limits, ProjectLine


def finish(plan: Plan, notes: Notes) -> Plan:
    """The plan with everything that was written down."""
    return replace(plan, findings=tuple(notes.findings), problems=tuple(notes.problems))


def chosen(context: Context, plan: Plan, limits: PlatformLimits, notes: Notes) -> Plan:
    """The plan after contract and panel, within the platform's limits."""
    plan = _build(context, plan, notes)
    plan = _publish(context, plan, notes)
    plan = _release(context, plan, notes)
    plan = _django(context, plan, notes)
    plan = _health(context, plan, notes)
    plan = _variables(context, plan, notes)
    return _limits(context, plan, limits, notes)


def _line(context: Context, plan: Plan, text: str) -> ProjectLine | None:
    return processes.line(processes.from_folder(text, context.root, plan.root))


def _say(notes: Notes, subject: str, choice: Choice) -> None:
    notes.found(subject, choice.value, "chosen by you", origin=choice.origin, where=choice.where)


def _build(context: Context, plan: Plan, notes: Notes) -> Plan:
    choice = context.chosen(context.panel.build, context.contract.build.command, "command")
    if choice is None:
        return plan
    _say(notes, "Build", choice)
    return replace(plan, build=_line(context, plan, choice.value))


def _publish(context: Context, plan: Plan, notes: Notes) -> Plan:
    fallback = context.chosen(context.panel.fallback, context.contract.static.fallback, "fallback")
    if fallback is not None:
        plan = replace(plan, fallback=fallback.value == "True")
        _say(notes, "Single-page fallback", fallback)
    choice = context.publish
    if choice is None or plan.kind is not Kind.STATIC:
        return plan
    _say(notes, "Published folder", choice)
    made = plan.build is not None or plan.node is not None
    if not made and not context.tree.has(posixpath.join(context.root, choice.value, "index.html")):
        where = choice.where or choice.value
        notes.block(
            "publish_missing",
            f"“{choice.value}” has no index.html and nothing builds one.",
            where=where,
            fix="Name the folder that holds index.html, or add a build command.",
        )
    return replace(plan, publish=RelativePath(choice.value))


def _release(context: Context, plan: Plan, notes: Notes) -> Plan:
    """The release line, without what the platform does anyway."""
    command = lines.read(context, plan.root, Notes()).get("release")
    if command is None or plan.kind is Kind.STATIC:
        return plan
    text, gone = processes.without_platform_work(command.text) if plan.django else (command.text, ())
    if gone:
        notes.found(
            "Release work", "; ".join(gone), "the platform does this itself", origin=command.origin, where=command.where
        )
    line = processes.line(processes.from_folder(text, command.home, plan.root)) if text else None
    if line is not None:
        notes.found(
            "Release line",
            line.line,
            "it runs before the new release starts",
            origin=command.origin,
            where=command.where,
        )
    return replace(plan, release=line)


def _django(context: Context, plan: Plan, notes: Notes) -> Plan:
    if plan.django is None:
        return plan
    asked, found = context.contract.django, plan.django
    overlay = context.chosen(context.panel.overlay, asked.overlay, "overlay")
    if overlay is not None:
        _say(notes, "Settings overlay", overlay)
    services = any(service.type == "postgres" for service in context.contract.services)
    return replace(
        plan,
        django=Django(
            settings=found.settings,
            version=found.version,
            overlay=found.overlay if overlay is None else overlay.value == "True",
            migrate=found.migrate if asked.migrate is None else asked.migrate,
            collectstatic=found.collectstatic if asked.collectstatic is None else asked.collectstatic,
            migrations=found.migrations,
            statics=found.statics,
            needs_postgres=found.needs_postgres or services,
        ),
    )


def _health(context: Context, plan: Plan, notes: Notes) -> Plan:
    asked = context.contract.deploy.health
    health = context.panel.health or (Health(asked.path, float(asked.timeout)) if asked else None)
    if health is None:
        return plan
    origin = "panel" if context.panel.health else "webops.toml"
    notes.found(
        "Health check",
        f"{health.path} within {health.timeout:g} s",
        "chosen by you",
        origin=origin,
        where=context.line("health"),
    )
    return replace(plan, health=health)


def _variables(context: Context, plan: Plan, notes: Notes) -> Plan:
    """Contract variables, and what is asked for: not what a person has given already."""
    wanted = {w.key: w for w in plan.wanted}
    for name, purpose in context.contract.env.required.items():
        key = VariableKey(name)
        generate = is_generated(name)
        wanted[key] = Wanted(
            key, purpose or "the contract asks for it", not generate, is_secret(name), generate, "", context.line(name)
        )
    plain = {VariableKey(key): value for key, value in context.contract.env.plain.items()}
    given = context.panel.variables
    redis = [fill for fill in plan.fills if fill.role is Role.REDIS and fill.key not in given]
    for fill in redis:
        notes.warn(
            "no_redis",
            f"{fill.key} is read and no Redis is known here: what uses it fails when it is used.",
            where=fill.where,
            fix=f"Set {fill.key} to the address of a Redis server.",
        )
    kept = tuple(w for w in wanted.values() if w.key not in plain and w.key not in given)
    cron = tuple(
        Cron(entry.schedule, line)
        for entry in context.contract.cron
        if (line := _line(context, plan, entry.command)) is not None
    )
    return replace(plan, variables=plain, wanted=kept, cron=cron)


def _limits(context: Context, plan: Plan, most: PlatformLimits, notes: Notes) -> Plan:
    """Nothing above the platform's own limits, whoever asked."""
    whole = _within(lines.limits(context), most)
    if whole != lines.limits(context):
        notes.found(
            "Limits",
            f"{whole.memory_mib} MiB, {whole.cpu_percent} %",
            "the most that the platform gives",
            origin="platform",
        )
    found = tuple(_bounded(process, most) for process in plan.processes)
    return replace(plan, limits=whole, processes=found)


def _bounded(process: Process, most: PlatformLimits) -> Process:
    return replace(process, count=min(process.count, most.copies), limits=_within(process.limits, most))


def _within(limits: Limits, most: PlatformLimits) -> Limits:
    return Limits(
        min(limits.memory_mib, most.memory_mib),
        min(limits.cpu_percent, most.cpu_percent),
        min(limits.tasks, most.tasks),
    )
