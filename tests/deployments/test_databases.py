"""What people ask of a deployment's database, from the page to the host and back."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from tests.deployments.test_pipeline import DJANGO_FILES
from tests.support.inline import Inline
from tests.support.machine import QUIET
from tests.support.pages import browser, live

from apps.core.access import Actor
from apps.core.errors import Conflict, Forbidden, Invalid, Missing
from apps.core.models import AuditRecord, Host, Membership, Role
from apps.databases import uploads
from apps.databases.models import Database
from apps.deployments import database_lane
from apps.deployments.actions import databases
from apps.deployments.models import Deployment, Errand, State, Variable, Wish, WorkState
from apps.deployments.worker import Worker
from webops_host.database_values import PIECE
from webops_host.errors import CommandFailed, HostUnreachable
from webops_host.names import DeploymentName, DumpId

OLD = "postgres://wo_blog__1:pw1@/wo_blog?host=/run/postgresql"
NEW = "postgres://wo_blog__2:pw2@/wo_blog?host=/run/postgresql"


@pytest.fixture
def actor(mate) -> Actor:
    return Actor(mate)


@pytest.fixture
def stored(blog, host) -> Deployment:
    """A live deployment with a database of three rows."""
    release = live(blog, host)
    host.database_urls[blog.slug] = OLD
    blog.database = Database.objects.create(team=blog.team, host=blog.host, name="blog", engine="postgres", url=OLD)
    blog.save()
    release.commit = host.push(DJANGO_FILES)
    release.variables = json.dumps({"DATABASE_URL": OLD, "DB_USER": "wo_blog__1", "DB_PASSWORD": "pw1", "MODE": "x"})
    release.save()
    return blog


def work(host) -> None:
    Worker(connect=lambda row: host, executor=Inline()).work_once()


def ended(errand: Errand, state: WorkState = WorkState.DONE) -> str:
    errand.refresh_from_db()
    assert errand.state == state, errand.outcome
    return errand.outcome


def other(stored: Deployment, name: str = "shop", *, url: str = "postgres://x@/wo_shop") -> Deployment:
    made = Deployment.objects.create(team=stored.team, host=stored.host, name=name)
    made.database = Database.objects.create(team=stored.team, host=stored.host, name=name, engine="postgres", url=url)
    made.save()
    return made


# --- a new password ---


def test_a_rotation_brings_the_new_password_to_everything_before_the_old_one_ends(stored, host, actor):
    Variable.objects.create(deployment=stored, key="BACKEND", value=f"db+{OLD}")
    errand = databases.rotate(actor, stored)
    host.on["databases.retire"] = lambda values: seen.append(stored.releases.get(number=2).state)
    seen: list[str] = []
    work(host)
    assert "Release 2 brings it" in ended(errand)
    first, second = stored.releases.get(number=1), stored.releases.get(number=2)
    assert (first.state, second.state) == (State.RETIRED, State.LIVE), second.cause
    assert second.ref == first.commit
    assert json.loads(second.variables)["DATABASE_URL"] == NEW
    assert json.loads(first.variables) == {
        "DATABASE_URL": NEW, "DB_USER": "wo_blog__2", "DB_PASSWORD": "pw2", "MODE": "x",
    }  # fmt: skip
    assert stored.variables.get(key="BACKEND").value == f"db+{NEW}"
    assert seen == [State.LIVE]
    row = Database.objects.get(name="blog")
    assert (row.url, row.old_url) == (NEW, "")


def test_the_old_password_stays_while_the_release_with_the_new_one_fails(stored, host, actor):
    host.breaks["processes.ready"] = CommandFailed("It does not start.")
    errand = databases.rotate(actor, stored)
    work(host)
    ended(errand)
    assert stored.releases.get(number=2).state == State.FAILED
    assert Database.objects.get(name="blog").old_url == OLD
    assert "databases.retire blog" not in host.did
    del host.breaks["processes.ready"]
    assert "Release 3 brings it" in rotated_again(stored, host, actor)
    assert Database.objects.get(name="blog").old_url == ""
    assert host.database_urls[stored.slug] == NEW


def rotated_again(stored: Deployment, host, actor: Actor) -> str:
    errand = databases.rotate(actor, stored)
    work(host)
    return ended(errand)


def test_what_is_stopped_gets_the_new_password_at_once(stored, host, actor):
    Deployment.objects.filter(pk=stored.pk).update(wish=Wish.STOPPED)
    errand = databases.rotate(actor, stored)
    work(host)
    assert "nothing ran with the old one" in ended(errand)
    assert stored.releases.count() == 1
    assert "pw2" in (stored.releases.get().variables or "")
    assert "databases.retire blog" in host.did


# --- dumps ---


def test_a_dump_is_made_restored_and_removed(stored, host, owner):
    actor, name = Actor(owner), stored.slug
    assert "3 rows in 1 table" in done(host, databases.dump(actor, stored))
    (dump,) = host.databases.dumps(name)
    host.databases_here.all[name].rows = 10
    assert "the database before is kept" in done(host, databases.restore(actor, stored, dump.id))
    assert host.databases_here.all[name].rows == 3
    done(host, databases.revert(actor, stored))
    assert host.databases_here.all[name].rows == 10
    done(host, databases.restore(actor, stored, dump.id))
    done(host, databases.confirm(actor, stored))
    assert host.databases.facts(name).kept_since == 0
    assert Database.objects.get(name="blog").generation == 3, "what is in it was replaced so often"
    done(host, databases.discard(actor, stored, dump.id))
    assert host.databases.dumps(name) == ()
    assert list(AuditRecord.objects.values_list("action", flat=True)) == [
        "database.dump", "database.restore", "database.revert", "database.restore", "database.confirm",
        "database.discard",
    ]  # fmt: skip


def done(host, errand: Errand) -> str:
    work(host)
    return ended(errand)


def test_rel_15_a_dump_that_fails_is_said_to_have_failed_and_why(stored, host, actor):
    host.breaks["databases.dump"] = CommandFailed("The dump is damaged.", hint="Make a new dump.")
    errand = databases.dump(actor, stored)
    work(host)
    assert ended(errand, WorkState.FAILED) == "The dump is damaged."
    page = browser(actor.user).get("/deployments/blog/database/").content.decode()
    assert "The dump is damaged." in page
    assert "Make a new dump." in page


def test_several_dumps_may_be_removed_at_once(stored, host, owner):
    for _ in range(2):
        host.databases.dump(stored.slug, QUIET)
    for dump in host.databases.dumps(stored.slug):
        databases.discard(Actor(owner), stored, dump.id)
    work(host)
    assert host.databases.dumps(stored.slug) == ()


def test_an_upload_goes_to_the_host_in_pieces_and_its_file_is_gone(stored, host, actor):
    content = b"PGDMP" + b"7" * (2 * PIECE)
    errand = databases.upload(actor, stored, [content[:100], content[100:]])
    assert ended_with(host, errand).startswith("Taken over")
    (dump,) = host.databases.dumps(stored.slug)
    assert dump.bytes == len(content)
    assert list(uploads.path(dump.id).parent.iterdir()) == []


def ended_with(host, errand: Errand) -> str:
    work(host)
    return ended(errand)


def test_an_upload_stays_while_the_host_is_away_and_goes_when_it_is_none(stored, host, actor):
    host.breaks["databases.accept"] = HostUnreachable("The host's daemon is not running.")
    errand = databases.upload(actor, stored, [b"PGDMP1"])
    work(host)
    ended(errand, WorkState.FAILED)
    file = uploads.path(DumpId(errand.arguments["dump"]))
    assert file.is_file()
    del host.breaks["databases.accept"]
    errand = databases.upload(actor, stored, [b"hello"])
    work(host)
    assert "no dump of PostgreSQL" in ended(errand, WorkState.FAILED)
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize(("chunks", "said"), [([], "empty"), ([b"x"] * 3, "larger")])
def test_rel_15_an_upload_that_is_empty_or_too_large_is_refused_and_not_kept(stored, actor, monkeypatch, chunks, said):
    monkeypatch.setattr(uploads, "LARGEST_MIB", 0 if chunks else 1)
    with pytest.raises(Invalid) as caught:
        databases.upload(actor, stored, chunks)
    assert said in caught.value.fields["file"][0]
    assert list(uploads.path(DumpId("20260131T235959Z-0a1b")).parent.iterdir()) == []
    assert not stored.errands.exists()


# --- clones ---


def test_a_clone_gives_a_deployment_without_a_database_one(stored, host, actor):
    staging = Deployment.objects.create(team=stored.team, host=stored.host, name="staging")
    assert "3 rows" in done(host, databases.clone(actor, staging, stored.database))
    staging.refresh_from_db()
    assert staging.database.name == "staging"
    assert host.databases_here.all[DeploymentName("staging")].rows == 3


def test_az_03_nobody_clones_what_they_may_not_read(stored, host, actor, viewer, stranger):
    shop = other(stored)
    with pytest.raises(Forbidden):
        databases.clone(Actor(viewer), shop, stored.database)
    theirs = Deployment.objects.create(team=stranger.memberships.get().team, host=stored.host, name="theirs")
    with pytest.raises(Missing):
        databases.clone(Actor(stranger), theirs, stored.database)
    with pytest.raises(Invalid):
        databases.clone(actor, stored, stored.database)
    away = Host.objects.create(name="away", kind="linux")
    Deployment.objects.filter(pk=shop.pk).update(host=away)
    shop.refresh_from_db()
    with pytest.raises(Conflict):
        databases.clone(actor, shop, stored.database)


def test_az_05_a_clone_of_somebody_who_may_not_read_the_source_any_more_is_refused(stored, host, actor, stranger):
    """The right to the target is still there, that to the source is not."""
    theirs = stranger.memberships.get().team
    Membership.objects.create(team=theirs, user=actor.user, role=Role.DEVELOPER)
    target = Deployment.objects.create(team=theirs, host=stored.host, name="theirs")
    errand = databases.clone(actor, target, stored.database)
    Membership.objects.filter(team=stored.team, user=actor.user).update(role=Role.VIEWER)
    work(host)
    assert "may not be read" in ended(errand, WorkState.FAILED)
    assert not any("clone" in line for line in host.did)


# --- the page ---


def test_the_page_says_what_there_is_and_a_download_is_noted(stored, host, actor):
    host.databases.dump(stored.slug, QUIET)
    (dump,) = host.databases.dumps(stored.slug)
    client = browser(actor.user)
    page = client.get("/deployments/blog/database/").content.decode()
    for text in ("PostgreSQL 15.0", "1 of 20", "3 rows in 1 table", dump.id, "Dump now"):
        assert text in page
    assert "pw1" not in page
    answer = client.get(f"/deployments/blog/database/dumps/{dump.id}/")
    assert b"".join(answer.streaming_content) == b"PGDMP3"
    assert answer["Content-Disposition"] == f'attachment; filename="blog-{dump.id}.dump"'
    assert AuditRecord.objects.get().action == "database.download"
    assert client.get("/deployments/blog/database/dumps/20990101T000000Z-0000/").status_code == 404


def test_a_file_is_uploaded_and_another_database_chosen_on_the_page(stored, host, actor):
    shop, client = other(stored), browser(actor.user)
    file = SimpleUploadedFile("x.dump", b"PGDMP5")
    assert client.post("/deployments/shop/database/upload/", {"file": file}).status_code == 302
    assert "No file was submitted" not in client.post("/deployments/blog/database/dump/").content.decode()
    assert client.post("/deployments/shop/database/upload/", {}).status_code == 400
    answer = client.post("/deployments/shop/database/clone/", {"source": stored.database.pk})
    assert answer.status_code == 302
    assert client.post("/deployments/shop/database/clone/", {"source": 99999}).status_code == 400
    kinds = set(shop.errands.values_list("kind", flat=True))
    assert kinds == {"take over", "clone"}


def test_a_page_without_an_answering_host_says_so(stored, host, actor):
    host.breaks["databases.facts"] = HostUnreachable("The host's daemon is not running.", hint="Start it.")
    page = browser(actor.user).get("/deployments/blog/database/").content.decode()
    assert "daemon is not running" in page


def test_a_deployment_without_a_database_says_that_it_will_have_one(blog, host, actor):
    page = browser(actor.user).get("/deployments/blog/database/").content.decode()
    assert "gets one with its first release" in page
    with pytest.raises(Conflict):
        databases.dump(actor, blog)


# --- what is kept does not stay for ever ---


def test_what_a_restore_put_aside_goes_after_a_week(stored, host, actor):
    host.databases.dump(stored.slug, QUIET)
    done(host, databases.restore(actor, stored, host.databases.dumps(stored.slug)[0].id))
    assert host.databases.facts(stored.slug).kept_since > 0
    said = database_lane.tidy(stored.host, host, lambda: False)  # the fake's clock stands in 2023
    assert said == "Removed what was kept of blog."
    assert host.databases.facts(stored.slug).kept_since == 0
    assert database_lane.tidy(stored.host, host, lambda: False) == "Nothing was kept for too long."
