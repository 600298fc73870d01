"""Looking at a commit: its plan, and what changed since the live release."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from django.conf import settings

from apps.core.models import HostKind
from apps.deployments import detect, overrides, running
from apps.deployments.contract import PlatformLimits
from apps.deployments.models import Deployment, Release
from apps.deployments.plan import Django, Health, Kind, Plan, Process
from apps.deployments.tree import Tree
from webops_host.errors import HostError
from webops_host.names import CommitId, DottedName, PythonVersion, RelativePath
from webops_host.ports import Host
from webops_host.values import Gunicorn, Limits


class VariableMissing(HostError):
    """A variable that the contract requires is not set. Facts: `key`."""

    code = "variable_missing"


def look(host: Host, deployment: Deployment, commit: CommitId) -> Plan:
    """The plan of a commit under the deployment's settings. Only reads."""
    name, kept = deployment.slug, overrides.of(deployment.overrides)
    tree = Tree(host.sources.listing(name, commit), partial(host.sources.read, name, commit))
    most = platform_limits(host)
    plan = detect.plan(
        tree,
        pythons=host.builds.pythons(),
        root=RelativePath(deployment.root),
        overrides=_choices(deployment, kept),
        limits=most,
        postgres=deployment.host.kind == HostKind.LINUX or bool(settings.ENV.postgres_url),
    )
    return replace(
        plan,
        django=_with_parts(plan.django, kept),
        processes=tuple(_scaled(process, kept, most) for process in plan.processes),
        limits=_limited(plan.limits, kept, most),
    )


def _choices(deployment: Deployment, kept: overrides.Overrides) -> detect.Overrides:
    """What the panel says, in the words of detection."""
    healthy = bool(kept.health_path) or kept.health_timeout is not None
    return detect.Overrides(
        kind=Kind(kept.kind) if kept.kind else None,
        python=PythonVersion(kept.python) if kept.python else None,
        settings=DottedName(kept.settings) if kept.settings else None,
        overlay=kept.overlay,
        build=kept.build,
        publish=RelativePath(kept.publish) if kept.publish else None,
        release=kept.release,
        lines={running.WEB: kept.web} if kept.web else {},
        health=Health(kept.health_path or "/", kept.health_timeout or Health().timeout) if healthy else None,
        variables=dict(deployment.variables.values_list("key", "value")),
    )


def _with_parts(django: Django | None, kept: overrides.Overrides) -> Django | None:
    """The release phase without the parts that the panel switched off, or with those it switched on."""
    if django is None:
        return None
    migrate = django.migrate if kept.migrate is None else kept.migrate
    return replace(
        django,
        migrate=migrate,
        collectstatic=django.collectstatic if kept.collectstatic is None else kept.collectstatic,
    )


def platform_limits(host: Host) -> PlatformLimits:
    """The most that one deployment gets on this host. One that says nothing gives the usual."""
    facts, usual = host.describe(), PlatformLimits()
    told = {name: facts.get(f"most_{name}", "") for name in ("memory_mib", "cpu_percent", "tasks")}
    return replace(usual, **{name: int(text) for name, text in told.items() if text.isdecimal()})


def _limited(limits: Limits, kept: overrides.Overrides, most: PlatformLimits) -> Limits:
    """The panel's limits over the contract's, each by itself, within the platform's."""
    return Limits(
        min(kept.memory_mib or limits.memory_mib, most.memory_mib),
        min(kept.cpu_percent or limits.cpu_percent, most.cpu_percent),
        min(kept.tasks or limits.tasks, most.tasks),
    )


def _scaled(process: Process, kept: overrides.Overrides, most: PlatformLimits) -> Process:
    """With the copies and workers that the panel says."""
    count = process.count if process.kind == running.WEB else kept.counts.get(process.kind, process.count)
    program = process.program
    if kept.workers is not None and isinstance(program, Gunicorn):
        program = replace(program, workers=kept.workers)
    return replace(process, program=program, count=min(count, most.copies))


def refuse_missing_variables(deployment: Deployment, plan: Plan) -> None:
    """Raise VariableMissing for the first variable that the contract requires and nobody set."""
    given = set(deployment.variables.values_list("key", flat=True)) | set(plan.variables)
    for wanted in plan.wanted:
        by_contract = wanted.where.startswith(("webops.toml", "pyproject.toml"))
        if wanted.required and by_contract and not wanted.generate and wanted.key not in given:
            raise VariableMissing(
                f"The contract requires the variable {wanted.key}, and it is not set: {wanted.reason}",
                hint=f"Set it: webops env {deployment.name} set {wanted.key}=…",
                facts={"key": str(wanted.key), "where": wanted.where},
            )


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What the live release did already with the same inputs. `static_from` is the release whose collected files can be
    carried over, where there are any."""

    migrations: bool = False
    statics: bool = False
    static_from: int | None = None
    facts: dict[str, Any] | None = None


def unchanged_since_live(host: Host, release: Release, plan: Plan) -> Unchanged:
    """Compare digests with the release that is live, if its work can be taken over: its files are here still, and its
    migrations were applied to what is in the database now."""
    live = release.deployment.live
    before = live.plan if live is not None else None
    if live is None or before is None or before.django is None or plan.django is None:
        return Unchanged()
    same_around = (
        live.facts.get("environment") == release.facts.get("environment")
        and before.django.settings == plan.django.settings
        and before.node == plan.node is None
        and before.build == plan.build is None
        and _variables(live) == _variables(release)
    )
    if not same_around or "django" not in live.facts:
        return Unchanged()
    if live.files not in host.accounts.releases(release.deployment.slug):
        return Unchanged()
    facts = live.facts["django"]
    database = release.deployment.database
    same_database = database is None or live.facts.get("database", 0) == database.generation
    migrations = bool(plan.django.migrations) and before.django.migrations == plan.django.migrations
    statics = bool(plan.django.statics) and before.django.statics == plan.django.statics
    return Unchanged(
        migrations=migrations and same_database,
        statics=statics,
        static_from=live.files if statics and facts.get("static_files") else None,
        facts=facts,
    )


def _variables(release: Release) -> dict[str, str]:
    """Those that settings could look at; the release's own number and commit change with each."""
    values: dict[str, str] = json.loads(release.variables or "{}")
    return {key: value for key, value in values.items() if key not in ("WEBOPS_RELEASE", "WEBOPS_COMMIT")}
