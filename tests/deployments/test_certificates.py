"""Certificates of deployments: asked for, handed over, taken back, and what is kept of them. A key is never shown."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tests.deployments.test_domains import HERE, Names
from tests.deployments.test_worker import worker
from tests.support.certificates import pair, pem
from tests.support.pages import browser, live, parsed

from apps.core import dns
from apps.core.access import Actor
from apps.core.errors import Conflict, Forbidden, Invalid, Missing
from apps.core.models import AuditRecord
from apps.deployments import certificates, errands
from apps.deployments.actions import certificates as asked
from apps.deployments.actions import domains, releases
from apps.deployments.models import Certificate, Errand, ErrandKind
from webops_host.certificate_values import CertificateStatus
from webops_host.errors import CertificateRefused, HostUnreachable


@pytest.fixture
def actor(mate) -> Actor:
    return Actor(mate)


@pytest.fixture
def names():
    made = Names(HERE)
    with dns.using(made):
        yield made


def test_a_domain_that_leads_here_gets_a_certificate_by_itself(actor, blog, host, names):
    live(blog, host, 1)
    domains.add(actor, blog, "www.example.com")
    worker(host).work_once()
    kept = Certificate.objects.get()
    covered = {entry["host"]: entry["covered"] for entry in kept.hosts}
    assert covered["www.example.com"] is True
    assert (kept.source, kept.failures) == ("acme", 0)
    assert "The certificate is there." in blog.errands.get(kind="check").outcome


def test_one_that_leads_elsewhere_is_not_asked_for(actor, blog, host, names):
    live(blog, host, 1)
    worker(host).work_once()
    names["www.example.com", dns.Kind.A] = ("203.0.113.9",)
    host.certificates_here.elsewhere = {"www.example.com": "203.0.113.9"}
    domains.add(actor, blog, "www.example.com")
    worker(host).work_once()
    assert Certificate.objects.get().lacking == ["www.example.com"]
    assert blog.errands.get(kind="check").outcome.endswith("There is none yet for www.example.com.")
    host.did.clear()
    domains.look(actor, blog)
    worker(host).work_once()
    assert "certificates.issue blog" not in host.did


def test_a_site_without_domains_gets_one_for_its_own_name_by_itself(actor, blog, host):
    host.urls[blog.slug] = "https://blog.apps.test"
    release = releases.deploy(actor, blog)
    worker(host).work_once()
    look = blog.errands.get()
    assert (look.kind, look.by_platform, look.outcome) == ("check", True, "The certificate is there.")
    release.refresh_from_db()
    assert release.finished_at <= look.started_at, "it is live without"
    assert Certificate.objects.get().lacking == []
    releases.deploy(actor, blog)
    worker(host).work_once()
    assert blog.errands.count() == 1


def test_a_release_that_waits_comes_before_the_certificate(actor, blog, host):
    host.urls[blog.slug] = "https://blog.apps.test"
    live(blog, host, 1)
    releases.deploy(actor, blog)
    certificates.after_release(blog)
    worker(host).work_once()
    said = list(blog.errands.order_by("pk").values_list("outcome", flat=True))
    assert said == ["A release waits; certificates are looked at after it.", "The certificate is there."]


def test_where_nothing_is_encrypted_nothing_is_looked_at(blog, host):
    live(blog, host, 1)
    assert blog.url.startswith("http://")
    certificates.after_release(blog)
    assert not blog.errands.exists()


def test_a_name_that_the_uploaded_one_is_not_for_gets_one_by_itself(actor, blog, host, names):
    live(blog, host, 1)
    asked.upload(actor, blog, **pair("blog.apps.test"))
    worker(host).work_once()
    domains.add(actor, blog, "www.example.com")
    worker(host).work_once()
    assert {entry["host"]: entry["source"] for entry in Certificate.objects.get().hosts} == {
        "blog.apps.test": "uploaded",
        "www.example.com": "acme",
    }


def test_after_a_failure_the_authority_is_left_alone_until_it_is_time(actor, blog, host, names):
    live(blog, host, 1)
    host.breaks["certificates.issue"] = CertificateRefused("The authority is down.", hint="Wait.")
    host.certificates_here.failures[blog.slug] = CertificateStatus(
        (), failures=2, last_error="The authority is down.", next_try=4e9
    )
    domains.add(actor, blog, "www.example.com")
    worker(host).work_once()
    kept = Certificate.objects.get()
    assert (kept.failures, kept.problem) == (2, "The authority is down.")
    assert kept.failing_since is not None
    assert not [call for call in host.calls if call[0] == "certificates.issue"]
    asked.issue(actor, blog)  # a person may, whatever failed before
    worker(host).work_once()
    failed = errands.newest(blog, ErrandKind.ISSUE)
    assert (failed.state, failed.outcome, failed.hint) == ("failed", "The authority is down.", "Wait.")


def test_an_own_one_is_handed_over_and_taken_back(actor, blog, host, names):
    live(blog, host, 1)
    own = pair("blog.apps.test")
    asked.upload(actor, blog, **own)
    waiting = Errand.objects.get()
    assert own["key"] not in json.dumps(waiting.arguments)
    worker(host).work_once()
    assert Certificate.objects.get().source == "uploaded"
    (values,) = [values for name, values in host.calls if name == "certificates.upload"]
    assert (values["chain_pem"], values["key"].pem) == (own["chain"], own["key"])
    waiting.refresh_from_db()
    assert waiting.secret == ""
    asked.withdraw(actor, blog)
    worker(host).work_once()
    assert Certificate.objects.get().source == "platform"


def test_sec_01_a_key_is_in_no_page_no_record_and_no_repr(actor, blog, host, names, mate):
    live(blog, host, 1)
    key = ec.generate_private_key(ec.SECP256R1())
    secret = pem(key).splitlines()[1]
    client = browser(mate)
    other = pair("blog.apps.test")
    wrong = client.post("/deployments/blog/certificate/upload/", {"chain": other["chain"], "key": pem(key)})
    assert wrong.status_code == 400
    assert "does not belong to the certificate" in parsed(wrong).words
    good = pair("blog.apps.test", key=key)
    assert client.post("/deployments/blog/certificate/upload/", good).status_code == 302
    worker(host).work_once()
    page = client.get("/deployments/blog/domains/")
    records = repr(list(AuditRecord.objects.values())) + repr(list(Errand.objects.values()))
    texts = [wrong.content.decode(), page.content.decode(), records, repr(host.calls)]
    assert all(secret not in text for text in texts)


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"chain": ""}, "chain", "Paste certificates"),
        ({"chain": "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----"}, "chain", "Paste certificates"),
        ({"chain": "é"}, "chain", "Paste certificates"),
        ({"key": "no"}, "key", "without a password"),
        (pair("a.example.com", days=-1), "chain", "ended on"),
        ({"key": pem(ec.generate_private_key(ec.SECP256R1()))}, "key", "does not belong"),
        (pair("a.example.com", key=ed25519.Ed25519PrivateKey.generate()), "key", "RSA and elliptic"),
        (pair("a.example.com", key=rsa.generate_private_key(65537, 1024)), "key", "shorter than 2048"),
    ],
)
def test_what_is_no_good_pair_is_refused_where_it_can_be_mended(change, field, says, actor, blog, host):
    live(blog, host, 1)
    with pytest.raises(Invalid, match=says) as refused:
        asked.upload(actor, blog, **{**pair("a.example.com"), **change})
    assert list(refused.value.fields) == [field]
    assert not Errand.objects.exists()


def test_a_key_within_the_chain_is_refused(actor, blog, host):
    live(blog, host, 1)
    one = pair("a.example.com")
    with pytest.raises(Invalid, match="without the key"):
        asked.upload(actor, blog, chain=one["chain"] + one["key"], key=one["key"])


def test_az_02_only_those_who_may_configure(blog, host, viewer, stranger):
    live(blog, host, 1)
    for act in (asked.issue, asked.withdraw, lambda who, it: asked.upload(who, it, **pair("a.example.com"))):
        with pytest.raises(Forbidden):
            act(Actor(viewer), blog)
        with pytest.raises(Missing):
            act(Actor(stranger), blog)


def test_without_a_site_there_is_nothing_to_ask_for(actor, blog, host):
    with pytest.raises(Conflict, match="no site yet"):
        asked.issue(actor, blog)


def test_what_is_known_is_shown_when_the_host_is_away(actor, blog, host, names):
    live(blog, host, 1)
    assert certificates.known(blog).pk is None  # asked now, and not kept
    kept = certificates.refresh(blog, host)
    host.breaks["certificates.status"] = HostUnreachable("Away.")
    assert certificates.known(blog) == kept
    assert certificates.refresh(blog, host) is None


def test_another_one_on_the_wire_is_seen(blog, host):
    live(blog, host, 1)
    status = host.certificates.status(blog.slug)
    other = replace(status, hosts=tuple(replace(one, on_the_wire="ab" * 32) for one in status.hosts))
    assert certificates.keep(blog, other).is_other_on_the_wire
    assert not certificates.keep(blog, status).is_other_on_the_wire
