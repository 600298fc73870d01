"""The steps of a release. Each asks, compares, acts, registers its undo first, and says in a note what it did."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from apps.core.checks import is_loopback
from apps.core.clock import now
from apps.core.lines import UNREACHABLE
from apps.databases import actions as databases
from apps.deployments import certificates, environment, hiding, keeping, looking, repositories, running, sites, timers
from apps.deployments.logs import Writer
from apps.deployments.models import Deployment, Release, ReleaseKind, State, Variable, Wish
from apps.deployments.plan import Kind, Plan
from webops_host import codec
from webops_host.errors import DiskFull, HostError, NotReady, Stale
from webops_host.names import CommitId, VariableKey
from webops_host.ports import Host
from webops_host.values import Console, DjangoWork, Site, UnitRef


@dataclass(frozen=True, slots=True)
class Outcome:
    note: str = ""
    skipped: bool = False


@dataclass
class Run:
    """A release on its way: what every step needs. `stop` says that somebody wants it to end."""

    release: Release
    host: Host
    log: Writer
    stop: Callable[[], bool]
    undo: ExitStack = field(default_factory=ExitStack)
    step: str = ""

    @property
    def deployment(self) -> Deployment:
        return self.release.deployment

    @property
    def plan(self) -> Plan | None:
        return self.release.plan

    @property
    def number(self) -> int:
        return self.release.files or 0

    def say(self, text: str) -> None:
        self.log.write(self.step, text)

    def console(self) -> Console:
        return Console(self.log.for_step(self.step), self.stop)

    def promise(self, act: Callable[[], object]) -> None:
        """Register an undo. It runs last-first when a later step fails; its own failure is only noted."""
        self.undo.callback(self._quietly, act)

    def _quietly(self, act: Callable[[], object]) -> None:
        try:
            act()
        except HostError as error:
            self.say(f"Could not tidy up: {error.message}")


class Unsettled(Exception):
    """Which release serves could not be learned just now. Whoever comes next has to look at the host before anything is
    removed: what is to be undone may be what visitors see."""


class Refused(HostError):
    """The plan has blockers. `problems` says which; the first one is the cause."""

    code = "plan_refused"


def fetch(run: Run) -> Outcome:
    """Bring the newest commit into the mirror."""
    deployment, release = run.deployment, run.release
    _enough_room(run)
    run.host.accounts.ensure(deployment.slug)
    spec = repositories.fetch_spec(deployment)
    if release.ref:
        spec = repositories.with_ref(spec, release.ref)
    run.say(f"Fetching {spec.url}{f' at {release.ref}' if release.ref else ''}")
    files = run.number if release.kind == ReleaseKind.DEPLOY else None
    if files is not None:
        run.promise(partial(run.host.accounts.discard, deployment.slug, files))
    revision = run.host.sources.fetch(deployment.slug, spec, run.console(), files)
    release.commit, release.subject = revision.commit, revision.subject[:200]
    release.author, release.ref = revision.author[:120], release.ref or revision.ref
    release.save(update_fields=["commit", "subject", "author", "ref"])
    run.say(f"{revision.commit[:8]} {revision.subject} ({revision.author})")
    return Outcome(f"{revision.commit[:8]} on {release.ref}" if release.ref else revision.commit[:8])


def _enough_room(run: Run) -> None:
    """Refuse below the floor, after trying to make room by forgetting releases that are only kept for rolling back."""
    floor = settings.ENV.disk_floor_mib * 1024 * 1024
    if run.host.meters.disk().free >= floor:
        return
    keeping.make_room(run.host, run.deployment)
    disk = run.host.meters.disk()
    if disk.free < floor:
        raise DiskFull(
            f"Only {disk.free // 2**20} MiB of disk are free; a release needs {floor // 2**20} MiB.",
            hint="Remove deployments or releases you do not need, or give the server a larger disk.",
        )


def inspect(run: Run) -> Outcome:
    """Decide how the commit is built and run. Nothing of it runs."""
    plan = looking.look(run.host, run.deployment, CommitId(run.release.commit))
    run.release.plan_data = codec.dump(plan)
    run.release.save(update_fields=["plan_data"])
    for finding in plan.findings:
        run.say(f"{finding.subject}: {finding.value} — {finding.reason}")
    for problem in plan.problems:
        run.say(f"{problem.severity}: {problem.message} {problem.where} {problem.fix}".strip())
    return Outcome(plan.summary)


def inspect_and_accept(run: Run) -> Outcome:
    """Inspect, refuse what can not work, and lay the source out."""
    outcome = inspect(run)
    plan = running.plan(run.release)
    if plan.blockers:
        first = plan.blockers[0]
        raise Refused(first.message, hint=first.fix, facts={"problem": first.code, "where": first.where})
    looking.refuse_missing_variables(run.deployment, plan)
    Deployment.objects.filter(pk=run.deployment.pk).update(kind=plan.kind)
    run.host.sources.checkout(run.deployment.slug, run.number, CommitId(run.release.commit))
    _snapshot(run, plan)
    return outcome


def _snapshot(run: Run, plan: Plan) -> None:
    """Fix the release's own variables: what the person set, what the platform makes, the address, the database."""
    deployment, host = run.deployment, run.host
    if not deployment.url:
        deployment.url = host.sites.reserve(deployment.slug)
        deployment.save(update_fields=["url"])
    url = None
    if plan.kind is not Kind.STATIC:
        url = databases.ensure(host, deployment)
    rows = {row.key: row for row in deployment.variables.all()}
    for wanted in plan.wanted:
        if wanted.generate and wanted.key not in rows:
            rows[wanted.key] = _generate(deployment, wanted.key)
    if plan.kind is Kind.DJANGO and "SECRET_KEY" not in rows:
        rows["SECRET_KEY"] = _generate(deployment, VariableKey("SECRET_KEY"))
    values, _ = environment.compose(
        plan,
        user={row.key: row.value for row in rows.values() if not row.generated},
        generated={row.key: row.value for row in rows.values() if row.generated},
        url=deployment.url,
        hosts=_hosts(deployment),
        database_url=url,
        https=deployment.url.startswith("https://"),
        release=run.release.number or 0,
        commit=run.release.commit,
    )
    run.release.variables = json.dumps(values, ensure_ascii=False)
    run.release.save(update_fields=["variables"])
    run.log.hide(hiding.secrets_of(deployment))


