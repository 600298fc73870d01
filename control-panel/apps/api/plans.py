"""What was found in the repository, and how it would be built and run."""

from __future__ import annotations

from datetime import datetime

from ninja import Router
from pydantic import Field

from apps.api import lookup
from apps.api.auth import Request
from apps.api.errors import PROBLEMS
from apps.api.releases import Wait, until
from apps.api.schema import Schema
from apps.deployments.models import Deployment, Release
from apps.deployments.plan import Plan, Process
from webops_host.values import Gunicorn

router = Router(tags=["plan"])


class ShownFinding(Schema):
    """One decision with its reason and where it comes from."""

    subject: str
    value: str
    reason: str
    origin: str
    where: str


class ShownProblem(Schema):
    code: str
    severity: str
    message: str
    fix: str
    where: str


class ShownWanted(Schema):
    """A variable that the code reads."""

    key: str
    reason: str
    required: bool
    secret: bool
    generate: bool
    default: str
    where: str
    is_set: bool


class ShownProcess(Schema):
    kind: str
    command: str
    count: int
    memory_mib: int
    cpu_percent: int


class ShownPlan(Schema):
    """The newest plan. `state` is that of the look at the repository (or release) that is under way or was the last;
    `made` says whether there is a plan at all."""

    state: str
    cause: str
    hint: str
    evidence: list[str]
    made: bool
    release: int | None = None
    commit: str = ""
    made_at: datetime | None = None
    kind: str = ""
    summary: str = ""
    findings: list[ShownFinding] = Field(default_factory=list)
    problems: list[ShownProblem] = Field(default_factory=list)
    wanted: list[ShownWanted] = Field(default_factory=list)
    processes: list[ShownProcess] = Field(default_factory=list)


@router.get("/{name}/plan", response={200: ShownPlan, **PROBLEMS}, operation_id="show_plan")
def show(request: Request, name: str, wait: Wait = 0) -> ShownPlan:
    """With `wait` the answer comes when nothing is under way any more, or after that many seconds."""

    def newest() -> tuple[Deployment, Release | None]:
        deployment = lookup.deployment(request.actor, name)
        return deployment, deployment.releases.order_by("-pk").first()

    deployment, last = until(newest, lambda found: found[1] is None or not found[1].is_open, wait)
    with_plan = deployment.releases.filter(plan_data__isnull=False).order_by("-pk").first()
    plan = with_plan.plan if with_plan else None
    shown = ShownPlan(
        state=last.state if last else "none",
        cause=last.cause if last else "",
        hint=last.hint if last else "",
        evidence=[str(line) for line in last.evidence] if last else [],
        made=plan is not None,
    )
    if with_plan is not None and plan is not None:
        _fill(shown, deployment, with_plan, plan)
    return shown


def _fill(shown: ShownPlan, deployment: Deployment, release: Release, plan: Plan) -> None:
    present = set(deployment.variables.values_list("key", flat=True))
    shown.release, shown.commit, shown.made_at = release.number, release.commit, release.created_at
    shown.kind, shown.summary = plan.kind, plan.summary
    shown.findings = [
        ShownFinding(subject=f.subject, value=f.value, reason=f.reason, origin=f.origin, where=f.where)
        for f in plan.findings
    ]
    shown.problems = [
        ShownProblem(code=p.code, severity=p.severity, message=p.message, fix=p.fix, where=p.where)
        for p in plan.problems
    ]
    shown.wanted = [
        ShownWanted(
            key=w.key,
            reason=w.reason,
            required=w.required,
            secret=w.secret,
            generate=w.generate,
            default=w.default,
            where=w.where,
            is_set=w.key in present,
        )
        for w in plan.wanted
    ]
    shown.processes = [_process(process) for process in plan.processes]


def _process(process: Process) -> ShownProcess:
    program = process.program
    return ShownProcess(
        kind=process.kind,
        command=_gunicorn(program) if isinstance(program, Gunicorn) else program.line,
        count=process.count,
        memory_mib=process.limits.memory_mib,
        cpu_percent=process.limits.cpu_percent,
    )


def _gunicorn(program: Gunicorn) -> str:
    kind = "ASGI" if program.asgi else "WSGI"
    return f"gunicorn {program.application} ({kind}, {program.workers} × {program.threads} threads)"
