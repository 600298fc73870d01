"""What is handed down to a host: frozen values, built from checked names, that say what is wanted and never how.

Paths, users, sockets and unit names do not appear here: a host derives them from the deployment's name.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from webops_host.errors import BadValue
from webops_host.names import (
    CommitId,
    DeploymentName,
    Digest,
    Domain,
    DottedName,
    GitRef,
    HostName,
    ProcessKind,
    PythonVersion,
    RelativePath,
    VariableKey,
)
from webops_host.numbers import Positive
from webops_host.site_options import SiteOptions

Variables = Mapping[VariableKey, str]


def never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Console:
    """Where a long call prints its lines, and where it asks whether to go on.

    `emit` takes one line without its newline. `cancelled` is asked several times a second; once it says yes, the call
    kills what it started and raises `Cancelled`.
    """

    emit: Callable[[str], None]
    cancelled: Callable[[], bool] = never


# --- sources ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GitHost:
    """A Git server that repositories may be fetched from.

    `private` allows addresses that are not public, for this name and port only. `ca_pem` is a PEM certificate bundle
    to trust instead of the system's.
    """

    name: HostName
    port: int = 443
    private: bool = False
    ca_pem: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.port, bool) or not 1 <= self.port <= 65535:
            raise BadValue(f"{self.port!r} is not a port.", hint="A port is a number from 1 to 65535.")

    def __str__(self) -> str:
        return self.name if self.port == 443 else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class RepositoryUrl:
    """The canonical HTTPS address of a repository. Make one with `repository.parse`, which checks the host."""

    host: HostName
    port: int
    path: str

    def __str__(self) -> str:
        return f"https://{self.host}{'' if self.port == 443 else f':{self.port}'}/{self.path}"

    @property
    def short_name(self) -> str:
        return self.path.rsplit("/", 1)[-1].removesuffix(".git")


@dataclass(frozen=True, slots=True)
class Credential:
    """A user name and token for a repository. The token is never printed."""

    username: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FetchSpec:
    """Which commit of which repository to bring in. Without a ref it is the repository's default branch."""

    url: RepositoryUrl
    git_host: GitHost
    ref: GitRef | None = None
    credential: Credential | None = None
    limit_mib: int = 1024
    timeout: float = 600.0


@dataclass(frozen=True, slots=True)
class Revision:
    """A commit that is in the mirror. `ref` is the branch or tag it was found under."""

    commit: CommitId
    ref: str
    subject: str
    author: str
    committed_at: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a commit. `kind` is file, link or submodule; `size` is bytes (0 for a submodule)."""

    path: str
    kind: str
    size: int


# --- builds ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """What a process or build may use at most."""

    memory_mib: int = 512
    cpu_percent: int = 100
    tasks: int = 128

    def __post_init__(self) -> None:
        for value, low, high in (
            (self.memory_mib, 32, 1 << 20),
            (self.cpu_percent, 5, 6400),
            (self.tasks, 4, 32768),
        ):
            if type(value) is not int or not low <= value <= high:
                raise BadValue(f"{value!r} is not a limit.", hint=f"Use a whole number from {low} to {high}.")


@dataclass(frozen=True, slots=True)
class PythonPlan:
    """An environment to have: an interpreter and the requirement lines (PEP 508) to install into it.

    `project` names the folder of a project to install as well (its own pyproject.toml). `digest` names the
    environment by everything that went into it; the same digest is never built twice.
    """

    python: PythonVersion
    requirements: tuple[str, ...]
    digest: Digest
    project: RelativePath | None = None


@dataclass(frozen=True, slots=True)
class PythonBuilt:
    """What came of a plan. `reused` says that nothing had to be installed; `sealed` that no project code could have
    written it, so that other deployments may share it."""

    digest: Digest
    reused: bool
    sealed: bool


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A front-end build: install what package.json wants in `root`, then run `script`."""

    root: RelativePath
    script: str = "build"
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Runtime:
    """What every program of one release has around it.

    `environment` is the Python environment whose programs come first on PATH. With `settings`, Django's settings
    module is the platform's overlay over this one.
    """

    name: DeploymentName
    release: Positive
    root: RelativePath = RelativePath("")
    variables: Variables = field(default_factory=dict, repr=False)
    environment: Digest | None = None
    settings: DottedName | None = None
    limits: Limits = Limits()
    node: bool = False


@dataclass(frozen=True, slots=True)
class DjangoWork:
    """The release work of a Django project, done in one process: system check, migrate, collectstatic.

    A part that is off was found to have nothing to do: its inputs did not change. `static_from` is the release whose
    collected files are then carried over.
    """

    migrate: bool = True
    collectstatic: bool = True
    static_from: Positive | None = None
    timeout: float = 900.0