def _hosts(deployment: Deployment) -> tuple[str, ...]:
    """Every name the site answers to: its domains, the one in its URL, and the loopback's when it is there."""
    own = urlsplit(deployment.url).hostname or "localhost"
    local = ("localhost", "127.0.0.1", f"{deployment.name}.localhost") if is_loopback(f"{own}:0") else ()
    return tuple(dict.fromkeys((*sites.domains(deployment), own, *local)))


def _generate(deployment: Deployment, key: str) -> Variable:
    row, _ = Variable.objects.get_or_create(
        deployment=deployment,
        key=key,
        defaults={"value": secrets.token_urlsafe(50), "secret": True, "generated": True},
    )
    return row


def build(run: Run) -> Outcome:
    """Have the environment, the front end and the contract's own build; a static site is published at the end."""
    plan, notes = running.plan(run.release), []
    name = run.deployment.slug
    if plan.python is not None:
        built = run.host.builds.python(name, run.number, plan.python, run.console())
        run.release.facts["environment"] = built.digest
        notes.append("environment reused" if built.reused else "environment built")
    around = running.runtime(run.release)
    if plan.node is not None:
        run.host.builds.node(around, plan.node, run.console())
        notes.append("front end built")
    if plan.build is not None:
        run.say(f"$ {plan.build.line}")
        run.host.builds.run(around, plan.build, 1800.0, run.console())
        notes.append("build command ran")
    if plan.kind is Kind.STATIC:
        folder = plan.root.child(plan.publish) if plan.publish is not None else plan.root
        published = run.host.builds.publish(name, run.number, folder)
        run.release.facts["public"] = codec.dump(published)
        notes.append(f"{published.files} files, {published.bytes / 1e6:.1f} MB")
    run.release.save(update_fields=["facts"])
    return Outcome(", ".join(notes) or "nothing to build", skipped=not notes)


def release(run: Run) -> Outcome:
    """The release phase: migrate and collect static files, then the contract's own command; then seal the files."""
    plan, notes = running.plan(run.release), []
    around = running.runtime(run.release)
    if plan.django is not None:
        notes.append(_django(run, plan))
    if plan.release is not None:
        run.say(f"$ {plan.release.line}")
        run.host.builds.run(around, plan.release, 1800.0, run.console())
        notes.append("release command ran")
    run.host.accounts.seal(run.deployment.slug, run.number)
    skipped = not notes or notes == [NOTHING_CHANGED]
    return Outcome(", ".join(notes) or "nothing to do", skipped=skipped)


NOTHING_CHANGED = "no migration or static file changed"


def _django(run: Run, plan: Plan) -> str:
    """Check, migrate, collectstatic in one process; parts whose inputs are those of the live release are left out."""
    assert plan.django is not None
    before = looking.unchanged_since_live(run.host, run.release, plan)
    work = DjangoWork(
        migrate=plan.django.migrate and not before.migrations,
        collectstatic=plan.django.collectstatic and not before.statics,
        static_from=before.static_from,
    )
    if run.deployment.database is not None:
        run.release.facts["database"] = run.deployment.database.generation
    if before.facts is not None and not work.migrate and not work.collectstatic:
        if before.static_from is not None:
            run.host.builds.carry_static(run.deployment.slug, run.number, before.static_from)
        run.release.facts["django"] = before.facts
        run.release.save(update_fields=["facts"])
        return NOTHING_CHANGED
    facts = run.host.builds.django(running.runtime(run.release), work, run.console())
    run.release.facts["django"] = codec.dump(facts)
    run.release.save(update_fields=["facts"])
    migrated = f"{facts.migrations_applied} migrations" if work.migrate else "migrations unchanged"
    collected = f"{facts.static_files} static files" if work.collectstatic else "static files unchanged"
    return f"{migrated}, {collected}"


