"""Certificates of a really installed server, from a real certbot and Let's Encrypt's own test authority."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx2
import pytest
import trustme
from tests.server.installed import Installed
from tests.server.lab.acme import Pebble
from tests.server.lab.visitor import visitor
from tests.server.linux_machine import LinuxMachine, machine_of
from tests.support.git_server import GitServer
from tests.support.machine import BLOG, QUIET
from tests.support.waiting import until

from webops_host.certificate_values import CertificateSource, PrivateKey
from webops_host.errors import CertificateRefused
from webops_host.linux import x509
from webops_host.names import Domain
from webops_host.values import Console, Site

pytestmark = pytest.mark.server

DOMAIN, OTHER = Domain("blog.example"), Domain("www.blog.example")
SETTINGS = "/etc/webops/host.toml"
BOOK = "/var/lib/webops/hostd/certificates"
AS_IF_LATE = """
import sys
sys.path.insert(0, "/opt/webops/current/host")
from webops_host.linux import certificates, renewal
certificates._is_late = lambda facts, now, part: True
sys.exit(renewal.main(["renew"]))
"""


@pytest.fixture(scope="module")
def machine(installed: Installed, acme: Pebble, authority: trustme.CA) -> Iterator[LinuxMachine]:
    """A server that asks Pebble, and finds the site's domains at its own address."""
    server = installed.server
    point_to(server, acme, authority)
    for name in (DOMAIN, "blog.apps.test", "panel.apps.test"):
        lead(server, acme, name, server.address)
    with machine_of(server) as made:
        patient(made)
        made.begin()
        made.lay_public(BLOG, 1, {"index.html": "hello"})
        made.host.sites.publish(Site(BLOG, 1, domains=(DOMAIN,)))
        yield made
        made.end()


def point_to(server, acme: Pebble, authority: trustme.CA) -> None:
    server.finds("acme.test", acme.address)
    server.write("/etc/webops/acme-ca.pem", authority.cert_pem.bytes())
    lines = [line for line in server.read(SETTINGS).splitlines() if not line.startswith("acme_")]
    place = lines.index("[platform]") + 1
    lines[place:place] = [f'acme_server = "{acme.directory}"', 'acme_ca = "/etc/webops/acme-ca.pem"']
    server.write(SETTINGS, "\n".join((*lines, "")))
    server.run(("systemctl", "try-restart", "webops-hostd.service"))


def lead(server, acme: Pebble, name: str, address: str) -> None:
    """What the DNS says of a name, to the server and to the authority."""
    server.finds(name, address)
    acme.points(name, address)


