"""What of a release runs and is served: its units and its site, as values for the host."""

from __future__ import annotations

import json
from contextlib import suppress

from apps.deployments import environment, sites
from apps.deployments.models import Release
from apps.deployments.plan import Kind, Plan
from webops_host import codec
from webops_host.errors import NotFound
from webops_host.names import Digest, ProcessKind, VariableKey
from webops_host.ports import Host
from webops_host.values import Area, DjangoFacts, HealthCheck, Mount, Runtime, Site, Unit, UnitRef, Variables

WEB = ProcessKind("web")
DRAIN_SECONDS = 30.0


def variables(release: Release) -> Variables:
    """The release's own snapshot, with the names that its site has now: a domain that was added since must work after
    a restart or a rollback too."""
    snapshot: dict[str, str] = json.loads(release.variables or "{}")
    fills = release.plan.fills if release.plan is not None else ()
    values = environment.renamed(snapshot, sites.domains(release.deployment), fills)
    return {VariableKey(key): value for key, value in values.items()}


def plan(release: Release) -> Plan:
    found = release.plan
    if found is None:
        raise NotFound(f"{release} was never inspected.", hint="Deploy again.")
    return found


def runtime(release: Release) -> Runtime:
    """What every program of the release has around it."""
    decided = plan(release)
    environment = release.facts.get("environment")
    return Runtime(
        name=release.deployment.slug,
        release=release.files or 0,
        root=decided.root,
        variables=variables(release),
        environment=Digest(environment) if environment else None,
        settings=decided.django.settings if decided.django and decided.django.overlay else None,
        limits=decided.limits,
        node=decided.node is not None,
    )


def units(release: Release) -> tuple[Unit, ...]:
    """One unit per process and copy, the web process first."""
    around = runtime(release)
    name, number = release.deployment.slug, release.files or 0
    sleep_minutes = _sleep_minutes(release)
    made = [
        Unit(
            ref=UnitRef(name, number, process.kind, index),
            program=process.program,
            runtime=around,
            serves=process.kind == WEB,
            sleep_minutes=sleep_minutes if process.kind == WEB else 0,
        )
        for process in plan(release).processes
        for index in range(1, (1 if process.kind == WEB else process.count) + 1)
        if process.count
    ]
    return tuple(sorted(made, key=lambda unit: not unit.serves))


def _sleep_minutes(release: Release) -> int:
    """Never for one that does something while nobody visits: workers, or commands on a schedule."""
    decided = plan(release)
    works = any(process.kind != WEB and process.count for process in decided.processes) or bool(decided.cron)
    return 0 if works else sites.kept(release.deployment).sleep_minutes


def site(release: Release) -> Site:
    """What the web server serves for the release."""
    decided = plan(release)
    web = next((unit.ref for unit in units(release) if unit.serves), None)
    kept = sites.kept(release.deployment)
    return Site(
        name=release.deployment.slug,
        release=release.files or 0,
        unit=None if decided.kind is Kind.STATIC else web,
        mounts=_mounts(release),
        domains=sites.domains(release.deployment),
        fallback=decided.fallback if kept.fallback is None else kept.fallback,
        options=kept.options(sites.primary(release.deployment)),
    )


def _mounts(release: Release) -> tuple[Mount, ...]:
    if "django" not in release.facts:
        return ()
    facts = codec.load(DjangoFacts, release.facts["django"])
    mounts = []
    for prefix, area in ((facts.static_url, Area.STATIC), (facts.media_url, Area.MEDIA)):
        if prefix.startswith("/") and prefix.endswith("/") and prefix != "/":
            mounts.append(Mount(prefix, area))
    return tuple(mounts)


def health(release: Release) -> HealthCheck:
    decided = plan(release).health
    scheme, _, rest = release.deployment.url.rpartition("://")
    return HealthCheck(
        path=decided.path,
        host=rest.split("/", 1)[0] or "localhost",
        timeout=decided.timeout,
        secure=scheme == "https",
        missing_ok=decided.path == "/",
    )


def start(host: Host, release: Release) -> None:
    """Have every unit running and the site published. Again: nothing."""
    for unit in units(release):
        host.processes.install(unit)
        host.processes.start(unit.ref)
    host.sites.publish(site(release))


def stop(host: Host, release: Release) -> None:
    """Stop the site, then every unit of the deployment that runs. Again: nothing."""
    host.sites.unpublish(release.deployment.slug)
    for unit in host.processes.status(release.deployment.slug):
        host.processes.stop(unit.ref)


def restart(host: Host, release: Release) -> None:
    """Stop and start every unit; the site waits for the web process rather than failing requests."""
    for unit in units(release):
        with suppress(NotFound):
            host.processes.stop(unit.ref)
        host.processes.install(unit)
        host.processes.start(unit.ref)
    host.sites.publish(site(release))


def remove_other_units(host: Host, release: Release) -> None:
    """Drain and remove the units of every other release of the deployment."""
    keep = {unit.ref for unit in units(release)}
    others = [status.ref for status in host.processes.status(release.deployment.slug) if status.ref not in keep]
    for ref in others:
        if ref.kind == WEB:
            host.sites.drain(ref, DRAIN_SECONDS)
        host.processes.remove(ref)
