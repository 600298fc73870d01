"""The audit log: everything is in it, nothing leaves it, and no text from outside makes a line of its own."""

from __future__ import annotations

import inspect
import logging

import pytest
from tests.deployments.test_worker import worker
from tests.support.certificates import pair
from tests.support.pages import browser, live, release

from apps.api import actions as api_actions
from apps.core import audit
from apps.core.access import Actor
from apps.core.actions import git_servers
from apps.core.lines import LineFormatter, one_line
from apps.core.models import AuditRecord, Team, Unchangeable, User
from apps.databases.models import Database
from apps.deployments.actions import (
    certificates,
    commands,
    deployments,
    domains,
    power,
    releases,
    scaling,
    site,
    variables,
)
from apps.deployments.models import Deployment, State
from webops_host.fake import FakeHost

BREAKS = "one\r\ntwo\x00\x1b[31m\u2028three\x85four"
WANTED = deployments.Wanted(repository="https://github.com/a/b", name="fresh")


def hold_back(actor: Actor, blog: Deployment) -> None:
    row = releases.deploy(actor, blog)
    actor.user.memberships.all().delete()
    releases.hold_back(row)


def draft(blog: Deployment) -> Deployment:
    """Without a live release, a domain makes no release of its own."""
    blog.releases.all().delete()
    return blog


ACTS = {
    "deployments.create": lambda a, b: deployments.create(a, b.team, WANTED),
    "deployments.change": lambda a, b: deployments.change(a, b, ref="next"),
    "deployments.remove": lambda a, b: deployments.remove(a, b, confirm="blog"),
    "certificates.issue": certificates.issue,
    "certificates.upload": lambda a, b: certificates.upload(a, b, **pair("example.com")),
    "certificates.withdraw": certificates.withdraw,
    "commands.run": lambda a, b: commands.run(a, b, "true"),
    "commands.cancel": lambda a, b: commands.cancel(a, commands.run(a, b, "true")),
    "domains.add": lambda a, b: domains.add(a, draft(b), "www.example.com"),
    "domains.remove": lambda a, b: domains.remove(a, draft(b), domains.add(a, b, "www.example.com")),
    "domains.make_primary": lambda a, b: domains.make_primary(a, b, domains.add(a, b, "www.example.com")),
    "domains.redirect": lambda a, b: domains.redirect(a, b, www="to_bare", one_name=True),
    "scaling.scale": lambda a, b: scaling.scale(a, b, limits={"memory_mib": 256}),
    "site.change": lambda a, b: site.change(a, b, maintenance=True),
    "site.let_in": lambda a, b: site.let_in(a, b, "guest", "a long password"),
    "site.shut_out": lambda a, b: site.shut_out(a, b, "guest"),
    "power.start": power.start,
    "power.stop": power.stop,
    "power.restart": power.restart,
    "releases.deploy": releases.deploy,
    "releases.follow": lambda a, b: releases.follow(a, b, trigger="scale"),
    "releases.rollback": lambda a, b: releases.rollback(a, b, number=1),
    "releases.cancel": lambda a, b: [releases.deploy(a, b), releases.cancel(a, b)],
    "releases.hold_back": hold_back,
    "variables.set_many": lambda a, b: variables.set_many(a, b, {"A": "1"}),
    "variables.unset": lambda a, b: [variables.set_many(a, b, {"A": "1"}), variables.unset(a, b, ["A"])],
    "variables.import_dotenv": lambda a, b: variables.import_dotenv(a, b, "A=1"),
    "git_servers.add": lambda a, b: git_servers.add(a, b.team, name="git.acme.test"),
    "git_servers.remove": lambda a, b: git_servers.remove(a, git_servers.add(a, b.team, name="git.acme.test")),
    "actions.issue": lambda a, b: api_actions.issue(a, name="ci", scope="read"),
    "actions.revoke": lambda a, b: api_actions.revoke(a, api_actions.issue(a, name="ci", scope="read")[0].pk),
}
LEFT = {
    "deployments.create": "deployment.create",
    "deployments.change": "deployment.change",
    "deployments.remove": "deployment.delete",
    "certificates.issue": "certificate.issue",
    "certificates.upload": "certificate.upload",
    "certificates.withdraw": "certificate.remove",
    "commands.run": "command.run",
    "commands.cancel": "command.cancel",
    "domains.add": "domain.add",
    "domains.remove": "domain.remove",
    "domains.make_primary": "domain.primary",
    "domains.redirect": "domain.redirect",
    "scaling.scale": "release.deploy",
    "site.change": "site.change",
    "site.let_in": "site.change",
    "site.shut_out": "site.change",
    "power.start": "deployment.start",
    "power.stop": "deployment.stop",
    "power.restart": "deployment.restart",
    "releases.deploy": "release.deploy",
    "releases.follow": "release.deploy",
    "releases.rollback": "release.rollback",
    "releases.cancel": "release.cancel",
    "releases.hold_back": "release.held",
    "variables.set_many": "variables.set",
    "variables.unset": "variables.unset",
    "variables.import_dotenv": "variables.set",
    "git_servers.add": "git_server.add",
    "git_servers.remove": "git_server.remove",
    "actions.issue": "token.create",
    "actions.revoke": "token.revoke",
}
"""What each action leaves in the log."""
NO_ACT = {
    "deployments.free_name",
    "domains.look",
    "releases.inspect",
    "releases.ref_now",
    "releases.refuse_before_rollback",
    "scaling.most",
    "scaling.standing",
    "site.refuse_sleep",
    "actions.sign_in",
}
"""They change nothing that anybody would ask about later; signing in has tests of its own."""


