"""webops.toml: the optional file in a repository that says how to build and run it.

Every key is described here once; the JSON Schema and the checks come from the same models. An unknown key is an error.
`docs/webops.toml` shows all of them.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from apps.deployments import contract_errors
from apps.deployments.plan import Problem
from webops_host import cron
from webops_host.errors import BadValue
from webops_host.names import DottedName, PersonKey, ProcessKind, PythonVersion, RelativePath
from webops_host.values import ProjectLine

MIB = {"": 1, "K": 1 / 1024, "M": 1, "G": 1024}


class ContractInvalid(Exception):
    """The file can not be followed. `errors` holds one blocker for each mistake."""

    def __init__(self, errors: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class PlatformLimits:
    """The most that one deployment may ask for."""

    memory_mib: int = 4096
    cpu_percent: int = 400
    tasks: int = 512
    copies: int = 8
    processes: int = 10
    crons: int = 20
    health_seconds: int = 600


def _size(value: object) -> int:
    """Memory in MiB from “512M” or “1G”."""
    match = re.fullmatch(r"([1-9][0-9]{0,6})([MG])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a size such as “512M” or “1G”")
    return int(int(match[1]) * MIB[match[2]])


def _seconds(value: object) -> int:
    """Seconds from “30s” or “2m”."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})(s|m)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a time such as “30s” or “2m”")
    return int(match[1]) * (60 if match[2] == "m" else 1)


def _percent(value: object) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,3})%", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a share of one processor such as “50%”, or “200%” for two")
    return int(match[1])


def _named(kind: type[str]) -> AfterValidator:
    def check(value: str) -> str:
        try:
            return kind(value)
        except BadValue as refused:
            raise ValueError(refused.hint or refused.message) from None

    return AfterValidator(check)


def _line(value: str) -> str:
    try:
        return ProjectLine(value).line
    except BadValue as refused:
        raise ValueError(refused.hint) from None


def _schedule(value: str) -> str:
    cron.parse(value)
    return value


def _path(value: object) -> object:
    """People write “.” for the root and end folders with a slash."""
    return value.removeprefix("./").rstrip("/").removeprefix(".") if value in (".", "./") else _trimmed(value)


def _trimmed(value: object) -> object:
    return value.removeprefix("./").rstrip("/") if isinstance(value, str) and value != "/" else value


def _url_path(value: str) -> str:
    if not re.fullmatch(r"/[!-~]{0,200}", value):
        raise ValueError("write a path that begins with a slash, such as “/healthz”")
    return value


TEXT = {"type": "string"}
Size = Annotated[int, BeforeValidator(_size, json_schema_input_type=str)]
Seconds = Annotated[int, BeforeValidator(_seconds, json_schema_input_type=str)]
Percent = Annotated[int, BeforeValidator(_percent, json_schema_input_type=str)]
Command = Annotated[str, AfterValidator(_line)]
Folder = Annotated[str, BeforeValidator(_path, json_schema_input_type=str), _named(RelativePath)]
Module = Annotated[str, _named(DottedName)]
Version = Annotated[str, _named(PythonVersion)]
Key = Annotated[str, _named(PersonKey)]
Kind = Annotated[str, _named(ProcessKind)]
UrlPath = Annotated[str, AfterValidator(_url_path)]
Schedule = Annotated[str, AfterValidator(_schedule)]


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class App(Table):
    """What is hosted and where it lies in the repository."""

    type: Literal["django", "static", "python"] | None = Field(
        default=None, description="Detected when absent.", examples=['type = "django"']
    )
    root: Folder | None = Field(default=None, description="Folder of the app.", examples=['root = "backend"'])
    python: Version | None = Field(default=None, description="Version of Python.", examples=['python = "3.12"'])


class Build(Table):
    """What to run before the release, in its source."""

    command: Command | None = Field(default=None, description="One command line.", examples=['command = "make assets"'])
    publish: Folder | None = Field(
        default=None, description="Folder to serve, for static sites.", examples=['publish = "dist"']
    )


class Process(Table):
    """A long-running program."""

    command: Command = Field(description="One command line.", examples=['command = "celery -A shop worker"'])
    count: int = Field(default=1, ge=0, description="Copies to run.", examples=["count = 1"])
    memory: Size | None = Field(default=None, description="Memory of each copy.", examples=['memory = "256M"'])
    cpu: Percent | None = Field(default=None, description="Share of one processor.", examples=['cpu = "50%"'])


class Health(Table):
    """How a new release proves itself before it gets visitors."""

    path: UrlPath = Field(default="/", description="Page that must answer below 400.", examples=['path = "/healthz"'])
    timeout: Seconds = Field(default=60, description="How long to wait for it.", examples=['timeout = "30s"'])


