"""Certificates of a server: asked for only when it makes sense, in use until something better is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from tests.host.test_linux_sites import BLOG, Server, app
from tests.support.machine import QUIET, write
from tests.support.nginx import PLATFORM

from webops_host.certificate_values import CertificateSource, NameCheck, PrivateKey, Renewal
from webops_host.errors import BadValue, CertificateRefused, NotFound
from webops_host.linux import attempts, certbot, nginx_main, renewal, tls_files, x509
from webops_host.linux.attempts import Attempts
from webops_host.linux.certificates import LinuxCertificates
from webops_host.linux.layout import ServerLayout
from webops_host.linux.reach import Answer, Question
from webops_host.names import Domain, HostName
from webops_host.site_options import Cdn, SiteOptions
from webops_host.values import Console

CA = trustme.CA(organization_name="Test Authority", organization_unit_name="CA")
DAY, HERE = 86_400.0, "203.0.113.1"
DOMAIN = Domain("blog.example")
FAILED = CertificateRefused("challenge failed", facts={"reason": "challenge"})


class Authority:
    """Gives certificates of the test's own, for 90 days from the test's clock."""

    def __init__(self, layout: ServerLayout, clock: Callable[[], float]) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.fails: CertificateRefused | None = None
        self._layout, self._clock = layout, clock

    def obtain(self, lineage, hosts, console=None) -> None:
        self.asked.append((lineage, tuple(hosts)))
        if self.fails is not None:
            raise self.fails
        begins = datetime.fromtimestamp(self._clock(), UTC)
        made = CA.issue_cert(*hosts, not_before=begins, not_after=begins + timedelta(days=90))
        chain = b"".join(part.bytes() for part in made.cert_chain_pems)
        folder = tls_files.lineage(self._layout, lineage)
        write(folder, {"fullchain.pem": chain.decode(), "privkey.pem": made.private_key_pem.bytes().decode()})

    def delete(self, lineage) -> None:
        self.asked.append((f"delete {lineage}", ()))


class Case:
    """A server with a published site, an authority, a clock, and names that lead here or elsewhere."""

    def __init__(self, root) -> None:
        self.server = Server(root)
        self.layout = self.server.layout
        self.now = time.time()
        self.authority = Authority(self.layout, lambda: self.now)
        self.elsewhere: set[str] = set()
        self.mains = 0
        made = CA.issue_cert("*.apps.test", "panel.test")
        self.lay(made, self.layout.platform_tls)
        self.certificates = LinuxCertificates(
            self.layout,
            PLATFORM,
            self.server.sites,
            authority=self.authority,
            ask=self.answer,
            clock=lambda: self.now,
            main=self.main,
        )

    def lay(self, made, folder) -> None:
        chain = b"".join(part.bytes() for part in made.cert_chain_pems).decode()
        write(folder, {"fullchain.pem": chain, "privkey.pem": made.private_key_pem.bytes().decode()})

    def answer(self, question: Question) -> Answer:
        if question.names:
            token = self.layout.challenges / ".well-known/acme-challenge" / question.token
            assert token.read_text() == question.token, "whoever looks must find the file of this look"
        self.proxied = question.proxied
        names = tuple(
            NameCheck(
                host, host not in self.elsewhere, ("203.0.113.1",), f"{host} leads away.", f"{host}. A 203.0.113.1"
            )
            for host in question.names
        )
        return Answer(names, tuple(self.wire(host) for host in question.wire))

    def wire(self, host: HostName) -> str:
        """What the files that nginx was told to use say."""
        [files] = tls_files.chosen(self.layout, BLOG, (host,), self.now).values()
        return x509.facts(files.chain.read_bytes()).fingerprint

    def main(self) -> None:
        self.mains += 1

    def publish(self, *domains: str, **more) -> None:
        self.server.sites.publish(app(domains=tuple(map(Domain, domains)), **more))


@pytest.fixture
def case(tmp_path) -> Case:
    made = Case(tmp_path)
    made.publish("blog.example", "www.blog.example")
    made.server.nginx.did.clear()
    return made


def sources(case: Case) -> list[tuple[str, CertificateSource, bool]]:
    return [(host.host, host.source, host.covered) for host in case.certificates.status(BLOG).hosts]


def test_a_certificate_is_asked_for_the_names_that_need_one_and_then_served(case):
    status = case.certificates.issue(BLOG, QUIET)
    assert case.authority.asked == [("blog", ("blog.example", "www.blog.example"))]
    assert case.server.nginx.did == ["test", "reload"]
    assert all(host.is_served for host in status.hosts)
    assert sources(case) == [
        ("blog.apps.test", CertificateSource.PLATFORM, True),
        ("blog.example", CertificateSource.ACME, True),
        ("www.blog.example", CertificateSource.ACME, True),
    ]
    assert not list((case.layout.challenges / ".well-known/acme-challenge").iterdir())


def test_one_that_is_good_is_not_asked_for_again(case):
    case.certificates.issue(BLOG, QUIET)
    case.certificates.issue(BLOG, QUIET)
    assert len(case.authority.asked) == 1
    case.publish("blog.example", "www.blog.example", "new.blog.example")
    case.certificates.issue(BLOG, QUIET)
    assert case.authority.asked[1:] == [("blog", ("blog.example", "www.blog.example", "new.blog.example"))]


def test_the_platforms_own_name_needs_one_when_setup_signed_its_certificate_itself(case):
    ours = trustme.CA(organization_name="WebOps, this server")
    case.lay(ours.issue_cert("*.apps.test"), case.layout.platform_tls)
    case.certificates.issue(BLOG, QUIET)
    assert case.authority.asked == [("blog", ("blog.apps.test", "blog.example", "www.blog.example"))]


def test_rel_14_a_name_that_leads_elsewhere_is_told_and_never_asked_for(case):
    lines: list[str] = []
    case.elsewhere = {"www.blog.example"}
    case.certificates.issue(BLOG, Console(lines.append))
    assert case.authority.asked == [("blog", ("blog.example",))]
    assert lines == ["www.blog.example leads away. Set this record: www.blog.example. A 203.0.113.1"]
    case.elsewhere = {"blog.example", "www.blog.example"}
    with pytest.raises(CertificateRefused) as refused:
        case.certificates.issue(BLOG, QUIET)
    assert refused.value.facts == {"reason": "names", "host": "blog.example"}
    assert "blog.example. A 203.0.113.1" in refused.value.hint
    assert len(case.authority.asked) == 1


def test_rel_14_the_same_certificate_is_not_ordered_again_while_a_name_is_missing(case):
    case.elsewhere = {"www.blog.example"}
    case.certificates.issue(BLOG, QUIET)
    for _ in range(7):
        with pytest.raises(CertificateRefused, match=r"www\.blog\.example leads away") as refused:
            case.certificates.issue(BLOG, QUIET)
        assert "www.blog.example. A 203.0.113.1" in refused.value.hint
        case.now += 700
    assert case.authority.asked == [("blog", ("blog.example",))], "an authority gives five in a week"
    assert case.certificates.status(BLOG).failures == 0, "the authority refused nothing"
    case.now += 61 * DAY
    assert case.certificates.renew_due() == (Renewal("blog"),), "what it never was for keeps it from nothing"


def test_rel_14_a_name_that_is_lost_for_a_moment_stays_in_the_certificate(case):
    case.certificates.issue(BLOG, QUIET)
    case.publish("blog.example", "www.blog.example", "new.example")
    case.elsewhere = {"www.blog.example"}
    with pytest.raises(CertificateRefused, match=r"www\.blog\.example leads away"):
        case.certificates.issue(BLOG, QUIET)
    assert sources(case)[2] == ("www.blog.example", CertificateSource.ACME, True)
    case.elsewhere = set()
    case.certificates.issue(BLOG, QUIET)
    assert case.authority.asked[1:] == [("blog", ("blog.example", "www.blog.example", "new.example"))]


def test_rel_14_a_failure_is_kept_and_the_next_attempt_waits_longer_each_time(case):
    case.authority.fails = FAILED
    waits = []
    for _ in range(6):
        with pytest.raises(CertificateRefused, match="challenge failed"):
            case.certificates.issue(BLOG, QUIET)
        asked = len(case.authority.asked)
        with pytest.raises(CertificateRefused) as early:
            case.certificates.issue(BLOG, QUIET)
        assert (early.value.facts["reason"], len(case.authority.asked)) == ("wait", asked)
        status = case.certificates.status(BLOG)
        waits.append(status.next_try - case.now)
        case.now = status.next_try
    assert (status.failures, status.last_error) == (6, "challenge failed")
    assert waits == sorted(waits)
    case.authority.fails = None
    assert case.certificates.issue(BLOG, QUIET).failures == 0


def test_rel_14_no_name_fails_more_than_five_times_an_hour():
    known, now, failed = Attempts(), 1e9, []
    while now < 1e9 + 50 * DAY:
        failed.append(now)
        known = known.after(FAILED, now)
        now = known.next_try
    for moment in failed:
        assert sum(moment <= other < moment + 3600 for other in failed) <= 5
    assert known.next_try - failed[-1] == attempts.LONGEST_WAIT


def test_rel_14_a_limit_of_the_authority_is_waited_for():
    error = certbot.refused(
        "urn:ietf:params:acme:error:rateLimited :: too many, retry after 2033-05-18 05:33:20 UTC: see"
    )
    assert error.facts == {"reason": "rate_limited", "until": "2033-05-18 05:33:20"}
    assert Attempts().after(error, 2e9 - 100).next_try == 2_000_007_200.0
    assert Attempts().after(certbot.refused("rateLimited"), 1e9).next_try == 1e9 + 3600


def test_what_is_due_is_renewed_and_nothing_else(case):
    case.certificates.issue(BLOG, QUIET)
    first = case.certificates.status(BLOG).hosts[1].facts
    case.now += 59 * DAY
    assert case.certificates.renew_due() == ()
    case.now += 2 * DAY
    case.server.nginx.did.clear()
    assert case.certificates.renew_due() == (Renewal("blog"),)
    assert case.server.nginx.did == ["reload"], "the text says where the file is, and that stays"
    assert case.certificates.status(BLOG).hosts[1].facts.not_after > first.not_after
    assert case.certificates.renew_due() == ()


def test_rel_14_a_renewal_that_fails_leaves_the_old_one_and_is_tried_again_later(case):
    case.certificates.issue(BLOG, QUIET)
    first = case.certificates.status(BLOG).hosts[1].facts
    case.now += 61 * DAY
    case.authority.fails = CertificateRefused("the authority is down", facts={"reason": "ca_down"})
    assert case.certificates.renew_due() == (Renewal("blog", "the authority is down"),)
    [again] = case.certificates.renew_due()
    assert again.error.startswith("The last attempt failed")
    assert len(case.authority.asked) == 2
    status = case.certificates.status(BLOG)
    assert (status.hosts[1].facts, status.hosts[1].is_served, status.failures) == (first, True, 1)
    case.now, case.authority.fails = case.now + 200, None
    assert case.certificates.renew_due() == (Renewal("blog"),)


def test_rel_14_a_name_that_is_lost_is_left_out_only_when_time_gets_short(case):
    case.certificates.issue(BLOG, QUIET)
    case.elsewhere = {"www.blog.example"}
    case.now += 61 * DAY
    assert case.certificates.renew_due() == (Renewal("blog", "www.blog.example leads away."),)
    case.now += 15 * DAY
    assert case.certificates.renew_due() == (Renewal("blog"),)
    assert case.authority.asked[-1] == ("blog", ("blog.example",))


def test_what_belongs_to_a_deployment_that_went_is_removed_and_not_renewed(case):
    case.certificates.issue(BLOG, QUIET)
    case.authority.fails, case.now = FAILED, case.now + 61 * DAY
    assert case.certificates.renew_due() == (Renewal("blog", "challenge failed"),)
    case.server.sites.forget(BLOG)
    assert case.authority.asked[2:] == [("delete blog", ())]
    assert case.certificates.status(BLOG).failures == 0
    assert case.certificates.renew_due() == ()
    assert case.authority.asked[3:] == [("delete blog", ())], "whatever was left the first time"


def test_the_panel_has_one_of_its_own(case):
    case.certificates.issue_panel(QUIET)
    case.certificates.issue_panel(QUIET)
    assert (case.authority.asked, case.mains) == ([("_panel", ("panel.test",))], 2)
    assert tls_files.of_panel(case.layout, PLATFORM.panel).chain.parent == tls_files.lineage(case.layout, "_panel")
    case.now += 70 * DAY
    assert case.certificates.renew_due() == (Renewal("_panel"),)
    assert case.mains == 3


# --- uploaded --------------------------------------------------------------------------------------------------


def given(*names: str, **more) -> tuple[str, PrivateKey]:
    made = CA.issue_cert(*names, **more)
    chain = b"".join(part.bytes() for part in made.cert_chain_pems).decode()
    return chain, PrivateKey(made.private_key_pem.bytes().decode())


def test_an_uploaded_certificate_is_served_before_any_other_until_it_is_removed(case):
    case.certificates.issue(BLOG, QUIET)
    status = case.certificates.upload(BLOG, *given("blog.example"))
    assert [host.source for host in status.hosts][1:] == [CertificateSource.UPLOADED, CertificateSource.ACME]
    assert all(host.is_served for host in status.hosts)
    key = case.layout.tls(BLOG) / "privkey.pem"
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    case.certificates.remove(BLOG)
    case.certificates.remove(BLOG)
    assert [host.source for host in case.certificates.status(BLOG).hosts][1:] == [CertificateSource.ACME] * 2
    assert not key.parent.exists()


def test_rel_14_an_uploaded_certificate_that_ended_is_told_as_what_it_is(case):
    case.certificates.upload(BLOG, *given("blog.example", not_after=datetime.now(UTC) + timedelta(days=10)))
    case.now += 11 * DAY
    ended = case.certificates.status(BLOG).hosts[1]
    assert (ended.source, ended.covered, ended.is_served) == (CertificateSource.UPLOADED, False, True)
    assert str(case.layout.tls(BLOG)) in case.server.text()
    case.certificates.issue(BLOG, QUIET)
    assert sources(case)[1] == ("blog.example", CertificateSource.ACME, True)


def test_an_uploaded_certificate_gives_way_before_it_ends(case):
    case.certificates.issue(BLOG, QUIET)
    long, short = (datetime.now(UTC) + timedelta(hours=hours) for hours in (90 * 24, 23))
    case.certificates.upload(BLOG, *given("blog.example", "www.blog.example", not_after=long))
    case.now += 70 * DAY
    assert case.certificates.renew_due() == (), "no name needs the authority's"
    case.now -= 70 * DAY
    case.lay(CA.issue_cert("blog.example", not_after=short), case.layout.tls(BLOG))
    assert case.certificates.renew_due() == ()
    assert str(case.layout.tls(BLOG)) not in case.server.text()


def test_an_uploaded_certificate_is_looked_at_first(case):
    chain, key = given("blog.example")
    _, other = given("blog.example")
    past = datetime.now(UTC) - timedelta(days=1)
    over, over_key = given("blog.example", not_after=past)
    locked = PrivateKey("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
    wrong = [
        (chain, other, "can not be used together"), (over, over_key, "not valid now"),
        ("hello", key, "not a certificate"),
        (*given("other.example"), "not for a name of this site"), (chain, locked, "can not be used together"),
        (chain, PrivateKey("x"), "can not be used together"), (chain + "x" * 70_000, key, "too large"),
        (chain * 12, key, "certificates in it"),
    ]  # fmt: skip
    for chain_pem, key_given, said in wrong:
        with pytest.raises(BadValue, match=said):
            case.certificates.upload(BLOG, chain_pem, key_given)
    assert not case.layout.tls(BLOG).exists()
    assert case.server.nginx.did == []


def test_without_a_site_there_is_nothing_to_certify(case):
    case.server.sites.unpublish(BLOG)
    with pytest.raises(NotFound):
        case.certificates.issue(BLOG, QUIET)


def test_a_site_in_maintenance_keeps_its_certificate(case):
    case.certificates.issue(BLOG, QUIET)
    case.publish("blog.example", "www.blog.example", options=SiteOptions(maintenance=True))
    assert all(host.covered for host in case.certificates.status(BLOG).hosts)


@pytest.mark.parametrize("cdn", Cdn)
def test_whoever_looks_knows_of_a_cdn(case, cdn):
    case.publish("blog.example", options=SiteOptions(cdn=cdn))
    case.certificates.check(BLOG)
    assert case.proxied is (cdn is not Cdn.NONE)


# --- the main file ---------------------------------------------------------------------------------------------


def test_the_main_file_is_taken_back_when_nginx_refuses_it(case, tmp_path):
    file = tmp_path / "webops.conf"
    nginx_main.install("one", case.server.nginx, case.layout.nginx_sites, file)
    case.server.nginx.refuses["test"] = BadValue("no")
    with pytest.raises(BadValue):
        nginx_main.install("two", case.server.nginx, case.layout.nginx_sites, file)
    assert file.read_text() == "one"


# --- by timer and by hand --------------------------------------------------------------------------------------


def test_the_timer_says_what_it_did(case, capsys):
    assert renewal.main(["renew"], case.certificates) == 0
    case.certificates.issue(BLOG, QUIET)
    case.now += 61 * DAY
    case.authority.fails = FAILED
    assert renewal.main(["renew"], case.certificates) == 1
    case.authority.fails, case.now = None, case.now + DAY
    assert renewal.main(["renew"], case.certificates) == 0
    assert capsys.readouterr().out.splitlines() == ["Nothing is due.", "blog: challenge failed", "blog: renewed"]


def test_setup_asks_for_the_panels_name(case, capsys):
    case.elsewhere = {"panel.test"}
    assert renewal.main(["panel"], case.certificates) == 1
    assert "Set this record" in capsys.readouterr().out
    case.elsewhere = set()
    assert renewal.main(["panel"], case.certificates) == 0
    assert renewal.main([], case.certificates) == 2
