"""AZ-01 for pages: every route, every method, every role, against one declared table."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from django.core.handlers.base import BaseHandler
from django.db import transaction
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from tests.conftest import member
from tests.support.machine import QUIET
from tests.support.pages import browser, live, release

from apps.api.models import ApiToken
from apps.core.access import POLICY, Capability
from apps.core.clock import now
from apps.core.middleware import OPEN_PAGES
from apps.core.models import GitServer, Role, SignInLink
from apps.databases.models import Database
from apps.deployments.models import State

OPEN, SIGNED_IN, OWN = "open", "signed in", "own"
VIEW, DEPLOY, CONFIGURE = Capability.VIEW, Capability.DEPLOY, Capability.CONFIGURE
READ = {"GET": VIEW, "HEAD": VIEW}

TABLE = {
    "core:home": {"GET": SIGNED_IN, "HEAD": SIGNED_IN},
    "core:healthz": {"GET": OPEN, "HEAD": OPEN},
    "core:favicon": {"GET": OPEN, "HEAD": OPEN},
    "core:entrance": {"GET": OPEN, "HEAD": OPEN, "POST": OPEN},
    "core:account": {"GET": SIGNED_IN, "HEAD": SIGNED_IN},
    "core:team": READ,
    "core:git-servers": READ | {"POST": Capability.ADMINISTER},
    "core:forget-git-server": {"POST": Capability.ADMINISTER},
    "core:audit": READ,
    "api-pages:tokens": {"GET": SIGNED_IN, "HEAD": SIGNED_IN, "POST": SIGNED_IN},
    "api-pages:revoke": {"POST": OWN},
    "databases:list": {"GET": SIGNED_IN, "HEAD": SIGNED_IN},
    "databases:reveal": {"POST": Capability.READ_SECRETS},
    "deployments:list": {"GET": SIGNED_IN, "HEAD": SIGNED_IN},
    "deployments:new": {"GET": SIGNED_IN, "HEAD": SIGNED_IN, "POST": CONFIGURE},
    "deployments:show": READ,
    "deployments:look": READ | {"POST": DEPLOY},
    "deployments:look-again": {"POST": CONFIGURE},
    "deployments:look-events": READ,
    "deployments:look-log": READ,
    "deployments:deploy": {"POST": DEPLOY},
    "deployments:cancel": {"POST": DEPLOY},
    "deployments:power": {"POST": DEPLOY},
    "deployments:releases": READ,
    "deployments:release": READ,
    "deployments:events": READ,
    "deployments:release-log": READ,
    "deployments:rollback": READ | {"POST": DEPLOY},
    "deployments:logs": READ,
    "deployments:log-lines": READ,
    "deployments:log-download": READ,
    "deployments:variables": READ | {"POST": CONFIGURE},
    "deployments:reveal": {"POST": Capability.READ_SECRETS},
    "deployments:unset": {"POST": CONFIGURE},
    "deployments:paste": {"POST": CONFIGURE},
    "deployments:database": READ,
    "deployments:database-rotate": {"POST": CONFIGURE},
    "deployments:database-dump": {"POST": DEPLOY},
    "deployments:database-upload": {"POST": CONFIGURE},
    "deployments:database-restore": {"POST": CONFIGURE},
    "deployments:database-clone": {"POST": CONFIGURE},
    "deployments:database-revert": {"POST": CONFIGURE},
    "deployments:database-confirm": {"POST": Capability.DELETE},
    "deployments:database-discard": {"POST": Capability.DELETE},
    "deployments:database-download": {"GET": Capability.READ_SECRETS, "HEAD": Capability.READ_SECRETS},
    "deployments:processes": READ,
    "deployments:scale": {"POST": CONFIGURE},
    "deployments:domains": READ | {"POST": CONFIGURE},
    "deployments:check-domains": {"POST": VIEW},
    "deployments:redirects": {"POST": CONFIGURE},
    "deployments:remove-domain": {"POST": CONFIGURE},
    "deployments:primary-domain": {"POST": CONFIGURE},
    "deployments:issue-certificate": {"POST": CONFIGURE},
    "deployments:upload-certificate": {"POST": CONFIGURE},
    "deployments:withdraw-certificate": {"POST": CONFIGURE},
    "deployments:site": READ | {"POST": CONFIGURE},
    "deployments:let-in": {"POST": CONFIGURE},
    "deployments:shut-out": {"POST": CONFIGURE},
    "deployments:commands": READ | {"POST": Capability.READ_SECRETS},
    "deployments:run-schedule": {"POST": Capability.READ_SECRETS},
    "deployments:command": {"GET": Capability.READ_SECRETS, "HEAD": Capability.READ_SECRETS},
    "deployments:command-events": {"GET": Capability.READ_SECRETS, "HEAD": Capability.READ_SECRETS},
    "deployments:command-log": {"GET": Capability.READ_SECRETS, "HEAD": Capability.READ_SECRETS},
    "deployments:cancel-command": {"POST": Capability.READ_SECRETS},
    "deployments:settings": READ | {"POST": CONFIGURE},
    "deployments:explain": READ,
    "deployments:delete": READ | {"POST": Capability.DELETE},
}
"""Who may do what with each page. A route that is not here fails the test below."""

DUMP = {"name": "blog", "dump": "20231114T221300Z-0000"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
OF_OTHERS = ("api-1", "account_")  # the API has its own table, allauth its own tests
ELSEWHERE = frozenset({"core:home", "deployments:new"})  # a stranger reaches these, for a team of their own


def routes(patterns, namespace="") -> list[str]:
    found = []
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            found += routes(pattern.url_patterns, inner)
        elif isinstance(pattern, URLPattern):
            found.append(f"{namespace}{pattern.name}")
    return found


def test_every_route_is_declared():
    ours = {name for name in routes(get_resolver().url_patterns) if not name.startswith(OF_OTHERS)}
    assert ours == set(TABLE)


def test_every_route_without_a_sign_in_is_one_of_these():
    ours = {name for name, methods in TABLE.items() if OPEN in methods.values()}
    assert {name for name in OPEN_PAGES if not name.startswith("account_")} == ours


@pytest.fixture
def world(team, blog, host, owner, mate, viewer, stranger):
    """One of everything, and a browser for each role."""
    release(blog, None, State.READY)
    release(blog, 1, State.RETIRED)
    live(blog, host, 2)
    server = GitServer.objects.create(team=team, name="git.acme.example")
    database = Database.objects.create(team=team, host=blog.host, name="blog", engine="sqlite", url="sqlite:///x")
    blog.database = database
    blog.save(update_fields=["database"])
    host.databases.ensure(blog.slug)
    host.databases.dump(blog.slug, QUIET)
    domain = blog.domains.create(name="www.example.com", primary=True, proven_at=now())
    blog.commands.create(number=1, line="true", asked_by=owner)
    schedule = blog.schedules.create(expression="0 3 * * *", command="true")
    token = ApiToken.objects.create(user=owner, name="ci", prefix="wo_abcd", digest="d", scope="read")
    soon = now() + timedelta(hours=1)
    SignInLink.objects.create(user=owner, digest=hashlib.sha256(b"way-in").hexdigest(), expires_at=soon)
    people = {
        "anonymous": None,
        "stranger": stranger,
        Role.VIEWER: viewer,
        Role.DEVELOPER: mate,
        Role.ADMIN: member(team, "adam", Role.ADMIN),
        Role.OWNER: owner,
    }
    keys = {"core:forget-git-server": server.pk, "databases:reveal": database.pk, "api-pages:revoke": token.pk}
    keys |= dict.fromkeys(("deployments:remove-domain", "deployments:primary-domain"), domain.pk)
    keys["deployments:run-schedule"] = schedule.pk
    return {role: browser(person) for role, person in people.items()}, keys


def address(name: str, keys: dict[str, int]) -> str:
    if name in keys:
        extra = (
            {"slug": "acme"}
            if name.startswith("core:")
            else {"name": "blog"}
            if name.startswith("deployments:")
            else {}
        )
        return reverse(name, kwargs={"pk": keys[name], **extra})
    for kwargs in ({}, {"secret": "way-in"}, {"slug": "acme"}, {"name": "blog"}, {"name": "blog", "number": 1}, DUMP):
        try:
            return reverse(name, kwargs=kwargs)
        except NoReverseMatch:
            continue
    return reverse(name, kwargs={"name": "blog", "verb": "restart"})


def expected(name: str, need: str | None, role: str) -> str:
    if role == "anonymous":
        return "allowed" if name in OPEN_PAGES and need else "wrong method" if name in OPEN_PAGES else "sign in"
    if need is None:
        return "wrong method"
    if need in (OPEN, SIGNED_IN):
        return "allowed"
    if need == OWN:
        return "allowed" if role == Role.OWNER else "missing"
    if role == "stranger":
        return "allowed" if name in ELSEWHERE else "missing"
    return "allowed" if need in POLICY[Role(role)] else "forbidden"


class Caller:
    """Asks the panel as one browser would, without the notes that Django's own test client takes of each template."""

    def __init__(self) -> None:
        self._handler = BaseHandler()
        self._handler.load_middleware()
        self._factory = RequestFactory()

    def ask(self, client: Client, method: str, url: str):
        cookies = client.cookies.output(header="", attrs=[], sep=";").strip()
        request = self._factory.generic(method, url, HTTP_COOKIE=cookies)
        request._dont_enforce_csrf_checks = True  # as the test client does; the token has tests of its own
        return self._handler.get_response(request)


