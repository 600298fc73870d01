"""Which variables a deployment needs, who fills them, and what is asked of the person."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from apps.deployments import dotenv
from apps.deployments.detect.environ import Use
from apps.deployments.plan import Fill, Role, Wanted
from apps.deployments.tree import Tree, line_of
from webops_host.errors import BadValue
from webops_host.names import PersonKey, VariableKey

EXAMPLES = (
    ".env*example*",
    ".env*sample*",
    ".env*dist*",
    ".env*template*",
    "env*example*",
    "env*sample*",
    "example*.env",
    "sample*.env",
)
_SECRET = re.compile(r"SECRET|PASSW|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE|CREDENTIAL|_KEY$|_PASS$|_PWD$|_DSN$|SALT")
_SECRET_KEY = re.compile(
    r"(^|_)SECRET_?KEY(_BASE)?$|^(DJANGO|APP|JWT|SESSION|HASHID\w*)_(SECRET|SALT|KEY)$|^SECRET$|ENCRYPTION_KEY$|^SIGNING_KEY$"
)
_OTHERS_SECRET = re.compile(
    r"AWS|STRIPE|GOOGLE|GITHUB|FACEBOOK|TWITTER|RECAPTCHA|CAPTCHA|PAYPAL|RAZORPAY|TWILIO|CLOUDINARY|OAUTH|AUTH0|LINKEDIN|S3_|MAIL"
)
_DB = r"(?:DJANGO_|APP_|PROD_)?(?:DB|DATABASE|POSTGRES|POSTGRESQL|PG|SQL|RDS|MYSQL|PSQL)_?(?:DEFAULT_)?"
_ROLES: tuple[tuple[str, Role], ...] = (
    (r"(DJANGO_|APP_|WEB_)?DEBUG(_MODE)?", Role.OFF),
    (r"(\w+_)?ALLOWED_HOSTS?|(DJANGO_|APP_)HOSTS|DOMAINS", Role.HOSTS),
    (r"(\w+_)?(CSRF_)?TRUSTED_ORIGINS?|CORS_(ALLOWED_ORIGINS|ORIGIN_WHITELIST)", Role.ORIGINS),
    (r"SITE_URL|BASE_URL|APP_URL|WEBSITE_URL|WAGTAILADMIN_BASE_URL"
     r"|SERVER_URL|PUBLIC_URL|HOST_URL|BACKEND_URL|FRONTEND_URL|ROOT_URL", Role.URL),
    (r"(SITE_|PRIMARY_|APP_|DJANGO_)?(HOST_?NAME|PRIMARY_HOST|DOMAIN|DOMAIN_NAME|SITE_DOMAIN)", Role.HOST),
    (r"(DJANGO_|DEFAULT_)?DATABASE_UR[LI]|DB_URL|POSTGRES(QL)?_URL|SQLALCHEMY_DATABASE_URI", Role.DATABASE_URL),
    (_DB + r"ENGINE", Role.DATABASE_ENGINE),
    (_DB + r"(NAME|DB|DATABASE|DB_NAME|DATABASE_NAME)", Role.DATABASE_NAME),
    (_DB + r"(USER|USERNAME|USER_NAME)", Role.DATABASE_USER),
    (_DB + r"(PASSWORD|PASS|PWD|PASSWD|USER_PASSWORD)", Role.DATABASE_PASSWORD),
    (_DB + r"(HOST|HOSTNAME|SERVER|SERVICE)", Role.DATABASE_HOST),
    (_DB + r"PORT", Role.DATABASE_PORT),
    (r"(\w+_)?REDIS(CLOUD|TOGO|GREEN)?_(TLS_)?(URL|LOCATION)"
     r"|(\w+_)?(BROKER|RESULT_BACKEND)(_URL)?|CLOUDAMQP_URL|RABBITMQ_URL", Role.REDIS),
)  # fmt: skip
_SET_ANYWAY = re.compile(
    r"PORT|HOME|PATH|USER|LANG|TZ|PWD|SHELL|TERM|DJANGO_SETTINGS_MODULE|PYTHON\w*|WEB_CONCURRENCY|DYNO|CI|TRAVIS|GITHUB_(ACTIONS|WORKSPACE)"
    r"|VIRTUAL_ENV|XDG_\w*|DISABLE_COLLECTSTATIC|WEBOPS_\w*|HEROKU_\w*|RENDER(_\w*)?|FLY_\w*|VERCEL\w*|RAILWAY_\w*|GAE_\w*|WEBSITE_HOSTNAME"
    r"|RUN_MAIN|GIT_\w*|DOCKER\w*|COMPOSE_\w*|HOSTNAME|TEMP|TMPDIR|KUBERNETES_\w*|AWS_LAMBDA_\w*|DATABASE_CONN_MAX_AGE"
)


@dataclass(frozen=True, slots=True)
class Needs:
    """`fills` come from the platform, `wanted` from the person."""

    fills: tuple[Fill, ...] = ()
    wanted: tuple[Wanted, ...] = ()

    @property
    def unmet(self) -> tuple[Wanted, ...]:
        """Required ones that nobody can make up."""
        return tuple(w for w in self.wanted if w.required and not w.generate)


def role_of(use: Use) -> Role | None:
    """What the platform can fill the variable with, or None when only a person knows."""
    role = next((role for pattern, role in _ROLES if re.fullmatch(pattern, use.key)), None)
    if role is Role.OFF and use.number:
        return Role.ZERO
    if role in (Role.HOSTS, Role.ORIGINS) and use.separator == " ":
        return Role.HOSTS_SPACED if role is Role.HOSTS else Role.ORIGINS_SPACED
    if role is Role.DATABASE_ENGINE and use.short:
        return Role.DATABASE_ENGINE_SHORT
    return Role.SECRET if role is None and is_generated(use.key) else role


def is_generated(key: str) -> bool:
    """A secret that only this project knows: any long random text will do."""
    return bool(_SECRET_KEY.search(key)) and not _OTHERS_SECRET.search(key)


def is_secret(key: str) -> bool:
    return bool(_SECRET.search(key)) and not key.endswith(("_PUBLIC_KEY", "_PUBLISHABLE_KEY", "_URL_KEY"))


def needs(uses: Iterable[Use], central: frozenset[str], examples: Mapping[str, tuple[str, str]]) -> Needs:
    """`central` are the files that every start reads: only there is a variable without default required."""
    fills: dict[str, Fill] = {}
    wanted: dict[str, Wanted] = {}
    for use in uses:
        if _SET_ANYWAY.fullmatch(use.key) or not _valid(use.key):
            continue
        needed = use.needed and use.where.rsplit(":", 1)[0] in central
        role = role_of(use)
        if role is not None and (role is not Role.REDIS or needed):
            old = fills.get(use.key)
            keep = old is not None and old.role in (Role.ZERO, Role.HOSTS_SPACED, Role.ORIGINS_SPACED)
            fills[use.key] = old if keep and old else Fill(VariableKey(use.key), role, use.where)
            continue
        entry = _wanted(use, needed, examples)
        before = wanted.get(use.key)
        wanted[use.key] = replace(before, required=True, where=entry.where) if before and needed else before or entry
    for key, (value, where) in examples.items():
        known = key in fills or key in wanted or _SET_ANYWAY.fullmatch(key) or role_of(Use(key, where)) is not None
        if not known and _valid(key):
            wanted[key] = Wanted(
                VariableKey(key),
                "named in the example file",
                secret=is_secret(key),
                default="" if is_secret(key) else value,
                where=where,
            )
    ranked = sorted(wanted.values(), key=lambda w: (not w.required, w.key))
    return Needs(tuple(fills.values()), tuple(ranked))


def _wanted(use: Use, needed: bool, examples: Mapping[str, tuple[str, str]]) -> Wanted:
    secret = is_secret(use.key)
    suggested = "" if secret else use.default or examples.get(use.key, ("", ""))[0]
    reason = "the settings read it and have no default" if needed else "the code reads it"
    return Wanted(VariableKey(use.key), reason, needed, secret, False, suggested, use.where)


def _valid(key: str) -> bool:
    try:
        PersonKey(key)
    except BadValue:
        return False
    return True


def examples(tree: Tree, folders: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Keys of example files, with their values and where they stand."""
    found: dict[str, tuple[str, str]] = {}
    for folder in folders:
        for path in tree.glob(*(f"{folder}/{name}" if folder else name for name in EXAMPLES)):
            text = tree.text(path)
            for key, value in dotenv.parse(text).pairs:
                found.setdefault(key, (value[:200], f"{path}:{line_of(text, key)}"))
    return found