class Deploy(Table):
    """What happens between build and going live."""

    release: Command | None = Field(
        default=None, description="Runs before the new release starts.", examples=['release = "python manage.py seed"']
    )
    health: Health | None = Field(
        default=None, description="The health check.", examples=['health = { path = "/healthz", timeout = "30s" }']
    )
    strategy: Literal["switch"] = Field(
        default="switch", description="Start new, check, switch, stop old.", examples=['strategy = "switch"']
    )


class Resources(Table):
    """Limits of every process that has none of its own."""

    memory: Size | None = Field(default=None, description="Memory.", examples=['memory = "512M"'])
    cpu: Percent | None = Field(default=None, description="Share of one processor.", examples=['cpu = "50%"'])
    tasks: int | None = Field(
        default=None, ge=4, description="Processes and threads together.", examples=["tasks = 128"]
    )


class Service(Table):
    """Something the app needs beside it."""

    type: Literal["postgres"] = Field(description="Kind of service.", examples=['type = "postgres"'])


class Cron(Table):
    """A command on a schedule, in UTC."""

    schedule: Schedule = Field(description="Five fields as in crontab(5).", examples=['schedule = "0 3 * * *"'])
    command: Command = Field(description="One command line.", examples=['command = "python manage.py clearsessions"'])


class DjangoTable(Table):
    """Settings of a Django project."""

    settings: Module | None = Field(
        default=None, description="Settings module.", examples=['settings = "shop.settings.production"']
    )
    overlay: bool | None = Field(
        default=None, description="Run under the platform's settings overlay.", examples=["overlay = false"]
    )
    collectstatic: bool | None = Field(
        default=None, description="Collect static files.", examples=["collectstatic = false"]
    )
    migrate: bool | None = Field(
        default=None, description="Migrate before the release starts.", examples=["migrate = false"]
    )


class Static(Table):
    """Settings of a static site."""

    publish: Folder | None = Field(default=None, description="Folder to serve.", examples=['publish = "public"'])
    fallback: bool | None = Field(
        default=None, description="Answer unknown pages with index.html.", examples=["fallback = true"]
    )


class Env(Table):
    """Variables that are no secrets, and those that a person has to give."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, str] = Field(init=False)
    required: dict[Key, str] = Field(
        default_factory=dict,
        description="Name and purpose of each.",
        examples=['[env.required]\nSTRIPE_KEY = "Secret API key"'],
    )

    @property
    def plain(self) -> dict[str, str]:
        return dict(self.__pydantic_extra__ or {})


class Contract(Table):
    """webops.toml"""

    app: App = App()
    build: Build = Build()
    processes: dict[Kind, Command | Process] = Field(
        default_factory=dict, examples=['[processes]\nweb = "gunicorn shop.wsgi"']
    )
    deploy: Deploy = Deploy()
    resources: Resources = Resources()
    services: list[Service] = Field(default_factory=list, examples=['[[services]]\ntype = "postgres"'])
    cron: list[Cron] = Field(default_factory=list, examples=['[[cron]]\nschedule = "0 3 * * *"\ncommand = "…"'])
    env: Env = Env()
    django: DjangoTable = DjangoTable()
    static: Static = Static()


def parse(text: str, path: str = "webops.toml", limits: PlatformLimits | None = None) -> Contract:
    """The contract, checked against the platform's limits. Raises ContractInvalid with every mistake in it."""
    prefix = ("tool", "webops") if path.endswith("pyproject.toml") else ()
    try:
        raw: Any = tomllib.loads(text)  # decoded TOML: there is no closed type for it
    except (tomllib.TOMLDecodeError, RecursionError) as wrong:
        raise ContractInvalid((contract_errors.not_toml(str(wrong), path),)) from None
    for name in prefix:
        raw = raw.get(name, {}) if isinstance(raw, dict) else {}
    lines = contract_errors.Lines(text, path, prefix)
    try:
        contract = Contract.model_validate(raw)
    except ValidationError as refused:
        raise ContractInvalid(contract_errors.problems(refused, Contract, lines)) from None
    over = _bad_keys(contract, lines) + contract_errors.over_limits(contract, limits or PlatformLimits(), lines)
    if over:
        raise ContractInvalid(over)
    return contract


def _bad_keys(contract: Contract, lines: contract_errors.Lines) -> tuple[Problem, ...]:
    found = []
    for key in contract.env.plain:
        try:
            PersonKey(key)
        except BadValue as refused:
            found.append(lines.problem(("env", key), refused.message, refused.hint))
    return tuple(found)


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    found = Contract.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "webops.toml", **found}
