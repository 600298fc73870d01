"""Domains: which may be added, who owns them, which records they need, and what the site makes of them."""

from __future__ import annotations

import json

import pytest
from tests.conftest import member
from tests.deployments.test_worker import worker
from tests.support.pages import live

from apps.core import dns
from apps.core.access import Actor
from apps.core.dns import Kind, Unanswered
from apps.core.errors import Conflict, Forbidden, Invalid, Missing
from apps.core.models import Role, Team
from apps.deployments import domains, running, steps
from apps.deployments.actions import domains as asked
from apps.deployments.actions import site
from apps.deployments.domains import Taken
from apps.deployments.models import Deployment, DomainName, Errand, State
from apps.deployments.plan import Kind as PlanKind
from apps.deployments.plan import Plan
from webops_host.site_options import WwwRule

STATIC = Plan(kind=PlanKind.STATIC)
HERE = {("www.example.com", Kind.A): ("203.0.113.10",), ("www.example.com", Kind.AAAA): ("2001:db8::10",)}


class Names(dict):
    """A DNS that says what it is told; a name with an error raises it."""

    def __call__(self, name: str, kind: Kind) -> tuple[str, ...]:
        found = self.get((name, kind), ())
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def names():
    made = Names()
    with dns.using(made):
        yield made


@pytest.fixture
def actor(mate) -> Actor:
    return Actor(mate)


@pytest.fixture
def other(host, blog) -> tuple[Deployment, Actor]:
    """A deployment of another team on the same server."""
    team = Team.objects.create(slug="rival", name="Rival")
    shop = Deployment.objects.create(team=team, host=blog.host, name="shop", repository="https://github.com/a/b")
    return shop, Actor(member(team, "rita", Role.OWNER))


def proven(deployment: Deployment) -> list[str]:
    return list(deployment.domains.filter(proven_at__isnull=False).values_list("name", flat=True))


# --- what may be one ---


@pytest.mark.parametrize(
    "name",
    [
        "a.test; } server {", "a.test\n", "$host", "*.a.test", "a_b.test", "a" * 250 + ".test", "localhost", "example",
        "203.0.113.9", "2001:db8::1", "-a.test", "a..test", "", " ", "http://a.test", "a.test/path", "a.test:80",
        "xn--.test", "xn--a-.test", "bad\x00.test", "a.local",
    ],
)  # fmt: skip
def test_inj_08_what_is_no_domain_is_refused_with_its_field(name, actor, blog, host, names):
    if name == "a.test\n":
        assert domains.encode(name) == "a.test"  # the line's end is not part of it, and is gone
        return
    with pytest.raises(Invalid) as refused:
        asked.add(actor, blog, name)
    assert "name" in refused.value.fields
    assert not blog.domains.exists()


@pytest.mark.parametrize("name", ["panel.apps.test", "apps.test", "shop.apps.test", "x.panel.apps.test"])
def test_inj_08_the_platforms_own_names_are_refused(name, actor, blog, host, names):
    with pytest.raises(Invalid, match="own"):
        asked.add(actor, blog, name)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" WWW.Example.COM. ", "www.example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),  # IDNA 2008: not “strasse”
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)
def test_a_name_is_encoded_once(typed, kept, actor, blog, host, names):
    assert asked.add(actor, blog, typed).name == kept
    assert domains.encode(kept) == kept


# --- whose it is ---


def test_with_one_team_a_domain_counts_at_once_and_the_first_is_primary(actor, blog, host, names):
    asked.add(actor, blog, "www.example.com")
    asked.add(actor, blog, "example.com")
    assert [(row.name, row.primary) for row in blog.domains.all()] == [
        ("www.example.com", True),
        ("example.com", False),
    ]
    assert proven(blog) == ["www.example.com", "example.com"]