def from_app_json(app: Mapping[str, Any], path: str, text: str) -> list[Wanted]:
    """The env of a Heroku app.json: required unless it says otherwise or has a value; `generator: secret` is made."""
    found = []
    env = app.get("env")
    for key, spec in env.items() if isinstance(env, dict) else ():
        if not isinstance(key, str) or not _valid(key) or _SET_ANYWAY.fullmatch(key):
            continue
        options = spec if isinstance(spec, dict) else {"value": spec}
        value = options.get("value")
        generate = options.get("generator") == "secret" or is_generated(key)
        plain = role_of(Use(key, path)) is None or generate
        required = options.get("required", True) is not False and value is None and not generate
        reason = str(options.get("description") or "app.json asks for it")[:200]
        if plain:
            found.append(
                Wanted(
                    VariableKey(key),
                    reason,
                    required,
                    generate or is_secret(key),
                    generate,
                    "" if value is None else str(value)[:200],
                    f"{path}:{line_of(text, key)}",
                )
            )
    return found


def with_app_json(needs: Needs, asked: Iterable[Wanted], given: set[str]) -> Needs:
    """Needs with what app.json says about them: its words, its generated secrets. What the contract sets is met."""
    merged = {w.key: w for w in needs.wanted}
    filled = {fill.key for fill in needs.fills}
    for entry in asked:
        before = merged.get(entry.key)
        if entry.key not in filled:
            merged[entry.key] = replace(
                entry, required=entry.required or bool(before and before.required and not entry.default)
            )
    wanted = sorted((w for w in merged.values() if w.key not in given), key=lambda w: (not w.required, w.key))
    return Needs(tuple(f for f in needs.fills if f.key not in given), tuple(wanted))
