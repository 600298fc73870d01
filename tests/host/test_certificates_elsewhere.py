"""Certificates where there is no web server: in memory, and on a laptop that says it has none."""

from __future__ import annotations

import pytest
from tests.support.machine import BLOG, QUIET, Fake

from webops_host.certificate_values import CertificateSource, PrivateKey, Renewal
from webops_host.errors import BadValue, CertificateRefused, NotFound, NotSupported
from webops_host.names import Domain
from webops_host.values import Console, Site

KEY = PrivateKey("-----BEGIN PRIVATE KEY-----")
CHAIN = "-----BEGIN CERTIFICATE-----"


@pytest.fixture
def fake():
    machine = Fake().host
    machine.accounts.ensure(BLOG)
    machine.sites.publish(Site(BLOG, 1, domains=(Domain("blog.example"),)))
    return machine


def test_names_that_lead_here_get_one(fake):
    lines: list[str] = []
    status = fake.certificates.issue(BLOG, Console(lines.append))
    assert [(host.host, host.source, host.is_served) for host in status.hosts] == [
        ("blog.apps.test", CertificateSource.ACME, True),
        ("blog.example", CertificateSource.ACME, True),
    ]
    assert lines == ["Asking for a certificate for blog.apps.test, blog.example."]


def test_names_that_lead_elsewhere_are_told_and_get_none(fake):
    fake.certificates_here.elsewhere = {"blog.example": "198.51.100.7", "blog.apps.test": "198.51.100.7"}
    assert [found.record for found in fake.certificates.check(BLOG)] == [
        "blog.apps.test. A 203.0.113.10",
        "blog.example. A 203.0.113.10",
    ]
    with pytest.raises(CertificateRefused):
        fake.certificates.issue(BLOG, QUIET)


def test_an_uploaded_one_comes_first_until_it_is_removed(fake):
    fake.certificates.issue(BLOG, QUIET)
    assert fake.certificates.upload(BLOG, CHAIN, KEY).hosts[0].source is CertificateSource.UPLOADED
    fake.certificates.remove(BLOG)
    fake.certificates.remove(BLOG)
    assert fake.certificates.status(BLOG).hosts[0].source is CertificateSource.ACME
    with pytest.raises(BadValue):
        fake.certificates.upload(BLOG, "x", KEY)


def test_what_is_due_is_renewed_once(fake):
    fake.certificates_here.due = {BLOG: ""}
    assert fake.certificates.renew_due() == (Renewal("blog"),)
    assert fake.certificates.renew_due() == ()


def test_a_key_is_never_printed():
    assert "BEGIN" not in repr(KEY)


def test_without_a_site_there_is_nothing_to_certify():
    with pytest.raises(NotFound):
        Fake().host.certificates.issue(BLOG, QUIET)


def test_a_laptop_has_no_certificates_and_says_so(real):
    certificates = real.host.certificates
    assert certificates.status(BLOG).hosts == ()
    assert certificates.renew_due() == ()
    certificates.remove(BLOG)
    for ask in (
        lambda: certificates.check(BLOG),
        lambda: certificates.issue(BLOG, QUIET),
        lambda: certificates.upload(BLOG, CHAIN, KEY),
    ):
        with pytest.raises(NotSupported, match="without TLS"):
            ask()
