"""Booted servers for tests: one lab for a session, each suite of Debian, the platform installed once for each."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests.server.lab.lab import Lab
from tests.server.lab.places import SUITES, missing

CHOSEN = tuple(os.environ.get("WEBOPS_LAB_SUITES", " ".join(SUITES)).split())


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    if lacking := missing():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no server here without {', '.join(lacking)}")
    with Lab() as made:
        yield made


@pytest.fixture(scope="session", params=CHOSEN)
def suite(request: pytest.FixtureRequest) -> str:
    return request.param
