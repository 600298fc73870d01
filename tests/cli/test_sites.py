"""Domains, certificate, site, scale, run and schedules at the terminal."""

from __future__ import annotations

import json

import pytest
from tests.deployments.test_domains import HERE, Names
from tests.deployments.test_worker import worker
from tests.support.certificates import pair
from tests.support.pages import PLAN, live

from apps.core import dns
from apps.deployments.plan import Kind, Plan
from webops_host.certificate_values import CertificateSource
from webops_host.errors import CertificateRefused, CommandFailed
from webops_host.fake_certificates import facts


@pytest.fixture
def working(webops, host):
    """The terminal, with a worker that looks after each request."""
    webops.panel.after = lambda request: worker(host).work_once()
    with dns.using(Names(HERE)):
        yield webops


@pytest.fixture
def site(blog, host):
    live(blog, host, 1, Plan(kind=Kind.STATIC))
    return blog


def test_domains_are_added_listed_and_removed(working, site):
    assert "127.0.0.1:8100" in working("domains", "blog").stdout
    added = working("domains", "blog", "add", "www.example.com")
    assert added.exit_code == 0, added.stderr
    assert "Points here." in added.stdout
    assert working("domains", "blog", "add", "www.example.com").exit_code == 5
    assert working("domains", "blog", "add", "no domain").exit_code == 2
    working("domains", "blog", "add", "example.com")
    shown = json.loads(working("domains", "blog", "primary", "example.com", "--json").stdout)
    assert [item["name"] for item in shown["items"] if item["primary"]] == ["example.com"]
    shown = json.loads(working("domains", "blog", "redirect", "--www", "to-bare", "--one-name", "--json").stdout)
    assert (shown["www"], shown["one_name"]) == ("to_bare", True)
    assert "set an A record to 203.0.113.10" in working("domains", "blog", "check").stdout
    assert "www.example.com" not in working("domains", "blog", "remove", "www.example.com").stdout


def test_the_record_that_proves_it_is_told(working, site, stranger):
    result = working("domains", "blog", "add", "www.example.com")
    assert "not proven yet" in result.stdout
    assert f"TXT _webops-challenge.www.example.com → {site.domains.get().proof}" in result.stderr


@pytest.mark.parametrize(
    "words",
    [("add",), ("remove",), ("check", "www.example.com"), ("redirect",), ("list", "--www", "as-is")],
)
def test_what_makes_no_sense_is_wrong_usage(words, working, site):
    assert working("domains", "blog", *words).exit_code == 2


def test_a_certificate_is_asked_for_handed_over_and_taken_back(working, site, host, tmp_path):
    assert "WebOps, this server" in working("certificate", "blog").stdout
    issued = working("certificate", "blog", "issue")
    assert issued.exit_code == 0
    assert "acme" in issued.stdout
    own = pair("blog.apps.test")
    files = {name: tmp_path / name for name in own}
    for name, file in files.items():
        file.write_text(own[name])
    words = ("upload", "--chain", str(files["chain"]), "--key", str(files["key"]))
    assert "uploaded" in working("certificate", "blog", *words).stdout
    assert working("certificate", "blog", "upload").exit_code == 2
    over = facts("blog.apps.test", days=-1)
    host.certificates_here.given[site.slug, CertificateSource.UPLOADED] = over
    assert "ended" in working("certificate", "blog").stdout
    assert "acme" in working("certificate", "blog", "remove").stdout
    host.breaks["certificates.issue"] = CertificateRefused("Too many lately.", hint="Wait a week.")
    refused = working("certificate", "blog", "issue")
    assert refused.exit_code == 1
    assert "Too many lately." in refused.stderr
    assert "Wait a week." in refused.stderr