@dataclass(frozen=True, slots=True)
class DjangoFacts:
    """What the running settings said. `static_files` counts what collectstatic left in the release."""

    django: str
    static_url: str = ""
    media_url: str = ""
    static_files: int = 0
    migrations_applied: int = 0
    database: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """A static tree that is ready to serve: `files` and `bytes` in it, `fallback` when it has a 404.html."""

    files: int
    bytes: int
    digest: Digest


# --- processes and sites ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UnitRef:
    """One running copy of one process kind of one release."""

    name: DeploymentName
    release: Positive
    kind: ProcessKind
    index: Positive = 1

    def __str__(self) -> str:
        return f"{self.name}-{self.release}-{self.kind}-{self.index}"


@dataclass(frozen=True, slots=True)
class Gunicorn:
    """Serve a Django or other Python application object on the unit's socket."""

    application: DottedName
    asgi: bool = False
    workers: Positive = 1
    threads: Positive = 4


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """A command line written by the project's owner. It runs in the deployment's sandbox and nowhere else."""

    line: str

    def __post_init__(self) -> None:
        if not self.line.strip() or "\x00" in self.line or "\n" in self.line or len(self.line) > 4000:
            raise BadValue("That is not one command line.", hint="Write one line of at most 4,000 characters.")


@dataclass(frozen=True, slots=True)
class Unit:
    """A program to keep running. A unit that `serves` gets a socket and a port, in LISTEN-style variables and $PORT.

    After `sleep_minutes` without a visitor (0: never) a unit that serves may be stopped; the next visitor wakes it.
    """

    ref: UnitRef
    program: Gunicorn | ProjectLine
    runtime: Runtime
    serves: bool = False
    sleep_minutes: int = 0


class UnitState(enum.StrEnum):
    RUNNING = "running"
    STARTING = "starting"
    STOPPED = "stopped"
    ASLEEP = "asleep"  # stopped for want of visitors; the next one wakes it
    CRASHED = "crashed"  # ended by itself and waits for its next start, or has given up
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """What the machine says of a unit now. `since` is a Unix time; `exit_status` of the last end, negative for a
    signal; `reason` in words when it is not running."""

    ref: UnitRef
    state: UnitState
    pid: int | None = None
    since: float = 0.0
    restarts: int = 0
    exit_status: int | None = None
    reason: str = ""
    memory_bytes: int = 0
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line a unit printed. `position` is opaque and grows; ask for lines after it."""

    position: int
    at: float
    unit: str
    text: str


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How a candidate proves itself: `GET path` as `host` over HTTPS-like headers must answer below 400.

    A 401 or 403 counts as alive: a page behind a password answers. With `missing_ok` so does a 404: nobody named this
    path, and an API may have nothing at its root. A redirect within the site is followed, and what it leads to must not
    answer with an error of the server.
    """

    path: str = "/"
    host: str = "localhost"
    timeout: float = 60.0
    secure: bool = False
    missing_ok: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """A candidate answered: with which status, after how many seconds, over which transport (socket or port)."""

    status: int
    seconds: float
    over: str


class Area(enum.StrEnum):
    """The folders of a deployment that the web server may serve itself."""

    PUBLIC = "public"  # the published static site of a release
    STATIC = "static"  # what collectstatic left in a release
    MEDIA = "media"  # uploads, shared by all releases


@dataclass(frozen=True, slots=True)
class Mount:
    """Serve `area` under the URL prefix (begins and ends with a slash)."""

    prefix: str
    area: Area

    def __post_init__(self) -> None:
        clean = self.prefix.isascii() and self.prefix.isprintable() and not set(self.prefix) & set(" \"'\\{};?#%")
        if not clean or not (self.prefix.startswith("/") and self.prefix.endswith("/")) or ".." in self.prefix:
            raise BadValue(f"{self.prefix!r:.80} is not a URL prefix.", hint="Use a path such as “/static/”.")


@dataclass(frozen=True, slots=True)
class Site:
    """What the web server serves for a deployment: a static tree (`unit` is None) or an app with mounts before it.

    `fallback` answers unknown pages of a static site with index.html (a single-page app).
    """

    name: DeploymentName
    release: Positive
    unit: UnitRef | None = None
    mounts: tuple[Mount, ...] = ()
    domains: tuple[Domain, ...] = ()
    fallback: bool = False
    options: SiteOptions = SiteOptions()


@dataclass(frozen=True, slots=True)
class SiteAddress:
    """Where a published site answers, and which release it serves."""

    url: str
    release: Positive


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes of the file system that deployments live on."""

    total: int
    free: int
