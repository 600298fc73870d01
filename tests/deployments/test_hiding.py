"""SEC-02: an app that prints its own secrets: wherever a person reads its output, they are not in it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.api.conftest import token_of
from tests.deployments.test_pipeline import DJANGO_FILES
from tests.deployments.test_worker import worker
from tests.support.pages import browser

from apps.core.access import Actor
from apps.databases.models import Database
from apps.deployments import actions, hiding, logs, speaking
from apps.deployments.models import State
from webops_host.errors import NotReady
from webops_host.names import DeploymentName
from webops_host.values import LogLine

PEM = "-----BEGIN KEY-----\nMIIcanary1\nMIIcanary2\n-----END KEY-----"
CANARIES = ("sk_live_canary", "ghp_canary_token", "db-canary-pw", "MIIcanary1", "MIIcanary2", "old_canary_value")
PATHS = (
    "/deployments/blog/logs/",
    "/deployments/blog/logs/lines",
    "/deployments/blog/logs/download",
    "/api/v1/deployments/blog/logs",
    "/api/v1/deployments/blog/releases/1/log",
    "/deployments/blog/releases/1/",
    "/deployments/blog/releases/1/log",
    "/deployments/blog/releases/2/",
    "/api/v1/deployments/blog/releases/2",
)
CHATTY = [f"Starting with {canary}." for canary in CANARIES] + [
    "connecting to postgres://u:db-canary-pw@db:5432/blog",
    f"dump: {PEM.splitlines()[1]}",
    "hello",
]


@pytest.fixture
def chatty(blog, host, owner, team):
    """A live app that says everything it knows, when it is released and while it runs; then a release that fails."""
    actor = Actor(owner)
    blog.token = "ghp_canary_token"
    blog.save()
    host.push(DJANGO_FILES)
    actions.variables.set_many(actor, blog, {"STRIPE": "old_canary_value", "KEY": PEM, "STRIPE_KEY": "sk_live_canary"})
    host.database_urls[DeploymentName("blog")] = "postgres://u:db-canary-pw@db:5432/blog"
    host.prints["builds.django"] = CHATTY
    actions.releases.deploy(actor, blog)
    worker(host).work_once()
    blog.refresh_from_db()
    assert blog.live is not None
    actions.variables.set_many(actor, blog, {"STRIPE": "another value"})  # what runs still has the old one
    host.lines[blog.slug] = [LogLine(n, 1.7e9, "blog-1-web-1", text) for n, text in enumerate(CHATTY, 1)]
    host.lines[blog.slug] += [LogLine(99, 1.7e9, "blog-2-web-1", text) for text in CHATTY]
    host.breaks["processes.ready"] = NotReady("It ended: sk_live_canary.", facts={"reason": "exited", "exit": 1})
    failed = actions.releases.deploy(actor, blog)
    worker(host).work_once()
    failed.refresh_from_db()
    assert failed.state == State.FAILED
    return blog


@pytest.mark.parametrize("path", PATHS)
def test_sec_02_what_an_app_prints_is_masked_wherever_it_is_read(path, chatty, viewer):
    response = browser(viewer).get(path, HTTP_AUTHORIZATION=f"Bearer {token_of(viewer)}")
    assert response.status_code == 200
    text = response.content.decode()
    for canary in CANARIES:
        assert canary not in text


def test_sec_02_the_rest_of_a_line_is_left(chatty):
    texts = [line.text for line in speaking.lines(chatty)]
    assert texts[0] == f"Starting with {hiding.MASK}."
    assert "hello" in texts


def test_sec_02_no_file_of_a_log_holds_a_secret(chatty):
    for release in chatty.releases.all():
        text = logs.path(release.pk).read_text()
        assert "Starting with [hidden]." in text
        assert not [canary for canary in CANARIES if canary in text]
        assert not [line for line in release.tail.all() if "canary" in line.text]
        assert "canary" not in f"{release.cause} {release.hint} {release.evidence}"


def test_sec_02_a_rollback_masks_what_the_old_release_knew(chatty, host, owner):
    host.lines[chatty.slug] = [LogLine(1, 1.7e9, "blog-1-web-1", "again: old_canary_value")]
    host.breaks.clear()
    actions.releases.deploy(Actor(owner), chatty)
    worker(host).work_once()
    host.breaks["processes.ready"] = NotReady("old_canary_value", facts={"reason": "exited", "exit": 1})
    back = actions.releases.rollback(Actor(owner), chatty, number=1)
    worker(host).work_once()
    back.refresh_from_db()
    assert back.state == State.FAILED
    assert "old_canary_value" not in logs.path(back.pk).read_text() + back.cause + str(back.evidence)


def test_sec_02_the_databases_password_alone_is_masked(blog, team):
    blog.database = Database.objects.create(
        team=team, host=blog.host, name="blog", engine="postgres", url="postgres://u:p%40ss-word@h/db"
    )
    masked = hiding.of(blog)
    assert masked("password p@ss-word or p%40ss-word") == "password [hidden] or [hidden]"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=20).filter(lambda t: len(t.strip()) > 5)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=5), st.text(max_size=20))
def test_sec_02_no_value_shows_through_another(values, around):
    masked = hiding.Mask(values)(around.join(values))
    assert not [value for value in values if value in masked.replace(hiding.MASK, "\ue000")]


def test_sec_02_hiding_more_hides_no_less():
    mask = hiding.Mask(["first-secret"])
    mask.hide(["second-secret"])
    assert mask("first-secret second-secret") == "[hidden] [hidden]"
    assert hiding.Mask(["on", ""])("turned on") == "turned on"
