"""How a commit is built and run, decided before anything of it runs: what detection and the contract lead to.

A plan is a value. It is shown to the person with its reasons, kept with its release, and followed by the pipeline;
a rollback follows the plan that was kept.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from webops_host.names import DottedName, ProcessKind, RelativePath, VariableKey
from webops_host.values import Gunicorn, Limits, NodePlan, ProjectLine, PythonPlan


class Kind(enum.StrEnum):
    STATIC = "static"
    DJANGO = "django"
    PYTHON = "python"  # any other Python web app, by its Procfile or contract


class Severity(enum.StrEnum):
    BLOCKER = "blocker"  # can not work: the release is refused with the line to change
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One decision: `subject` (“Python”, “Dependencies”, …), what was decided, why, and where that comes from.

    `origin` is one of platform, panel, webops.toml, Procfile, detection; `where` is file or file:line.
    """

    subject: str
    value: str
    reason: str
    origin: str = "detection"
    where: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a person should know. A blocker has a `fix`: the file, the line and what to write there."""

    code: str
    severity: Severity
    message: str
    fix: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A variable that the code reads. `generate` asks the platform to make a secret; `default` is only suggested."""

    key: VariableKey
    reason: str
    required: bool = False
    secret: bool = False
    generate: bool = False
    default: str = ""
    where: str = ""


class Role(enum.StrEnum):
    """What a variable that the code reads means to the platform, and so what it is filled with."""

    OFF = "off"  # DEBUG and the like: False
    ZERO = "zero"  # the same, read as a number: 0
    SECRET = "secret"  # noqa: S105  made once and kept
    HOSTS = "hosts"  # host names, with commas
    HOSTS_SPACED = "hosts_spaced"
    HOST = "host"  # the first one alone
    ORIGINS = "origins"  # https://host, with commas
    ORIGINS_SPACED = "origins_spaced"
    URL = "url"
    DATABASE_URL = "database_url"
    DATABASE_ENGINE = "database_engine"
    DATABASE_ENGINE_SHORT = "database_engine_short"  # its last word
    DATABASE_NAME = "database_name"
    DATABASE_USER = "database_user"
    DATABASE_PASSWORD = "database_password"  # noqa: S105  the name of a part
    DATABASE_HOST = "database_host"
    DATABASE_PORT = "database_port"
    REDIS = "redis"  # a broker that is not there: the address it usually has


@dataclass(frozen=True, slots=True)
class Fill:
    """A variable that the platform fills because the code reads it under this name."""

    key: VariableKey
    role: Role
    where: str = ""


@dataclass(frozen=True, slots=True)
class Process:
    """A process kind. `web` is the one that serves."""

    kind: ProcessKind
    program: Gunicorn | ProjectLine
    count: int = 1
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Cron:
    """A command on a schedule: five fields as in crontab(5), in UTC."""

    schedule: str
    command: ProjectLine


@dataclass(frozen=True, slots=True)
class Health:
    path: str = "/"
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class Django:
    """`settings` is the project's own module; with `overlay` it runs under the platform's settings overlay."""

    settings: DottedName
    version: str = ""
    overlay: bool = True
    migrate: bool = True
    collectstatic: bool = True
    migrations: str = ""  # digest of all migration files in the repository
    statics: str = ""  # digest of what collectstatic depends on: static folders, settings, requirements
    needs_postgres: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the pipeline needs to know. `variables` are non-secret values that the contract sets."""

    kind: Kind
    root: RelativePath = RelativePath("")
    python: PythonPlan | None = None
    node: NodePlan | None = None
    build: ProjectLine | None = None
    publish: RelativePath | None = None
    fallback: bool = False
    processes: tuple[Process, ...] = ()
    release: ProjectLine | None = None
    django: Django | None = None
    health: Health = Health()
    limits: Limits = Limits()
    cron: tuple[Cron, ...] = ()
    wanted: tuple[Wanted, ...] = ()
    fills: tuple[Fill, ...] = ()
    variables: dict[VariableKey, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def blockers(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity is Severity.BLOCKER)

    @property
    def summary(self) -> str:
        """One line for people: “Django 5.2 on Python 3.12”, “Static site from public”."""
        if self.kind is Kind.STATIC:
            return f"Static site from {self.publish}" if self.publish else "Static site"
        python = f" on Python {self.python.python}" if self.python else ""
        if self.django:
            return f"Django {self.django.version}".rstrip() + python
        return f"Python app{python}"