def start(run: Run) -> Outcome:
    """Start the candidate's web process beside the one that serves."""
    web = [unit for unit in running.units(run.release) if unit.serves]
    if not web:
        return Outcome("a static site has no process", skipped=True)
    for unit in web:
        run.promise(partial(run.host.processes.remove, unit.ref))
        run.host.processes.install(unit)
        run.host.processes.start(unit.ref)
    return Outcome(f"{len(web)} process beside the old one")


def check(run: Run) -> Outcome:
    """The health gate: the candidate must answer before it gets any traffic."""
    web = [unit for unit in running.units(run.release) if unit.serves]
    if not web:
        return Outcome("a static site needs no health check", skipped=True)
    try:
        answer = run.host.processes.ready(web[0].ref, running.health(run.release), run.console())
    except NotReady:
        _show_output(run, web[0].ref)
        raise
    run.say(f"Answered {answer.status} after {answer.seconds:.2f} s")
    return Outcome(f"answered {answer.status} after {answer.seconds:.2f} s")


def _show_output(run: Run, ref: UnitRef) -> None:
    """What the candidate printed goes into the release's log, as the evidence it is."""
    for line in run.host.processes.logs(ref.name, limit=400):
        if line.unit == str(ref):
            run.say(line.text)


def switch(run: Run) -> Outcome:
    """Going live: one atomic switch on the host, then the rows say the same, and nothing is undone any more. Raises
    Unsettled when the rows can not be reached in between."""
    before = run.deployment.live
    run.undo.callback(
        _switch_back,
        run,
        running.site(before) if before is not None else None,
        [unit.ref for unit in running.units(run.release) if unit.serves],
    )
    address = run.host.sites.publish(running.site(run.release))
    try:
        mark_live(run.release, address.url)
    except UNREACHABLE as error:
        run.undo.pop_all()
        raise Unsettled(f"{run.release} was switched to, and the rows may not say so") from error
    run.undo.pop_all()
    run.say(f"Live at {address.url}")
    return Outcome(f"live at {address.url}")


def _switch_back(run: Run, before: Site | None, candidate: list[UnitRef]) -> None:
    """Serve what was served before. It asks no row: the rows may be what is away. The undo ends here, with Unsettled,
    when visitors may still be with the candidate."""
    sites, name = run.host.sites, run.deployment.slug
    try:
        if before is None:
            sites.unpublish(name)
        else:
            sites.publish(before)
            for ref in candidate:
                sites.drain(ref, running.DRAIN_SECONDS)
    except HostError as error:
        if _may_serve(run):
            run.undo.pop_all()
            raise Unsettled(f"{run.release} could not be switched back: {error.message}") from error
        run.say(f"Could not tidy up: {error.message}")


def _may_serve(run: Run) -> bool:
    """Whether the site is that of this release, for all that can be learned."""
    try:
        address = run.host.sites.address(run.deployment.slug)
    except HostError:
        return True
    return address is not None and address.release == run.number


def mark_live(release: Release, url: str) -> None:
    """The rows after a switch: this release is live, the one before was. Again: nothing changes. Raises Stale when
    somebody else has settled the release since: a worker that slept must not put an old one back."""
    at = now()
    with transaction.atomic():
        current = Release.objects.select_for_update().get(pk=release.pk)
        if current.state not in (State.RUNNING, State.LIVE):
            raise Stale(f"{release} was settled by somebody else.", hint="Nothing is lost: the newer holder goes on.")
        others = Release.objects.filter(deployment=release.deployment, state=State.LIVE).exclude(pk=release.pk)
        others.update(state=State.RETIRED)
        if current.state == State.RUNNING:
            release.state, release.live_at, release.files_kept = State.LIVE, at, True
            release.save(update_fields=["state", "live_at", "files_kept"])
        Deployment.objects.filter(pk=release.deployment_id).update(url=url, wish=Wish.UP)


def finish(run: Run) -> Outcome:
    """Start the other processes, drain and stop the old ones, forget releases beyond what is kept. Live already:
    what fails here is noted and does not undo anything."""
    for unit in running.units(run.release):
        if not unit.serves:
            run.host.processes.install(unit)
            run.host.processes.start(unit.ref)
    running.remove_other_units(run.host, run.release)
    timers.arrange(run.host, run.release)
    if run.deployment.database is not None:
        databases.retire(run.host, run.deployment.database)
    certificates.after_release(run.deployment)
    removed = keeping.prune(run.host, run.deployment)
    Release.objects.filter(pk=run.release.pk).update(finished_at=now())
    return Outcome(f"{removed} old releases removed" if removed else "")


__all__ = ["Outcome", "Refused", "ReleaseKind", "Run"]
