"""One Chromium, one platform and one Git server for all tests of pages in a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.support.browsing import Person, person
from tests.support.git_server import GitServer
from tests.support.platform import Platform

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
]
Visit = Callable[..., AbstractContextManager[Person]]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        assert os.environ.get("CI") != "true", "Chromium is missing"
        pytest.skip("Chromium is not installed: `make setup` says how to get it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory) -> Iterator[GitServer]:
    with GitServer(tmp_path_factory.mktemp("git")) as server:
        yield server


@pytest.fixture(scope="package")
def platform(tmp_path_factory, server) -> Iterator[Platform]:
    with Platform(tmp_path_factory.mktemp("platform")) as platform:
        platform.allow(server)
        yield platform


@pytest.fixture(scope="package")
def session(chromium: Browser, platform: Platform) -> Any:
    """The cookies of somebody who is signed in."""
    with person(chromium, platform) as somebody:
        somebody.sign_in()
        return somebody.context.storage_state()


@pytest.fixture
def visitor(chromium: Browser, platform: Platform) -> Visit:
    """Somebody who is not signed in."""
    return partial(person, chromium, platform)


@pytest.fixture
def visit(chromium: Browser, platform: Platform, session: Any) -> Visit:
    """Somebody who is signed in."""
    return partial(person, chromium, platform, storage_state=session)
