"""AZ-01: every operation of the API × method × (anonymous, stranger, roles, token scopes) against one declared table.

An operation that is not in the table fails; so does a row that no operation has any more.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction
from tests.api import stories
from tests.conftest import member
from tests.support.certificates import pair

from apps.api.urls import api
from apps.core.clock import now
from apps.core.models import GitServer, Role
from apps.deployments.models import Deployment

ROLES = ("owner", "admin", "developer", "viewer")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE")
WHO = ("anonymous", "stranger", *ROLES, "owner:read", "owner:deploy", "owner:write")

# Who may: the smallest role and the smallest scope, the status when allowed, and the status for a stranger (whose own
# team is not concerned: lists are empty for them, objects are missing).
READ, SHIP, SECRETS, CONFIGURE, DELETE, ADMINISTER, OWN = (
    ({"viewer", "developer", "admin", "owner"}, {"read", "deploy", "write"}),
    ({"developer", "admin", "owner"}, {"deploy", "write"}),
    ({"developer", "admin", "owner"}, {"write"}),
    ({"developer", "admin", "owner"}, {"write"}),
    ({"admin", "owner"}, set()),
    ({"admin", "owner"}, set()),
    ({"viewer", "developer", "admin", "owner"}, set()),
)
PAIR = pair("www.example.com")
TABLE: dict[tuple[str, str], tuple[Any, int, int, Any]] = {
    # (method, path template): (who, status when allowed, status for the stranger, body or query)
    ("GET", "me"): (READ, 200, 200, None),
    ("DELETE", "session"): (READ, 204, 204, None),
    ("GET", "tokens"): (READ, 200, 200, None),
    ("POST", "tokens"): (OWN, 201, 201, {"name": "ci", "scope": "read"}),
    ("DELETE", "tokens/{token_id}"): (OWN, 204, 404, None),
    ("GET", "databases"): (READ, 200, 200, None),
    ("GET", "databases/{name}"): (READ, 200, 404, None),
    ("POST", "databases/{name}/rotate"): (CONFIGURE, 202, 404, None),
    ("POST", "databases/{name}/dumps"): (SHIP, 202, 404, None),
    ("POST", "databases/{name}/uploads"): (CONFIGURE, 202, 404, {"any": "bytes"}),
    ("GET", "databases/{name}/dumps/{dump}"): (SECRETS, 200, 404, None),
    ("DELETE", "databases/{name}/dumps/{dump}"): (DELETE, 202, 404, None),
    ("POST", "databases/{name}/restore"): (CONFIGURE, 202, 404, {"dump": stories.DUMP}),
    ("POST", "databases/{name}/clone"): (CONFIGURE, 202, 404, {"source": "shop"}),
    ("POST", "databases/{name}/revert"): (CONFIGURE, 202, 404, None),
    ("POST", "databases/{name}/confirm"): (DELETE, 202, 404, None),
    ("GET", "databases/{name}/errands/{errand_id}"): (READ, 200, 404, None),
    ("GET", "git-servers"): (READ, 200, 200, None),
    ("POST", "git-servers"): (ADMINISTER, 201, 404, {"name": "git.example.com", "team": "acme"}),
    ("DELETE", "git-servers/{server_id}"): (ADMINISTER, 204, 404, None),
    ("GET", "deployments"): (READ, 200, 200, None),
    ("POST", "deployments"): (
        CONFIGURE,
        201,
        404,
        {"repository": "https://github.com/acme/shop", "team": "acme", "deploy": False},
    ),
    ("GET", "deployments/{name}"): (READ, 200, 404, None),
    ("PATCH", "deployments/{name}"): (CONFIGURE, 200, 404, {"ref": "main"}),
    ("DELETE", "deployments/{name}"): (DELETE, 202, 404, "confirm=blog"),
    ("POST", "deployments/{name}/start"): (SHIP, 202, 404, None),
    ("POST", "deployments/{name}/stop"): (SHIP, 202, 404, None),
    ("POST", "deployments/{name}/restart"): (SHIP, 202, 404, None),
    ("POST", "deployments/{name}/deploy"): (SHIP, 202, 404, None),
    ("POST", "deployments/{name}/rollback"): (SHIP, 202, 404, None),
    ("POST", "deployments/{name}/cancel"): (SHIP, 202, 404, None),
    ("POST", "deployments/{name}/inspect"): (CONFIGURE, 202, 404, None),
    ("GET", "deployments/{name}/plan"): (READ, 200, 404, None),
    ("GET", "deployments/{name}/releases"): (READ, 200, 404, None),
    ("GET", "deployments/{name}/releases/{number}"): (READ, 200, 404, None),
    ("GET", "deployments/{name}/releases/{number}/log"): (READ, 200, 404, None),
    ("GET", "deployments/{name}/logs"): (READ, 200, 404, None),
    ("GET", "deployments/{name}/variables"): (READ, 200, 404, None),
    ("GET", "deployments/{name}/variables?values"): (SECRETS, 200, 404, "values=true"),
    ("PUT", "deployments/{name}/variables"): (CONFIGURE, 200, 404, {"variables": {"A": "1"}}),
    ("PATCH", "deployments/{name}/variables"): (CONFIGURE, 200, 404, {"variables": {"A": None}}),
    ("DELETE", "deployments/{name}/variables"): (CONFIGURE, 200, 404, "key=A"),
    ("GET", "deployments/{name}/domains"): (READ, 200, 404, None),
    ("POST", "deployments/{name}/domains"): (CONFIGURE, 201, 404, {"name": "shop.example.com"}),
    ("PATCH", "deployments/{name}/domains"): (CONFIGURE, 200, 404, {"one_name": True}),
    ("POST", "deployments/{name}/domains/check"): (READ, 202, 404, None),
    ("POST", "deployments/{name}/domains/{domain}/primary"): (CONFIGURE, 200, 404, None),
    ("DELETE", "deployments/{name}/domains/{domain}"): (CONFIGURE, 200, 404, None),
    ("GET", "deployments/{name}/certificate"): (READ, 200, 404, None),
    ("POST", "deployments/{name}/certificate"): (CONFIGURE, 202, 404, None),
    ("PUT", "deployments/{name}/certificate"): (CONFIGURE, 202, 404, PAIR),
    ("DELETE", "deployments/{name}/certificate"): (CONFIGURE, 202, 404, None),
    ("GET", "deployments/{name}/site"): (READ, 200, 404, None),
    ("PATCH", "deployments/{name}/site"): (CONFIGURE, 200, 404, {"maintenance": True}),
    ("PUT", "deployments/{name}/site/wall/{visitor}"): (CONFIGURE, 200, 404, {"password": "a long password"}),
    ("DELETE", "deployments/{name}/site/wall/{visitor}"): (CONFIGURE, 200, 404, None),
    ("GET", "deployments/{name}/scale"): (READ, 200, 404, None),
    ("PATCH", "deployments/{name}/scale"): (CONFIGURE, 200, 404, {"limits": {"memory_mib": 256}}),
    ("GET", "deployments/{name}/commands"): (READ, 200, 404, None),
    ("POST", "deployments/{name}/commands"): (SECRETS, 202, 404, {"command": "true"}),
    ("GET", "deployments/{name}/commands/{number}"): (READ, 200, 404, None),
    ("GET", "deployments/{name}/commands/{number}/log"): (SECRETS, 200, 404, None),
    ("POST", "deployments/{name}/commands/{number}/cancel"): (SECRETS, 202, 404, None),
    ("GET", "deployments/{name}/schedules"): (READ, 200, 404, None),
    ("POST", "deployments/{name}/variables/import"): (CONFIGURE, 200, 404, {"dotenv": "A=1\n"}),
}
SITE = {"domain": "www.example.com", "visitor": "guest"}
OPEN = {("POST", "session")}
"""Operations without a token."""


def operations() -> dict[str, set[str]]:
    schema = api.get_openapi_schema(path_prefix="")
    return {path.lstrip("/"): {method.upper() for method in made} for path, made in schema["paths"].items()}


def declared() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for method, path in [*TABLE, *OPEN]:
        found.setdefault(path.split("?")[0], set()).add(method)
    return found


def test_az_01_every_operation_is_declared():
    assert operations() == declared()


def expected(who: str, row: tuple[Any, int, int, Any]) -> int:
    (roles, scopes), allowed, for_stranger, _ = row
    if who == "anonymous":
        return 401
    if who == "stranger":
        return for_stranger
    role, _, scope = who.partition(":")
    return allowed if role in roles and (not scope or scope in scopes) else 403


@pytest.fixture
def cast(team, owner, mate, viewer, stranger):
    people = {"owner": owner, "developer": mate, "viewer": viewer, "stranger": stranger}
    return {**people, "admin": member(team, "adam", Role.ADMIN)}


@pytest.fixture
def world(blog, team, host):
    stories.went_live(blog)
    stories.went_live(blog)
    blog.releases.create(number=3, files=3)
    blog.domains.create(name="www.example.com", primary=True, proven_at=now())
    blog.commands.create(number=2, line="true")
    stories.has_database(blog, host)
    stories.has_database(Deployment.objects.create(team=team, host=blog.host, name="shop"), host)
    return GitServer.objects.create(team=team, name="git.acme.test", port=8443)


def client_of(who: str, cast, sign, anonymous):
    if who == "anonymous":
        return anonymous
    role, _, scope = who.partition(":")
    return sign(cast[role], scope or "admin")


@pytest.mark.parametrize(("method", "path"), TABLE, ids=lambda part: part)
def test_az_01_matrix(method, path, cast, world, sign, anonymous):
    row = TABLE[method, path]
    template = path.split("?")[0]
    extra = {"json": row[3]} if isinstance(row[3], dict) else {"params": row[3]}
    got = {}
    for who in WHO:
        with transaction.atomic():
            client = client_of(who, cast, sign, anonymous)
            own = cast.get(who.partition(":")[0], cast["owner"]).api_tokens.first()
            token_id = own.pk if own and who != "stranger" else 999_999
            ids = {"number": 2, "server_id": world.pk, "token_id": token_id, "dump": stories.DUMP, "errand_id": 1}
            url = template.format(name="blog", **ids, **SITE)
            got[who] = client.request(method, url, **extra).status_code
            transaction.set_rollback(True)
    assert got == {who: expected(who, row) for who in WHO}


@pytest.mark.parametrize("who", ["anonymous", "owner"])
def test_az_01_no_other_method_does_anything(who, cast, world, sign, anonymous):
    client = client_of(who, cast, sign, anonymous)
    before = list(world.team.deployments.values())
    for path, known in operations().items():
        url = path.format(name="blog", number=2, server_id=world.pk, token_id=1, dump=stories.DUMP, errand_id=1, **SITE)
        for method in set(METHODS) - known:
            assert client.request(method, url).status_code == 405, (method, path)
    assert list(world.team.deployments.values()) == before


def test_an_unknown_path_is_a_problem_document(anonymous):
    answer = anonymous.get("nothing/here")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