def test_with_several_teams_it_counts_once_the_record_is_there(actor, blog, host, names, other):
    live(blog, host, 1, STATIC)
    row = asked.add(actor, blog, "www.example.com")
    worker(host).work_once()
    assert proven(blog) == []
    assert host.sites_up[blog.slug].domains == ()
    names["_webops-challenge.www.example.com", Kind.TXT] = ("something else", row.proof)
    asked.look(actor, blog)
    worker(host).work_once()
    assert proven(blog) == ["www.example.com"]
    assert host.sites_up[blog.slug].domains == ("www.example.com",)
    assert blog.domains.get().primary


def test_another_teams_proof_proves_nothing(actor, blog, host, names, other):
    shop, rita = other
    asked.add(actor, blog, "www.example.com")
    theirs = asked.add(rita, shop, "www.example.com")  # both may claim it: neither has proven anything
    names["_webops-challenge.www.example.com", Kind.TXT] = (theirs.proof,)
    asked.look(actor, blog)
    asked.look(rita, shop)
    worker(host).work_once()
    assert (proven(blog), proven(shop)) == ([], ["www.example.com"])


def test_who_proves_it_second_is_told_that_it_is_taken(actor, blog, host, names, other):
    shop, rita = other
    mine, theirs = asked.add(actor, blog, "www.example.com"), asked.add(rita, shop, "www.example.com")
    names["_webops-challenge.www.example.com", Kind.TXT] = (mine.proof,)
    worker(host).work_once()
    names["_webops-challenge.www.example.com", Kind.TXT] = (theirs.proof,)
    asked.look(rita, shop)
    worker(host).work_once()
    assert (proven(blog), proven(shop)) == (["www.example.com"], [])
    assert "leads to another deployment" in shop.errands.first().outcome


def test_a_domain_of_one_deployment_is_refused_to_another(actor, blog, host, names, team, other):
    asked.add(actor, blog, "www.example.com")
    DomainName.objects.update(proven_at=blog.created_at)
    docs = Deployment.objects.create(team=team, host=blog.host, name="docs", repository="https://github.com/a/b")
    with pytest.raises(Taken, match="the deployment blog"):
        asked.add(actor, docs, "www.example.com")
    shop, rita = other
    with pytest.raises(Taken, match="another deployment"):  # and not which
        asked.add(rita, shop, "www.example.com")
    with pytest.raises(Taken, match="already"):
        asked.add(actor, blog, "WWW.example.com")


@pytest.mark.parametrize("name", ["example.com", "shop.www.example.com", "a.b.www.example.com"])
def test_nothing_above_or_below_another_teams_domain(name, actor, blog, host, names, other):
    asked.add(actor, blog, "www.example.com")
    DomainName.objects.update(proven_at=blog.created_at)
    shop, rita = other
    with pytest.raises(Taken, match="above or below"):
        asked.add(rita, shop, name)
    asked.add(rita, shop, "example.org")  # beside it is fine


def test_below_an_own_domain_no_second_proof_is_needed(actor, blog, host, names, other):
    asked.add(actor, blog, "example.com")
    DomainName.objects.update(proven_at=blog.created_at)
    assert asked.add(actor, blog, "shop.example.com").is_proven
    assert not asked.add(actor, blog, "shop.example.org").is_proven


def test_az_02_nobody_else_reaches_them(blog, host, names, viewer, stranger, mate):
    row = asked.add(Actor(mate), blog, "www.example.com")
    for act in (
        lambda who: asked.add(who, blog, "b.example.com"),
        lambda who: asked.remove(who, blog, row),
        lambda who: asked.make_primary(who, blog, row),
        lambda who: asked.redirect(who, blog, www="as_is", one_name=False),
    ):
        with pytest.raises(Forbidden):
            act(Actor(viewer))
        with pytest.raises(Missing):
            act(Actor(stranger))
    asked.look(Actor(viewer), blog)
    with pytest.raises(Missing):
        asked.look(Actor(stranger), blog)


# --- what the site makes of them ---


def test_a_static_site_follows_without_a_release(actor, blog, host, names):
    live(blog, host, 1, STATIC)
    asked.add(actor, blog, "www.example.com")
    worker(host).work_once()
    assert host.sites_up[blog.slug].domains == ("www.example.com",)
    assert blog.releases.count() == 1
    asked.remove(actor, blog, blog.domains.get())
    worker(host).work_once()
    assert host.sites_up[blog.slug].domains == ()