def record(target: str = "blog", **detail: object) -> AuditRecord:
    return audit.record(None, "deployment.create", team=None, target=target, **detail)


def test_ops_01_every_action_is_listed_here():
    asked = (certificates, commands, deployments, domains, power, releases, scaling, site, variables)
    modules = (*asked, git_servers, api_actions)
    public = {
        f"{module.__name__.rsplit('.', 1)[-1]}.{name}"
        for module in modules
        for name, _ in inspect.getmembers(module, inspect.isfunction)
        if name[0] != "_" and inspect.getmodule(getattr(module, name)) is module
    }
    assert public - NO_ACT == set(ACTS) == set(LEFT)


@pytest.mark.parametrize("name", ACTS)
def test_ops_01_every_action_is_in_the_audit_log(name, blog, host, owner):
    release(blog, 1, State.RETIRED)
    live(blog, host, 2)
    ACTS[name](Actor(owner, address="203.0.113.9", token="wo_abcd"), blog)
    row = AuditRecord.objects.order_by("pk").last()
    assert row is not None
    assert row.action == LEFT[name]
    if name != "releases.hold_back":  # the platform itself does that
        assert (row.actor, row.actor_name, row.address, row.token) == (owner, "olga", "203.0.113.9", "wo_abcd")
    assert audit.verify() is None


def test_ops_01_looking_at_secrets_is_in_the_audit_log(blog, host, owner, team):
    blog.variables.create(key="API_KEY", value="very-secret-value")
    database = Database.objects.create(team=team, host=blog.host, name="blog", engine="sqlite", url="sqlite:///x")
    client = browser(owner)
    client.post("/deployments/blog/variables/reveal/", {"key": "API_KEY"})
    client.post(f"/databases/{database.pk}/reveal/")
    actions = list(AuditRecord.objects.filter(actor=owner).values_list("action", flat=True))
    assert {"variables.read", "database.read"} <= set(actions)