def test_the_site_is_shown_and_changed(working, site, host):
    assert "everybody" in working("site", "blog").stdout
    words = ("--maintenance", "--allow", "203.0.113.7", "--allow", "2001:db8::/32", "--body-limit", "9")
    shown = working("site", "blog", *words, "--cdn", "cloudflare", "--no-hsts", "--fallback").stdout
    assert "203.0.113.7, 2001:db8::/32" in shown
    assert host.sites_up[site.slug].options.maintenance
    walled = working("site", "blog", "--wall", "guest", input="a long password\n")
    assert "guest" in walled.stdout
    assert "a long password" not in walled.output
    assert working("site", "blog", "--wall", "guest", input="short\n").exit_code == 2
    shown = json.loads(working("site", "blog", "--wall-remove", "guest", "--allow-all", "--json").stdout)
    assert (shown["wall"], shown["allow"]) == ([], [])
    assert working("site", "blog", "--allow-all", "--allow", "203.0.113.7").exit_code == 2
    assert "after 30 min" in working("site", "blog", "--sleep", "30").stdout


def test_scale_shows_and_changes(webops, blog, host):
    live(blog, host, 1)
    assert "512 MiB of at most 4096" in webops("scale", "blog").stdout
    assert json.loads(webops("scale", "blog", "--json").stdout)["release"] is None
    assert "Release 2 of blog is queued" in webops("scale", "blog", "--workers", "2", "--memory", "600").stderr
    assert "Nothing changed." in webops("scale", "blog", "--workers", "2").stderr
    assert webops("scale", "blog", "worker=2").exit_code == 2  # there is none
    assert webops("scale", "blog", "worker").exit_code == 2


def test_run_prints_and_ends_as_the_command_does(working, blog, host):
    live(blog, host, 1, PLAN)
    host.prints["builds.run"] = ["hello", "\x1b]0;title\x07there"]
    done = working("run", "blog", "--", "echo", "hello there", "--flag")
    assert (done.stdout, done.exit_code) == ("hello\nthere\n", 0)
    assert blog.commands.first().line == "echo 'hello there' --flag"
    assert working("run", "blog", "echo $HOME | tee x").exit_code == 0
    assert blog.commands.first().line == "echo $HOME | tee x"
    host.breaks["builds.run"] = CommandFailed("It said no.", facts={"status": 7})
    failed = working("run", "blog", "false")
    assert (failed.exit_code, failed.stdout) == (7, "hello\nthere\n")
    assert "It ended with 7." in failed.stderr
    host.breaks["builds.run"] = CommandFailed("It said no.", facts={"status": -9})
    assert working("run", "blog", "false").exit_code == 137
    assert json.loads(working("run", "blog", "--json", "false").stdout)["exit_status"] == -9
    assert "echo 'hello there' --flag" in working("run", "blog", "--list").stdout
    assert working("run", "blog").exit_code == 2


def test_run_detached_only_queues(webops, blog, host):
    live(blog, host, 1)
    assert "Command 1 of blog is queued." in webops("run", "blog", "--detach", "sleep", "9").stderr
    assert json.loads(webops("run", "blog", "--detach", "--json", "true").stdout)["number"] == 2


def test_ctrl_c_ends_the_command(webops, blog, host):
    live(blog, host, 1)

    def press(request) -> None:
        if request.method == "GET" and not pressed:
            pressed.append(request.url.path)
            raise KeyboardInterrupt

    pressed: list[str] = []
    webops.panel.before = press
    result = webops("run", "blog", "sleep", "100")
    assert result.exit_code == 130
    assert blog.commands.get().state == "cancelled"


def test_schedules_are_listed_with_their_runs(webops, blog, host):
    assert "webops.toml" in webops("schedules", "blog").stderr
    blog.schedules.create(expression="@daily", command="tidy up", last_outcome="done")
    blog.schedule_runs.create(expression="@daily", command="tidy up", started_at=blog.created_at, outcome="done")
    shown = webops("schedules", "blog").stdout
    assert shown.count("tidy up") == 2
    assert json.loads(webops("schedules", "blog", "--json").stdout)["items"][0]["schedule"] == "@daily"


def test_a_viewer_may_look_and_not_touch(terminal, viewer, site):
    webops = terminal.as_(viewer)
    assert webops("domains", "blog").exit_code == 0
    assert webops("site", "blog").exit_code == 0
    for words in (
        ("domains", "blog", "add", "a.example.com"),
        ("site", "blog", "--maintenance"),
        ("run", "blog", "env"),
    ):
        assert webops(*words).exit_code == 3, words
