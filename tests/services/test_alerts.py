"""Alerts: one row while something lasts, shown to whom it concerns, and ended when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.deployments.test_domains import HERE, Names
from tests.deployments.test_worker import worker
from tests.support.pages import browser, live, parsed

from apps.core import dns
from apps.core.access import Actor
from apps.core.clock import now
from apps.deployments import certificates as deployed
from apps.deployments import turns
from apps.deployments.actions import domains
from apps.deployments.models import Certificate, DomainName, Errand, Turn
from apps.services import alerts, certificates
from apps.services.models import Alert, Severity
from webops_host.certificate_values import CertificateSource, CertificateStatus, HostCertificate
from webops_host.errors import HostUnreachable
from webops_host.fake_certificates import FakeCertificates, facts

DOWN = "The authority can not be reached."


def never() -> bool:
    return False


def test_the_same_thing_is_one_alert_however_often_it_is_seen(blog):
    assert alerts.raise_("disk", "server", "It is nearly full.")
    assert not alerts.raise_("disk", "server", "It is full.", severity=Severity.CRITICAL)
    row = Alert.objects.get()
    assert (row.times, row.text, row.severity) == (2, "It is full.", "critical")
    assert alerts.resolve("disk", "server")
    assert not alerts.resolve("disk", "server")
    assert alerts.raise_("disk", "server", "Again.")
    assert Alert.objects.count() == 2


def test_az_02_an_alert_is_shown_to_whom_it_concerns(blog, host, owner, viewer, stranger):
    alerts.raise_("certificate.renewal", "blog", "It could not be renewed.", deployment=blog)
    alerts.raise_("selftest", "server", "A wall has a hole.")
    assert {row.text for row in alerts.open_for(Actor(viewer))} == {"It could not be renewed."}
    assert {row.text for row in alerts.open_for(Actor(owner))} == {"It could not be renewed.", "A wall has a hole."}
    assert {row.text for row in alerts.open_for(Actor(stranger))} == {"A wall has a hole."}  # owns another team


def test_banners_are_on_the_dashboard_and_on_the_deployment(blog, host, owner, viewer):
    live(blog, host, 1)
    alerts.raise_("certificate.renewal", "blog", "It could not be <b>renewed</b>.", hint="Wait.", deployment=blog)
    for person in (owner, viewer):
        client = browser(person)
        for path in ("/deployments/", "/deployments/blog/", "/deployments/blog/site/"):
            page = client.get(path)
            assert "It could not be <b>renewed</b>." in parsed(page).words, path
            assert b"be <b>renewed" not in page.content
    alerts.resolve("certificate.renewal", "blog")
    assert "could not be" not in parsed(browser(owner).get("/deployments/")).words


# --- certificates ---


@pytest.fixture
def secured(blog, host, mate):
    """A deployment whose own domain has a certificate."""
    live(blog, host, 1)
    with dns.using(Names(HERE)):
        domains.add(Actor(mate), blog, "www.example.com")
        worker(host).work_once()
        yield blog


def test_rel_14_a_renewal_that_fails_is_told_until_one_goes_well(secured, host):
    here: FakeCertificates = host.certificates_here
    here.due = {secured.slug: DOWN}
    assert certificates.renew(secured.host, host, never) == "0 renewed, 1 failed: blog"
    certificates.renew(secured.host, host, never)
    row = Alert.objects.get(kind="certificate.renewal")
    assert (row.deployment, row.times, row.is_open) == (secured, 2, True)
    assert DOWN in row.text
    certificates.watch(secured.host, host, never)
    row.refresh_from_db()
    assert row.is_open, "a look is no renewal"
    here.due = {secured.slug: ""}
    assert certificates.renew(secured.host, host, never) == "1 renewed, 0 failed"
    row.refresh_from_db()
    assert not row.is_open


def test_rel_14_a_renewal_of_the_panels_own_certificate_is_told_too(secured, host, owner):
    host.certificates_here.due = {"_panel": DOWN}
    certificates.renew(secured.host, host, never)
    row = Alert.objects.get(kind="certificate.renewal")
    assert (row.deployment, row.text) == (None, f"The certificate of the panel could not be renewed: {DOWN}")
    host.certificates_here.due = {}  # the server's own timer was quicker
    certificates.renew(secured.host, host, never)
    row.refresh_from_db()
    assert not row.is_open


@pytest.mark.parametrize(
    ("days", "severity", "says"),
    [
        (20, None, ""),
        (13, "warning", "ends in 13 days"),
        (3, "critical", "ends in 3 days"),
        (-1, "critical", "has ended"),
    ],
)
def test_rel_14_the_end_is_told_in_time(days, severity, says, secured):
    kept = Certificate.objects.get()
    kept.not_after = now() + timedelta(days=days, minutes=5)
    certificates.judge(kept)
    row = Alert.objects.filter(kind=certificates.KIND, resolved_at=None).first()
    assert (row.severity if row else None) == severity
    assert says in (row.text if row else "")
    alerts.raise_("certificate.renewal", "blog", DOWN)
    kept.not_before, kept.not_after = now() - timedelta(days=29), now() + timedelta(days=61)
    certificates.judge(kept)
    assert not Alert.objects.filter(resolved_at=None).exists(), "somebody asked for one by hand"


def test_rel_14_the_end_is_told_for_as_long_as_the_host_says_it(blog, host):
    """As it says it of an uploaded one that is over, when there is no other."""
    live(blog, host, 1)
    over = replace(facts("www.example.com"), not_after=now().timestamp() - 3600)
    ended = HostCertificate("www.example.com", CertificateSource.UPLOADED, over, False, over.fingerprint)
    certificates.judge(deployed.keep(blog, CertificateStatus((*host.certificates.status(blog.slug).hosts, ended))))
    row = Alert.objects.get(resolved_at=None)
    assert (row.kind, row.severity, row.hint) == (certificates.KIND, "critical", "Upload a new one.")


def test_another_certificate_on_the_wire_is_told(secured):
    kept = Certificate.objects.get()
    kept.hosts = [{**entry, "other_on_the_wire": True} for entry in kept.hosts]
    certificates.judge(kept)
    assert Alert.objects.filter(kind=certificates.WIRE, resolved_at=None).count() == 1


def test_a_host_that_is_away_is_no_end_of_the_turn(secured, host):
    host.breaks["certificates.renew_due"] = HostUnreachable("Away.")
    rule = turns.Rule(certificates.RENEW_EVERY, certificates.renew)
    assert turns.perform(rule, secured.host, host, never) == "failed: Away."
    broken = turns.Rule(certificates.RENEW_EVERY, lambda row, machine, stop: 1 / 0)
    assert turns.perform(broken, secured.host, host, never).startswith("failed inside WebOps")


def test_domains_are_looked_at_again_less_and_less_often(blog, host, mate):
    live(blog, host, 1)
    with dns.using(Names()):
        domains.add(Actor(mate), blog, "www.example.com")
        worker(host).work_once()
    Errand.objects.all().delete()
    row = DomainName.objects.get()

    def due(*, age: timedelta, since: timedelta) -> int:
        DomainName.objects.update(created_at=now() - age, checked_at=now() - since)
        certificates.look(blog.host, host, never)
        count = Errand.objects.filter(kind="check", by_platform=True).delete()[0]
        return count

    assert row.checked_at is not None
    assert due(age=timedelta(minutes=30), since=timedelta(minutes=5)) == 0
    assert due(age=timedelta(minutes=30), since=timedelta(minutes=11)) == 1
    assert due(age=timedelta(days=1), since=timedelta(hours=2)) == 0
    assert due(age=timedelta(days=1), since=timedelta(hours=3)) == 1
    assert due(age=timedelta(days=40), since=timedelta(days=30)) == 0  # nobody cares any more


def test_a_domain_that_is_well_is_left_alone(secured, host):
    DomainName.objects.update(checked_at=now() - timedelta(days=1))
    Errand.objects.all().delete()
    certificates.look(secured.host, host, never)
    assert not Errand.objects.exists()


def test_the_platforms_name_is_looked_at_until_it_has_a_certificate(blog, host):
    live(blog, host, 1)
    assert certificates.watch(blog.host, host, never) == "1 looked at"

    def due(*, age: timedelta, since: timedelta) -> int:
        type(blog).objects.update(created_at=now() - age)
        blog.errands.update(created_at=now() - since, state="done")
        before = blog.errands.count()
        certificates.look(blog.host, host, never)
        return blog.errands.count() - before

    assert due(age=timedelta(minutes=30), since=timedelta(0)) == 1
    assert due(age=timedelta(minutes=30), since=timedelta(minutes=5)) == 0
    assert due(age=timedelta(minutes=30), since=timedelta(minutes=11)) == 1
    assert due(age=timedelta(days=100), since=timedelta(days=9)) == 0
    Certificate.objects.update(next_try_at=now() + timedelta(hours=1))
    assert due(age=timedelta(days=100), since=timedelta(days=11)) == 0, "the authority wants to be left alone"
    Certificate.objects.update(next_try_at=None)
    assert due(age=timedelta(days=100), since=timedelta(days=11)) == 1
    worker(host).work_once()
    assert due(age=timedelta(days=100), since=timedelta(days=11)) == 0


# --- turns ---


def test_rel_03_a_turn_is_taken_by_one_worker(blog, host):
    began: list[str] = []
    taken = [
        turns.run_due(lambda row: host, never, owner, "local", lambda name, act: began.append(name))
        for owner in ("one", "two")
    ]
    assert taken == [len(began), 0]
    assert {"turn-certificates.renew", "turn-certificates.watch", "turn-domains.look"} <= set(began)


def test_a_turn_comes_again_when_it_is_time_or_when_somebody_asks(blog, host):
    def run() -> int:
        return turns.run_due(lambda row: host, never, "one", "local", lambda name, act: act())

    assert run() >= 3
    assert run() == 0
    turn = Turn.objects.get(name="certificates.renew")
    assert (turn.last_outcome, turn.lease_owner) == ("0 renewed, 0 failed", "")
    assert turn.next_at > now() + timedelta(hours=11)
    turns.soon("certificates.renew", "local")
    assert run() == 1
    assert turns.run_due(lambda row: host, never, "one", "elsewhere", lambda name, act: act()) == 0