def test_ops_01_a_record_can_not_be_changed_or_removed(owner, db):
    row = record()
    row.target = "other"
    for attempt in (
        row.save,
        row.delete,
        AuditRecord.objects.all().delete,
        lambda: AuditRecord.objects.update(target="other"),
        lambda: AuditRecord.objects.bulk_update([row], ["target"]),
        lambda: AuditRecord.objects.update_or_create(pk=row.pk, defaults={"target": "other"}),
    ):
        with pytest.raises(Unchangeable):
            attempt()
    assert AuditRecord.objects.get().target == "blog"


@pytest.mark.parametrize("change", ["UPDATE core_security_audit_log SET target='x' WHERE id=%s",
                                    "UPDATE core_security_audit_log SET address='10.0.0.1' WHERE id=%s",
                                    "DELETE FROM core_security_audit_log WHERE id=%s"])  # fmt: skip
def test_ops_01_a_change_past_the_panel_is_found(change, db):
    from django.db import connection

    rows = [record(f"number {number}") for number in range(4)]
    assert audit.verify() is None
    with connection.cursor() as cursor:
        cursor.execute(change, [rows[1].pk])
    assert audit.verify() in (rows[1].pk, rows[2].pk)


def test_ops_01_what_is_logged_outlives_its_account_and_team(owner, team):
    audit.record(Actor(owner), "deployment.create", team=team, target="blog")
    owner.delete()
    Team.objects.filter(pk=team.pk).delete()
    row = AuditRecord.objects.get()
    assert (row.actor, row.team, row.actor_name) == (None, None, "olga")
    assert audit.verify() is None


def test_ops_01_a_record_is_one_line(db):
    row = record(BREAKS, name=BREAKS)
    for text in (row.target, row.detail["name"]):
        assert text.isprintable()
        assert len(text.splitlines()) == 1
    assert record("x" * 500).target == "x" * 120


def test_ops_01_a_flood_loses_nothing(db):
    for number in range(300):
        record(f"number {number}")
    assert AuditRecord.objects.count() == 300
    assert audit.verify() is None


def test_inj_11_no_header_makes_a_line_or_a_session(owner, client, caplog):
    formatter = LineFormatter("%(message)s")
    hostile = "x\r\nadmin=1\r\n2026-01-01 INFO webops: root signed in"
    headers = {"HTTP_USER_AGENT": hostile, "HTTP_X_FORWARDED_FOR": hostile, "HTTP_AUTHORIZATION": f"Basic {hostile}",
               "HTTP_COOKIE": f"webops_session={hostile}", "HTTP_REFERER": hostile}  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        for path in ("/account/login/", "/api/v1/me", "/no\nsuch%0d%0apage", "/api/v1/no%0asuch"):
            response = client.get(path, **headers)
            assert not any("\n" in value or "\r" in value for value in response.headers.values())
        client.post("/account/login/", {"login": hostile, "password": "x"}, **headers)
    assert "admin" not in dict(client.session)
    lines = [formatter.format(entry) for entry in caplog.records if not entry.exc_info]
    assert all(len(line.splitlines()) <= 1 for line in lines)
    assert all(row.target.isprintable() for row in AuditRecord.objects.all())


def test_inj_11_a_log_line_is_one_line_and_a_traceback_keeps_its_lines():
    formatter = LineFormatter("%(levelname)s %(message)s")
    entry = logging.LogRecord("webops", logging.INFO, "f.py", 1, "asked for %s", ("a\nb\x1b[0m",), None)
    assert formatter.format(entry) == "INFO asked for a\\nb\\x1b[0m"
    assert one_line("plain ünïcode 🦊") == "plain ünïcode 🦊"


def test_inj_11_names_of_a_commit_stay_on_their_line(blog, host: FakeHost, owner: User):
    host.push({"index.html": "x"}, subject="one\ntwo")
    row = releases.deploy(Actor(owner), blog)
    worker(host).work_once()
    row.refresh_from_db()
    assert row.state == State.LIVE
    assert AuditRecord.objects.filter(action="release.deploy").count() == 1
