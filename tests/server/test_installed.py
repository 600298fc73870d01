"""The platform on a server, as each of the other files of tests finds it."""

from __future__ import annotations

import pytest
import trustme
from tests.server.installed import DOMAIN, OWNER, PANEL, Installed
from tests.server.lab.acme import NAME, Pebble
from tests.support.git_server import GitServer

pytestmark = pytest.mark.server


def test_the_owner_is_signed_in(installed: Installed) -> None:
    assert installed.call("GET", "me")["username"] == OWNER


def test_a_site_goes_from_a_git_host_to_a_visitor(installed: Installed, git_host: GitServer) -> None:
    git_host.repository("team/hello", {"index.html": "hello from a server"})
    installed.allow(git_host)
    installed.create("hello", git_host.url("team/hello"))
    assert installed.page("hello").text == "hello from a server"


def test_the_authority_of_the_tests_is_within_reach(installed: Installed, acme: Pebble, authority: trustme.CA) -> None:
    server = installed.server
    server.finds(NAME, acme.address)
    server.trusts(authority.cert_pem.bytes().decode())
    assert '"newOrder"' in server.run(("curl", "-sS", acme.directory)).stdout
    acme.points(PANEL, server.address)
    assert DOMAIN in PANEL
