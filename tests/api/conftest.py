"""The real panel in this process, with a client for whoever asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx2
import pytest
from django.core.wsgi import get_wsgi_application
from tests.conftest import member

from apps.api import actions
from apps.core.access import Actor
from apps.core.models import Role, Team, User

Sign = Callable[..., httpx2.Client]


def token_of(user: User, scope: str = "admin", team: Team | None = None) -> str:
    return actions.issue(Actor(user), name="test", scope=scope, team=team)[1]


@pytest.fixture(scope="session")
def transport() -> httpx2.WSGITransport:
    return httpx2.WSGITransport(app=get_wsgi_application())


@pytest.fixture
def anonymous(db, transport: httpx2.WSGITransport) -> Iterator[httpx2.Client]:
    with httpx2.Client(transport=transport, base_url="http://panel/api/v1/") as client:
        yield client


@pytest.fixture
def sign(db, transport: httpx2.WSGITransport) -> Iterator[Sign]:
    """A client with a fresh token of this person."""
    with ExitStack() as clients:

        def client(user: User, scope: str = "admin", team: Team | None = None) -> httpx2.Client:
            headers = {"Authorization": f"Bearer {token_of(user, scope, team)}"}
            made = httpx2.Client(transport=transport, base_url="http://panel/api/v1/", headers=headers)
            return clients.enter_context(made)

        yield client


@pytest.fixture
def admin(team: Team) -> User:
    return member(team, "adam", Role.ADMIN)


@pytest.fixture
def as_mate(mate: User, sign: Sign) -> httpx2.Client:
    return sign(mate)


@pytest.fixture
def as_owner(owner: User, sign: Sign) -> httpx2.Client:
    return sign(owner)


@pytest.fixture
def as_viewer(viewer: User, sign: Sign) -> httpx2.Client:
    return sign(viewer)


@pytest.fixture
def as_stranger(stranger: User, sign: Sign) -> httpx2.Client:
    return sign(stranger)