def outcome(response) -> str:
    if response.status_code == 302 and "/account/login/" in response["Location"]:
        return "sign in"
    return {403: "forbidden", 404: "missing", 405: "wrong method"}.get(
        response.status_code, "allowed" if response.status_code in (200, 302, 400, 409) else str(response.status_code)
    )


@pytest.mark.parametrize("name", sorted(TABLE))
def test_az_01_a_page_answers_each_method_and_role_as_declared(name, world):
    browsers, keys = world
    url = address(name, keys)
    wrong = {}
    caller = Caller()
    for method in METHODS:
        for role, client in browsers.items():
            with transaction.atomic():
                response = caller.ask(client, method, url)
                transaction.set_rollback(True)
            want = expected(name, TABLE[name].get(method), role)
            if outcome(response) != want:
                wrong[method, str(role)] = (outcome(response), want)
    assert not wrong


@pytest.mark.parametrize("name", [name for name in routes(get_resolver().url_patterns) if name.startswith("account_")])
def test_a_page_of_the_account_needs_a_sign_in_unless_it_leads_to_one(name, db):
    if name in OPEN_PAGES:
        return
    kwargs = {"key": "x"} if "confirm_email" in name else {}
    response = browser().get(reverse(name, kwargs=kwargs))
    assert outcome(response) == "sign in"
