"""Machines for the tests of the host. Each test has its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.machine import BLOG, Embedded, Fake, embedded


@pytest.fixture
def real(tmp_path) -> Iterator[Embedded]:
    """The embedded host behind its socket, with a place for the blog and for releases 1 and 2."""
    with embedded(tmp_path / "root") as machine:
        machine.host.accounts.ensure(BLOG)
        for release in (1, 2):
            machine.lay(BLOG, release, {})
        yield machine


@pytest.fixture(params=["fake", "embedded"])
def machine(request) -> Fake | Embedded:
    """Every host in turn: what is promised of one is promised of all."""
    return Fake() if request.param == "fake" else request.getfixturevalue("real")