def test_an_app_learns_its_new_name_by_a_release_of_the_commit_that_is_live(actor, blog, host, names):
    live(blog, host, 1)
    asked.add(actor, blog, "www.example.com")
    made = blog.releases.get(state=State.QUEUED)
    assert (made.ref, made.trigger) == (blog.live.commit, "domains")
    asked.add(actor, blog, "example.com")
    assert blog.releases.filter(state=State.QUEUED).count() == 1


def test_names_of_now_are_in_the_variables_of_an_older_release(actor, blog, host, names):
    """A restart or a rollback must not forget a domain that came since."""
    live(blog, host, 1)
    own = {"WEBOPS_URL": "https://blog.apps.test/", "WEBOPS_HOSTS": "old.example.com,blog.apps.test"}
    origins = "https://blog.apps.test,https://old.example.com"
    fixed = {"WEBOPS_HTTPS": "1", "MY_HOST": "blog.apps.test", "DJANGO_ALLOWED_HOSTS": "mine.example.com"}
    values = {**own, **fixed, "WEBOPS_ORIGINS": origins, "CSRF_TRUSTED_ORIGINS": origins}
    asked.add(actor, blog, "www.example.com")
    release = blog.live
    release.variables = json.dumps({**values, "ALLOWED_HOSTS": own["WEBOPS_HOSTS"]})
    found = running.variables(release)
    assert found["WEBOPS_HOSTS"] == found["ALLOWED_HOSTS"] == "www.example.com,blog.apps.test"
    assert found["CSRF_TRUSTED_ORIGINS"] == "https://blog.apps.test,https://www.example.com"
    assert {key: found[key] for key in fixed} == fixed  # what a person wrote stays


def test_only_domains_that_count_are_hosts_of_a_release(actor, blog, host, names, other):
    blog.url = "https://blog.apps.test/"
    asked.add(actor, blog, "www.example.com")
    assert steps._hosts(blog) == ("blog.apps.test",)
    DomainName.objects.update(proven_at=blog.created_at)
    assert steps._hosts(blog) == ("www.example.com", "blog.apps.test")


def test_the_primary_one_is_chosen_and_passed_on(actor, blog, host, names):
    live(blog, host, 1, STATIC)
    first, second = asked.add(actor, blog, "a.example.com"), asked.add(actor, blog, "b.example.com")
    asked.make_primary(actor, blog, second)
    asked.redirect(actor, blog, www=WwwRule.TO_BARE, one_name=True)
    worker(host).work_once()
    site = host.sites_up[blog.slug]
    assert site.domains == ("b.example.com", "a.example.com")
    assert (site.options.canonical, site.options.www) == ("b.example.com", WwwRule.TO_BARE)
    asked.remove(actor, blog, blog.domains.get(pk=second.pk))
    assert blog.domains.get(primary=True).pk == first.pk


def test_what_does_not_count_can_not_be_primary(actor, blog, host, names, other):
    row = asked.add(actor, blog, "www.example.com")
    with pytest.raises(Conflict, match="not proven"):
        asked.make_primary(actor, blog, row)
    with pytest.raises(Invalid) as refused:
        asked.redirect(actor, blog, www="sideways", one_name=False)
    assert "www" in refused.value.fields


def test_there_is_a_most(actor, blog, host, names):
    for number in range(domains.MOST):
        blog.domains.create(name=f"n{number}.example.com", proven_at=blog.created_at)
    with pytest.raises(Conflict, match="at most"):
        asked.add(actor, blog, "one-more.example.com")


def test_a_stopped_or_deleted_one_is_not_published(actor, blog, host, names):
    live(blog, host, 1, STATIC)
    host.sites.unpublish(blog.slug)
    Deployment.objects.update(wish="stopped")
    asked.add(actor, blog, "www.example.com")
    worker(host).work_once()
    assert blog.slug not in host.sites_up
    Deployment.objects.update(wish="deleted")
    blog.refresh_from_db()
    with pytest.raises(Conflict, match="deleted"):
        asked.add(actor, blog, "b.example.com")


