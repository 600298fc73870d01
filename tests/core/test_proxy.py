"""AUTH-03: the client's address is what our own proxy saw, and nothing that anybody wrote into a header."""

from __future__ import annotations

import asyncio

import pytest

from apps.core.proxy import BehindProxy, seen_through

PEER = ("203.0.113.9", 40000)


def request(client, *headers: tuple[str, str]) -> dict:
    named = [(name.lower().encode(), value.encode()) for name, value in headers]
    return {"type": "http", "client": client, "headers": [(b"host", b"panel"), *named]}


def test_auth_03_behind_the_proxy_its_word_is_the_address():
    seen = seen_through(request(None, ("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https")))
    assert seen["client"] == ("198.51.100.7", 0)
    assert (b"x-forwarded-proto", b"https") in seen["headers"]


@pytest.mark.parametrize(
    "said",
    [
        [("X-Forwarded-For", "10.0.0.1, 198.51.100.7")],
        [("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-For", "198.51.100.7")],
        [("X-Forwarded-For", "198.51.100.7"), ("X_Forwarded_For", "10.0.0.1"), ("CF-Connecting-IP", "10.0.0.2")],
        [("X-Real-IP", "10.0.0.1"), ("Forwarded", "for=10.0.0.1"), ("X-Forwarded-For", " 198.51.100.7 ")],
    ],
    ids=["a list", "twice", "underscores", "other names"],
)
def test_auth_03_what_a_client_adds_changes_nothing(said):
    assert seen_through(request(None, *said))["client"] == ("198.51.100.7", 0)


@pytest.mark.parametrize("text", ["", "nobody", "198.51.100.7:80", "198.51.100.7,", "999.1.1.1", "a\u00e9"])
def test_auth_03_what_is_no_address_is_nobody(text):
    assert seen_through(request(None, ("X-Forwarded-For", text)))["client"] is None


def test_auth_03_who_comes_by_address_can_not_say_otherwise():
    seen = seen_through(request(PEER, ("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-Proto", "https")))
    assert seen["client"] == PEER
    assert seen["headers"] == [(b"host", b"panel")]


def test_an_ipv6_address_has_one_spelling():
    assert seen_through(request(None, ("X-Forwarded-For", "2001:DB8::0:1")))["client"] == ("2001:db8::1", 0)


def test_only_requests_are_looked_at():
    told = []

    async def application(scope, receive, send) -> None:
        told.append(scope)

    asyncio.run(BehindProxy(application)({"type": "lifespan"}, None, None))
    asyncio.run(BehindProxy(application)(request(None, ("X-Forwarded-For", "198.51.100.7")), None, None))
    assert [scope.get("client") for scope in told] == [None, ("198.51.100.7", 0)]
