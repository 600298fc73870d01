"""Booted servers for tests: one lab for a session, each suite of Debian, the platform installed once for each.

What a person does and what the host promises runs on every suite; what breaks things, and takes long, on the first.
$WEBOPS_LAB_SUITES names other suites, and then everything runs on each of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import trustme
from tests.server.frozen import Frozen, install_once
from tests.server.installed import Installed
from tests.server.lab.acme import Pebble
from tests.server.lab.lab import Lab, find
from tests.server.lab.places import SUITES, missing
from tests.server.lab.server import Server
from tests.server.linux_machine import OTHERS, LinuxMachine, machine_of
from tests.support.git_server import GitServer
from tests.support.machine import BLOG

BY_HAND = os.environ.get("WEBOPS_LAB_SERVER", "")
CHOSEN = (find(BY_HAND).suite,) if BY_HAND else tuple(os.environ.get("WEBOPS_LAB_SUITES", " ".join(SUITES)).split())
ON_EACH = frozenset(
    {
        "test_installed", "test_journeys", "test_host_accounts", "test_host_processes", "test_host_sites",
        "test_sites", "test_postgres", "test_privileges",
    }
)  # fmt: skip
lacking = missing()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if BY_HAND or "WEBOPS_LAB_SUITES" in os.environ:
        return
    once = [item for item in items if _suite(item) not in ("", CHOSEN[0]) and item.path.stem not in ON_EACH]
    items[:] = [item for item in items if item not in once]
    config.hook.pytest_deselected(items=once)


def _suite(item: pytest.Item) -> str:
    """The suite that a test of ours runs on; of others, none."""
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("suite", "")) if callspec is not None and "tests/server/" in item.nodeid else ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A test that was not run is not passed in silence."""
    skipped = {
        report.nodeid for report in terminalreporter.stats.get("skipped", ()) if "tests/server/" in report.nodeid
    }
    if skipped and lacking:
        terminalreporter.section(f"{len(skipped)} tests of a server SKIPPED: no {', no '.join(lacking)}", sep="!")
        for name in sorted(skipped):
            terminalreporter.line(name)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    if lacking:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no server here: no {', no '.join(lacking)}")
    with Lab() as made:
        yield made


@pytest.fixture(scope="session", params=CHOSEN)
def suite(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def bare(lab: Lab, suite: str) -> Iterator[Server]:
    """A server as its provider hands it out."""
    made = lab.server(suite)
    yield made
    made.close()


@pytest.fixture(scope="session")
def frozen(lab: Lab, suite: str) -> Frozen:
    """The state of a server on which this checkout's HEAD was installed, and its first account made."""
    return install_once(lab, suite)


@pytest.fixture(scope="module")
def installed(request: pytest.FixtureRequest, lab: Lab, suite: str) -> Iterator[Installed]:
    """A server of its own for each file of tests, with the platform on it and its owner signed in.

    With WEBOPS_LAB_SERVER it is one that stands already (`python -m tests.server.lab up …`), and is left standing.
    """
    if BY_HAND:
        made = Installed(find(BY_HAND), "")
        made.sign_in()
        yield made
        made.close()
        return
    made = request.getfixturevalue("frozen").boot(lab)
    yield made
    made.close()
    made.server.close()


@pytest.fixture(scope="module")
def linux(installed: Installed) -> Iterator[LinuxMachine]:
    """The host of an installed server, asked as its worker asks."""
    with machine_of(installed.server) as made:
        made.begin(*OTHERS)
        yield made
        made.end(BLOG, *OTHERS)


@pytest.fixture
def machine(linux: LinuxMachine) -> Iterator[LinuxMachine]:
    """The machine of the contract suite; each test finds it as new."""
    linux.begin()
    yield linux
    linux.end()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Vouches for what stands around the servers. `server.trusts(…)` makes a server believe it."""
    return trustme.CA()


@pytest.fixture(scope="module")
def git_host(lab: Lab, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A Git host, https://git.test for servers that `allow` it; each file of tests finds it empty."""
    with GitServer(tmp_path_factory.mktemp("git"), "git.test", lab.network.gateway, 443, authority) as server:
        yield server


@pytest.fixture(scope="session")
def acme(lab: Lab, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    """A certificate authority that servers reach as acme.test once they were told its address."""
    with Pebble(tmp_path_factory.mktemp("acme"), lab.network.gateway, authority) as made:
        yield made
