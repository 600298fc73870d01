"""Every kind of failure, produced for real on the embedded host, is explained: cause, evidence, what to do."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.journeys.broken import BROKEN, DJANGO, Broken
from tests.support.embedded import embedded
from tests.support.git_server import GitServer as Server
from tests.support.inline import Inline

from apps.core import hosts
from apps.core.access import Actor
from apps.core.models import GitServer, Host, Team, User
from apps.deployments import actions
from apps.deployments.models import Deployment, Release, State
from apps.deployments.worker import Worker
from webops_host.ports import Host as Machine

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Iterator[Machine]:
    with embedded(tmp_path_factory.mktemp("host")) as machine:
        yield machine


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("git")) as server:
        yield server


@pytest.fixture
def deploy(machine: Machine, server: Server, team: Team, owner: User):
    """Deploy a repository as its owner would; returns the release at its end."""
    Host.objects.get_or_create(name="local", defaults={"kind": "embedded"})
    GitServer.objects.create(team=team, name="localhost", port=server.port, private=True, ca_pem=server.ca_pem)
    actor, made = Actor(owner), []

    def run(name: str, files: dict[str, str | bytes] | None, **wanted: str) -> Release:
        if files is not None:
            server.repository(f"team/{name}", files)
        asked = {"repository": server.url(f"team/{name}"), **wanted}
        deployment = actions.deployments.create(actor, team, actions.deployments.Wanted(name=name, **asked))
        made.append(deployment)
        release = actions.releases.deploy(actor, deployment)
        Worker(executor=Inline()).work_once()
        release.refresh_from_db()
        return release

    with hosts.using(lambda row: machine):
        yield run
        for deployment in made:
            machine.accounts.remove(deployment.slug)


def told(release: Release) -> str:
    return "\n".join([release.cause, *release.evidence, release.hint])


def test_the_healthy_sample_goes_live(deploy):
    release = deploy("healthy", DJANGO)
    assert release.state == State.LIVE, told(release)


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_rel_08_it_is_explained(broken: Broken, deploy, machine):
    name = f"broken-{list(BROKEN.values()).index(broken)}"
    release = deploy(name, dict(broken.files))

    assert release.state == State.FAILED
    assert release.failure == broken.kind, told(release)
    assert release.cause
    assert release.hint, "a failure says what to do next"
    for word in broken.words:
        assert word.lower() in told(release).lower()
    assert machine.processes.status(release.deployment.slug) == ()
    assert machine.sites.address(release.deployment.slug) is None


def test_a_branch_that_does_not_exist(deploy):
    release = deploy("no-branch", {"index.html": "hi"}, ref="release-9")
    assert release.failure == "branch_not_found", told(release)
    assert "release-9" in told(release)


def test_a_repository_that_does_not_exist(deploy):
    release = deploy("no-repository", None)
    assert release.failure == "repository_not_found", told(release)


def test_a_repository_that_refuses_the_token(deploy, server):
    server.repository("team/private", {"index.html": "hi"})
    server.token = ("x-access-token", "right-token-canary")
    try:
        release = deploy("private", None, token="wrong-token-canary")
    finally:
        server.token = None
    assert release.failure == "credentials_refused", told(release)
    assert "wrong-token-canary" not in told(release)


def test_a_repository_that_is_too_large(deploy, settings):
    settings.ENV = replace(settings.ENV, fetch_limit_mib=1)
    noise = random.Random(1).randbytes(3_000_000)
    release = deploy("too-large", {"index.html": "hi", "noise.bin": noise})
    assert release.failure == "repository_too_large", told(release)


def test_rel_20_a_git_server_that_hangs(deploy, server, settings):
    settings.ENV = replace(settings.ENV, fetch_timeout=2)
    server.repository("team/slow", {"index.html": "hi"})
    server.hang = True
    try:
        release = deploy("slow", None)
    finally:
        server.hang = False
    assert release.failure == "fetch_too_slow", told(release)


def test_a_disk_below_the_floor(deploy, settings):
    settings.ENV = replace(settings.ENV, disk_floor_mib=1 << 30)
    release = deploy("no-room", {"index.html": "hi"})
    assert release.failure == "disk_full", told(release)


def test_a_git_server_with_an_unknown_certificate(deploy, team):
    GitServer.objects.filter(team=team).update(ca_pem="")
    release = deploy("no-trust", {"index.html": "hi"})
    assert release.failure == "git_server_certificate", told(release)


def test_there_are_at_least_25_kinds():
    assert len({broken.kind for broken in BROKEN.values()}) + 7 >= 25


def test_the_log_of_a_failure_is_kept(deploy):
    release = deploy("kept-log", {"README.md": "# Hello\n"})
    assert Deployment.objects.get(name="kept-log").releases.get(pk=release.pk).tail.count() > 0