# --- records ---


def looked(blog, host, names, **found) -> dict[str, domains.Record]:
    row = DomainName(deployment=blog, name="www.example.com", proof="webops-1", proven_at=blog.created_at)
    names.update({("www.example.com", Kind[kind]): value for kind, value in found.items()})
    return {record.kind: record for record in domains.look(row, domains.place(host), dns.ask)}


@pytest.mark.parametrize(
    ("found", "ok", "says"),
    [
        ({"A": ("203.0.113.10",)}, True, "Points here."),
        ({"A": ()}, False, "Nothing is set; set an A record to 203.0.113.10."),
        ({"A": ("203.0.113.9",)}, False, "Points elsewhere: 203.0.113.9; set an A record to 203.0.113.10."),
        (
            {"A": ("203.0.113.9", "203.0.113.10")},
            False,
            "Points here and elsewhere: 203.0.113.9, 203.0.113.10; remove the others.",
        ),
        ({"A": ("203.0.113.10",), "CNAME": ("blog.apps.test",)}, True, "Points here through blog.apps.test."),
        (
            {"A": ("203.0.113.9",), "CNAME": ("old.example.net",)},
            False,
            "Points elsewhere through old.example.net: 203.0.113.9; set an A record to 203.0.113.10.",
        ),
        ({"A": Unanswered("timed out")}, None, "The DNS could not be asked: timed out."),
    ],
)
def test_a_record_says_what_was_found_and_what_to_do(found, ok, says, blog, host, names):
    record = looked(blog, host, names, **found)["A"]
    assert (record.ok, record.says) == (ok, says)


def test_a_missing_aaaa_is_fine_and_a_wrong_one_is_not(blog, host, names):
    assert looked(blog, host, names)["AAAA"].ok is True
    assert looked(blog, host, names, AAAA=("2001:db8::9",))["AAAA"].ok is False


def test_behind_a_cdn_the_host_says_whether_a_name_leads_here(actor, blog, host, names):
    live(blog, host, 1, STATIC)
    names.update({("www.example.com", Kind.A): ("104.16.0.1",), ("www.example.com", Kind.AAAA): ("2606:4700::1",)})
    row = asked.add(actor, blog, "www.example.com")
    worker(host).work_once()
    site.change(actor, blog, cdn="cloudflare")
    worker(host).work_once()
    row.refresh_from_db()
    assert [item["says"] for item in row.records["items"]] == ["Comes here through the CDN."] * 2
    assert domains.points_here(row, domains.place(host)) is True
    assert blog.certificate.lacking == []
    host.certificates_here.elsewhere = {"www.example.com": "104.16.0.1"}
    asked.look(actor, blog)
    worker(host).work_once()
    row.refresh_from_db()
    assert row.records["items"][0]["says"].endswith("Have the CDN fetch from 203.0.113.10.")
    assert domains.points_here(row, domains.place(host)) is False


def test_a_host_without_an_address_asks_for_no_records(blog, host, names):
    where = domains.Place()
    row = DomainName(deployment=blog, name="www.example.com", proven_at=blog.created_at)
    assert (domains.wanted(row, where), domains.points_here(row, where), where.is_public) == ((), None, False)


def test_what_was_found_is_kept_with_its_time(actor, blog, host, names):
    names.update(HERE)
    row = asked.add(actor, blog, "www.example.com")
    assert domains.points_here(row, domains.place(host)) is None
    worker(host).work_once()
    row.refresh_from_db()
    assert row.checked_at is not None
    assert domains.points_here(row, domains.place(host)) is True
    moved = domains.Place(address4=("203.0.113.77",))
    assert domains.points_here(row, moved) is None  # what was found is about another address


def test_a_look_is_asked_for_once_while_it_waits(actor, blog, host, names):
    asked.add(actor, blog, "www.example.com")
    asked.look(actor, blog)
    asked.look(actor, blog)
    assert Errand.objects.filter(kind="check").count() == 1