def served(machine: LinuxMachine, name: str) -> str:
    """The fingerprint that a visitor from outside is shown."""
    context = ssl._create_unverified_context()
    with (
        socket.create_connection((machine.server.address, 443), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as wrapped,
    ):
        return x509.fingerprint(wrapped.getpeercert(binary_form=True) or b"")


def patient(machine: LinuxMachine) -> None:
    """Forget failures, as time would."""
    machine.server.run(f"rm -f {BOOK}/*.json")


def refusal(machine: LinuxMachine) -> CertificateRefused:
    with pytest.raises(CertificateRefused) as refused:
        machine.host.certificates.issue(BLOG, QUIET)
    return refused.value


def test_a_site_has_the_platforms_certificate_first(machine):
    status = machine.host.certificates.status(BLOG)
    assert [(host.host, host.source) for host in status.hosts] == [
        ("blog.apps.test", CertificateSource.PLATFORM),
        (DOMAIN, CertificateSource.PLATFORM),
    ]
    assert all(host.is_served for host in status.hosts)


def test_rel_14_a_name_that_leads_elsewhere_is_told_and_not_asked_for(machine, acme):
    lead(machine.server, acme, DOMAIN, "192.0.2.1")
    lead(machine.server, acme, "blog.apps.test", "192.0.2.1")
    checks = machine.host.certificates.check(BLOG)
    assert [check.ok for check in checks] == [False, False]
    assert machine.server.address in checks[1].record
    assert refusal(machine).facts["reason"] == "names"
    for name in (DOMAIN, "blog.apps.test"):
        lead(machine.server, acme, name, machine.server.address)


def test_rel_14_an_authority_that_is_down_is_told(machine, acme):
    machine.server.finds("acme.test", machine.server.address)  # nobody listens there
    error = refusal(machine)
    machine.server.finds("acme.test", acme.address)
    assert error.facts["reason"] == "ca_down"
    assert refusal(machine).facts["reason"] == "wait"
    patient(machine)


def test_rel_14_a_challenge_that_the_authority_can_not_see_is_told(machine, acme):
    acme.points(DOMAIN, acme.address)  # it looks at another machine than we do
    error = refusal(machine)
    acme.points(DOMAIN, machine.server.address)
    assert (error.facts["reason"], error.facts["host"]) == ("challenge", DOMAIN)
    status = machine.host.certificates.status(BLOG)
    assert (status.failures, status.next_try > 0) == (1, True)
    patient(machine)


def test_a_certificate_is_issued_and_served(machine, acme):
    lines: list[str] = []
    status = machine.host.certificates.issue(BLOG, Console(lines.append))
    assert all(host.source is CertificateSource.ACME and host.is_served for host in status.hosts), lines
    assert served(machine, DOMAIN) == status.hosts[1].facts.fingerprint
    with visitor(machine.server.address, acme.root) as client:
        assert client.get(f"https://{DOMAIN}/").text == "hello"
        plain = client.get(f"http://{DOMAIN}/a?b=c")
    assert (plain.status_code, plain.headers["location"]) == (301, f"https://{DOMAIN}/a?b=c")
    assert machine.host.certificates.issue(BLOG, QUIET).hosts == status.hosts


def test_a_domain_that_comes_later_is_added(machine, acme):
    lead(machine.server, acme, OTHER, machine.server.address)
    machine.host.sites.publish(Site(BLOG, 1, domains=(DOMAIN, OTHER)))
    status = machine.host.certificates.issue(BLOG, QUIET)
    assert {host.source for host in status.hosts} == {CertificateSource.ACME}
    assert served(machine, OTHER) == status.hosts[2].facts.fingerprint


def test_what_is_due_is_renewed_by_the_timers_own_unit(machine):
    before = served(machine, DOMAIN)
    said = machine.server.run(("python3", "-I", "-c", AS_IF_LATE), timeout=120).stdout
    assert "blog: renewed" in said
    assert served(machine, DOMAIN) != before
    machine.server.run(("systemctl", "start", "webops-renew.service"), timeout=120)
    assert "Nothing is due." in machine.server.run("journalctl -u webops-renew -o cat --no-pager").stdout


def test_an_uploaded_certificate_comes_first_until_it_is_removed(machine):
    made = trustme.CA().issue_cert(DOMAIN)
    chain = b"".join(part.bytes() for part in made.cert_chain_pems).decode()
    key = PrivateKey(made.private_key_pem.bytes().decode())
    status = machine.host.certificates.upload(BLOG, chain, key)
    assert (status.hosts[1].source, status.hosts[1].is_served) == (CertificateSource.UPLOADED, True)
    assert served(machine, DOMAIN) == status.hosts[1].facts.fingerprint
    modes = machine.server.run("stat -c '%a %U' /etc/webops/tls/blog /etc/webops/tls/blog/privkey.pem").stdout.split()
    assert modes == ["700", "root", "600", "root"]
    machine.host.certificates.remove(BLOG)
    assert machine.host.certificates.status(BLOG).hosts[1].source is CertificateSource.ACME


def test_a_site_without_domains_gets_one_by_itself(
    machine: LinuxMachine, installed: Installed, acme: Pebble, git_host: GitServer
) -> None:
    name = "plain.apps.test"
    lead(machine.server, acme, name, machine.server.address)
    installed.allow(git_host)
    git_host.repository("team/plain", {"index.html": "hello"})
    installed.create("plain", git_host.url("team/plain"))
    with visitor(machine.server.address, acme.root) as client:

        def page() -> str:
            try:
                return client.get(f"https://{name}/").text
            except httpx2.ConnectError:
                return ""  # the platform's own, which this visitor does not trust

        until(lambda: page() == "hello", "a trusted certificate", timeout=90, every=0.5)
    assert installed.call("GET", "deployments/plain/certificate")["items"][0]["source"] == "acme"


def test_the_panel_gets_one_for_its_own_name(machine, acme):
    machine.server.run("python3 -I /opt/webops/current/host/certificates.py panel", timeout=120)
    with visitor(machine.server.address, acme.root) as client:
        assert client.get("https://panel.apps.test/").status_code < 400
