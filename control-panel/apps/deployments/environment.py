"""Every variable that a program of a release gets, and who set it. Paths are left to the host, which knows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from apps.deployments.plan import Fill, Kind, Plan, Role
from webops_host.names import VariableKey

RESERVED = ("PORT",)
REDIS = "redis://127.0.0.1:6379/0"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who set a variable: platform, webops.toml or panel."""

    key: VariableKey
    origin: str
    reason: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a release answers: its URL and every host name it has."""

    url: str
    hosts: tuple[str, ...]
    https: bool

    @property
    def origins(self) -> tuple[str, ...]:
        """Scheme and host (with the port of the URL, where it has one) of every name."""
        parts = urlsplit(self.url)
        own = f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
        scheme = "https" if self.https else "http"
        named = (f"{scheme}://{host}" for host in self.hosts if host != parts.hostname)
        return tuple(dict.fromkeys(origin for origin in (own, *named) if origin))


def compose(  # noqa: PLR0913  everything that makes an environment, by name
    plan: Plan, *, user: Mapping[str, str], generated: Mapping[str, str], url: str, hosts: tuple[str, ...],
    database_url: str | None, https: bool, release: int, commit: str,
) -> tuple[dict[VariableKey, str], tuple[Origin, ...]]:  # fmt: skip
    """Variables with their origins. A person's own value wins over the contract's, and that over the platform's, except
    for PORT and WEBOPS_*, which only the host and the platform know.

    `generated` holds secrets made once for the deployment, by the key that wants them; `SECRET_KEY` is the one that all
    others of a Django project share unless they have their own.
    """
    place = Place(url, hosts, https)
    found: dict[str, tuple[str, str, str]] = {}
    for key, value, reason in _platform(plan, place, generated, database_url):
        found[key] = (value, "platform", reason)
    for key, value in plan.variables.items():
        found[key] = (value, "webops.toml", "set in [env]")
    for key, value in user.items():
        if key not in RESERVED and not key.startswith("WEBOPS_"):
            found[key] = (value, "panel", "set by a person")
    for key, value in _own(place, release, commit):
        found[key] = (value, "platform", "says where this runs")
    ordered = sorted(found.items())
    values = {VariableKey(key): value for key, (value, _, _) in ordered}
    return values, tuple(Origin(VariableKey(key), origin, reason) for key, (_, origin, reason) in ordered)


NAMED: Mapping[str, Role] = {
    "WEBOPS_HOSTS": Role.HOSTS,
    "WEBOPS_ORIGINS": Role.ORIGINS,
    "ALLOWED_HOSTS": Role.HOSTS,
    "DJANGO_ALLOWED_HOSTS": Role.HOSTS,
    "CSRF_TRUSTED_ORIGINS": Role.ORIGINS,
}
"""Variables that the platform fills with all names of a site."""


def renamed(values: Mapping[str, str], domains: tuple[str, ...], fills: Iterable[Fill]) -> dict[str, str]:
    """The variables of a release with the names that its site has now: what held all names of the site, or their
    addresses, holds those of today. What a person wrote stays."""
    hosts = tuple(name for name in values.get("WEBOPS_HOSTS", "").split(",") if name)
    before = Place(values.get("WEBOPS_URL", ""), hosts, https=values.get("WEBOPS_HTTPS") == "1")
    own = urlsplit(before.url).hostname or ""
    if own not in hosts:
        return dict(values)
    after = Place(before.url, tuple(dict.fromkeys((*domains, *hosts[hosts.index(own) :]))), before.https)
    roles = {**{str(fill.key): fill.role for fill in fills}, **NAMED}
    old, new = ({role: _names(place, role) for role in set(roles.values())} for place in (before, after))
    found = dict(values)
    for key, role in roles.items():
        if new[role] is not None and values.get(key) == old[role]:
            found[key] = new[role] or ""
    return found


def _names(place: Place, role: Role) -> str | None:
    """All names or addresses in the form of a role; None for roles that mean something else."""
    glue = " " if role in (Role.HOSTS_SPACED, Role.ORIGINS_SPACED) else ","
    if role in (Role.HOSTS, Role.HOSTS_SPACED):
        return glue.join(place.hosts)
    return glue.join(place.origins) if role in (Role.ORIGINS, Role.ORIGINS_SPACED) else None


def _own(place: Place, release: int, commit: str) -> list[tuple[str, str]]:
    return [
        ("WEBOPS", "1"),
        ("WEBOPS_HOSTS", ",".join(place.hosts)),
        ("WEBOPS_ORIGINS", ",".join(place.origins)),
        ("WEBOPS_HTTPS", "1" if place.https else "0"),
        ("WEBOPS_RELEASE", str(release)),
        ("WEBOPS_COMMIT", commit),
        ("WEBOPS_URL", place.url),
    ]


def _platform(
    plan: Plan, place: Place, generated: Mapping[str, str], database_url: str | None
) -> list[tuple[str, str, str]]:
    if plan.kind is Kind.STATIC:
        return []
    secret = generated.get("SECRET_KEY", "")
    found = [
        ("SECRET_KEY", secret, "made for this deployment"),
        ("SITE_URL", place.url, "the address of the site"),
        ("WEB_CONCURRENCY", "1", "worker processes"),
        ("PYTHONUNBUFFERED", "1", "log lines appear at once"),
    ]
    if plan.python is not None:
        found.append(("PYTHON_VERSION", str(plan.python.python), "as Python's own images have it"))
    if plan.kind is Kind.DJANGO:
        found += _django(place, secret)
    if database_url:
        found.append(("DATABASE_URL", database_url, "the deployment's database"))
    database = _parts(database_url)
    for fill in plan.fills:
        value = _filled(fill, place, generated, database_url, database)
        if value is not None:
            found.append((fill.key, value, f"read in {fill.where}" if fill.where else "the code reads it"))
    wanted = [w for w in plan.wanted if w.generate and generated.get(w.key)]
    found += [(w.key, generated[w.key], "made for this deployment") for w in wanted]
    return [
        (key, value, reason) for key, value, reason in found if value or key not in ("SECRET_KEY", "DJANGO_SECRET_KEY")
    ]


def _django(place: Place, secret: str) -> list[tuple[str, str, str]]:
    names, origins = ",".join(place.hosts), ",".join(place.origins)
    return [
        ("DJANGO_SECRET_KEY", secret, "made for this deployment"),
        ("DEBUG", "False", "never on a public site"),
        ("DJANGO_DEBUG", "False", "never on a public site"),
        ("ALLOWED_HOSTS", names, "the names of the site"),
        ("DJANGO_ALLOWED_HOSTS", names, "the names of the site"),
        ("CSRF_TRUSTED_ORIGINS", origins, "the addresses of the site"),
    ]


def _parts(url: str | None) -> dict[Role, str]:
    """A database URL taken apart, for settings that read its parts one by one."""
    parts = urlsplit(url or "")
    sqlite = parts.scheme.startswith("sqlite")
    name = unquote(parts.path.removeprefix("/"))
    engine = "sqlite3" if sqlite or not url else "mysql" if parts.scheme.startswith("mysql") else "postgresql"
    options = dict(parse_qsl(parts.query))  # a Unix socket's folder is no part of the authority
    return {
        Role.DATABASE_ENGINE: f"django.db.backends.{engine}",
        Role.DATABASE_ENGINE_SHORT: engine,
        Role.DATABASE_NAME: name or "db",
        Role.DATABASE_USER: unquote(parts.username or ""),
        Role.DATABASE_PASSWORD: unquote(parts.password or ""),
        Role.DATABASE_HOST: options.get("host") or unquote(parts.hostname or ""),
        Role.DATABASE_PORT: options.get("port") or str(parts.port or 5432),
    }


def _filled(
    fill: Fill, place: Place, generated: Mapping[str, str], database_url: str | None, database: Mapping[Role, str]
) -> str | None:
    if fill.role in database:
        return database[fill.role]
    plain: dict[Role, str | None] = {
        Role.OFF: "False",
        Role.ZERO: "0",
        Role.SECRET: generated.get(fill.key) or generated.get("SECRET_KEY"),
        Role.HOSTS: ",".join(place.hosts),
        Role.HOSTS_SPACED: " ".join(place.hosts),
        Role.HOST: place.hosts[0] if place.hosts else "localhost",
        Role.ORIGINS: ",".join(place.origins),
        Role.ORIGINS_SPACED: " ".join(place.origins),
        Role.URL: place.url,
        Role.DATABASE_URL: database_url,
        Role.REDIS: REDIS,
    }
    return plain[fill.role]
