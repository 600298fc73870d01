"""What people type into pages: it becomes a deployment, a variable, a setting, or an error beside its field."""

from __future__ import annotations

import pytest
from tests.support.pages import browser, live, parsed, release

from apps.core.models import AuditRecord
from apps.deployments.models import Deployment, State

URL = "https://github.com/acme/site"
BAD_REFS = ["main; id", "$(id)", "`id`", "a\nb", "HEAD'; x; #", "x" * 300, "a\x00b", "--output=/x", "-x", "a..b"]
BAD_URLS = [
    "https://github.com\\@127.0.0.1/",
    "https://github.com/a\tb/c",
    "https://github.com/a/b\nc",
    "https://user:pw@github.com/a/b",
    "https://github.com/a/b%00",
    "https://gіthub.com/a/b",  # a Cyrillic i
    "https://[::1]/a/b",
    "https://github.com:22/a/b",
    "-uid;",
    "--upload-pack=touch x",
    "ext::sh -c id",
    "file:///etc",
    "git://github.com/a/b",
    "http://github.com/a/b",
    "../x",
    "https://127.0.0.1/a/b",
    "https://git.example.org/a/b",
]
BAD_NAMES = ["a;id", "a$(id)", "../x", "x\nroot::0:0", "-rf", "Blog", "x" * 64, "www", "blog\n", "a b", "a--b"]


def refused(client, path: str, given: dict[str, str], field: str) -> None:
    """The form comes back with the error beside the field, and what was typed still in it."""
    response = client.post(path, given)
    assert response.status_code == 400
    assert f"id_{field}_error" in parsed(response).ids


@pytest.mark.parametrize("ref", BAD_REFS)
def test_inj_01_a_branch_that_is_none_is_refused(ref, team, host, owner):
    refused(browser(owner), "/deployments/new/", {"repository": URL, "ref": ref}, "ref")
    assert not Deployment.objects.exists()
    assert host.did == []


@pytest.mark.parametrize("url", BAD_URLS)
def test_inj_04_an_address_that_is_no_allowed_repository_is_refused(url, team, host, owner):
    refused(browser(owner), "/deployments/new/", {"repository": url}, "repository")
    assert not Deployment.objects.exists()


@pytest.mark.parametrize("name", BAD_NAMES)
def test_inj_05_a_name_that_is_no_slug_is_refused(name, team, host, owner):
    refused(browser(owner), "/deployments/new/", {"repository": URL, "name": name}, "name")
    assert not Deployment.objects.exists()


@pytest.mark.parametrize("root", ["/etc", "../x", "a/../../b", ".git", "a\x00b"])
def test_fs_a_folder_outside_the_repository_is_refused(root, team, host, owner):
    refused(browser(owner), "/deployments/new/", {"repository": URL, "root": root}, "root")


@pytest.mark.parametrize(
    "name", ["/deployments/a;id/", "/deployments/a$(id)/", "/deployments/Blog/", "/deployments/-rf/"]
)
def test_inj_05_an_address_with_a_name_that_is_no_slug_is_not_found(name, owner):
    assert browser(owner).get(name).status_code == 404


@pytest.mark.parametrize("ref", BAD_REFS)
def test_inj_01_deploying_a_branch_that_is_none_is_refused(ref, blog, host, owner):
    assert browser(owner).post("/deployments/blog/deploy/", {"ref": ref}).status_code == 400
    assert not blog.releases.exists()


def test_a_pasted_address_makes_a_draft_that_is_looked_at(team, host, owner):
    response = browser(owner).post("/deployments/new/", {"repository": f"{URL}/tree/main/docs?tab=readme"})
    made = Deployment.objects.get()
    assert response["Location"] == f"/deployments/{made.name}/look/"
    assert (made.name, made.repository, made.ref, made.root) == ("site", URL, "main", "docs")
    assert made.releases.get().kind == "inspect"


def test_a_taken_name_is_an_error_of_the_name(blog, host, owner):
    refused(browser(owner), "/deployments/new/", {"repository": URL, "name": "blog"}, "name")


def test_the_token_is_kept_and_never_shown(team, host, owner):
    client = browser(owner)
    client.post("/deployments/new/", {"repository": URL, "name": "site", "token": "ghp_secret"})
    assert Deployment.objects.get().token == "ghp_secret"
    for path in ("look", "settings"):
        assert "ghp_secret" not in client.get(f"/deployments/site/{path}/").content.decode()


def test_variables_that_are_needed_are_asked_for_before_the_first_release(blog, host, owner):
    release(blog, None, State.READY)
    client = browser(owner)
    refused(client, "/deployments/blog/look/", {}, "var-STRIPE_KEY")
    assert not blog.releases.exclude(number=None).exists()
    response = client.post("/deployments/blog/look/", {"var-STRIPE_KEY": "sk_1", "dotenv": "MODE=fast\n"})
    assert response["Location"] == "/deployments/blog/releases/1/"
    assert {row.key: row.value for row in blog.variables.all()} == {"STRIPE_KEY": "sk_1", "MODE": "fast"}


def test_a_needed_variable_may_come_from_the_pasted_file(blog, host, owner):
    release(blog, None, State.READY)
    response = browser(owner).post("/deployments/blog/look/", {"dotenv": "STRIPE_KEY='sk 2'"})
    assert response.status_code == 302
    assert blog.variables.get().value == "sk 2"


def test_a_mistake_in_the_pasted_file_names_its_line(blog, host, owner):
    release(blog, None, State.READY)
    response = browser(owner).post("/deployments/blog/look/", {"dotenv": "A=1\nnonsense\n"})
    assert response.status_code == 400
    assert "Line 2:" in parsed(response).words


def test_a_variable_is_set_shown_on_request_and_removed(blog, host, owner, mate):
    live(blog, host, 1)
    client = browser(mate)
    client.post("/deployments/blog/variables/", {"key": "API_KEY", "value": "line one\r\nline two", "secret": "on"})
    assert blog.variables.get().value == "line one\nline two"
    page = client.get("/deployments/blog/variables/")
    assert "line one" not in page.content.decode()
    assert "1 change to variables not applied yet" in parsed(page).words
    assert "line one" in parsed(client.post("/deployments/blog/variables/reveal/", {"key": "API_KEY"})).words
    assert AuditRecord.objects.get(action="variables.read").detail == {"keys": ["API_KEY"]}
    client.post("/deployments/blog/variables/unset/", {"key": "API_KEY"})
    assert not blog.variables.exists()


@pytest.mark.parametrize("key", ["1A", "A B", "LD_PRELOAD", "PATH", "WEBOPS_RELEASE", "", "A\n", "A\x00"])
def test_a_variable_with_a_name_that_is_none_is_refused(key, blog, host, owner):
    refused(browser(owner), "/deployments/blog/variables/", {"key": key, "value": "x"}, "key")


def test_a_value_that_is_too_large_is_refused(blog, host, owner):
    refused(browser(owner), "/deployments/blog/variables/", {"key": "A", "value": "x" * 70_000}, "value")


def test_pasting_shows_the_difference_before_it_saves(blog, host, owner):
    for key, value in (("SAME", "1"), ("OTHER", "1"), ("GONE", "1")):
        blog.variables.create(key=key, value=value)
    client = browser(owner)
    given = {"dotenv": "SAME=1\nOTHER=2\nNEW=3\n", "replace": "on"}
    shown = parsed(client.post("/deployments/blog/variables/paste/", given)).words
    assert "NEW added OTHER changed GONE removed SAME the same" in shown
    assert blog.variables.count() == 3
    assert client.post("/deployments/blog/variables/paste/", {**given, "save": "yes"}).status_code == 302
    assert {row.key: row.value for row in blog.variables.all()} == {"SAME": "1", "OTHER": "2", "NEW": "3"}


def settings_of(blog: Deployment, **changes: str) -> dict[str, str]:
    return {"repository": blog.repository, "keep_releases": "5"} | changes


def test_settings_are_kept_and_shown_again(blog, host, owner):
    client = browser(owner)
    given = settings_of(blog, python="3.12", memory_mib="256", overlay="false", health_timeout="30", publish="public")
    assert client.post("/deployments/blog/settings/", given).status_code == 302
    blog.refresh_from_db()
    kept = {"python": "3.12", "memory_mib": 256, "overlay": False, "health_timeout": 30.0, "publish": "public"}
    assert blog.overrides == kept
    page = client.get("/deployments/blog/settings/").content.decode()
    assert '<option value="false" selected>' in page
    assert 'value="3.12"' in page
    client.post("/deployments/blog/settings/", settings_of(blog))
    blog.refresh_from_db()
    assert blog.overrides == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("repository", "http://github.com/a/b"),
        ("ref", "$(id)"),
        ("root", "../x"),
        ("python", "latest"),
        ("memory_mib", "1"),
        ("workers", "99"),
        ("keep_releases", "0"),
        ("kind", "php"),
        ("health_timeout", "soon"),
    ],
)
def test_a_wrong_setting_is_refused_beside_its_field(field, value, blog, host, owner):
    refused(browser(owner), "/deployments/blog/settings/", settings_of(blog, **{field: value}), field)
    blog.refresh_from_db()
    assert blog.overrides == {}
    assert blog.repository == "https://github.com/acme/blog"


def test_the_token_stays_when_it_is_left_empty_and_goes_when_asked(blog, host, owner):
    blog.token = "ghp_secret"
    blog.save()
    client = browser(owner)
    client.post("/deployments/blog/settings/", settings_of(blog))
    blog.refresh_from_db()
    assert blog.token == "ghp_secret"
    client.post("/deployments/blog/settings/", settings_of(blog, forget_token="on"))
    blog.refresh_from_db()
    assert blog.token == ""


def test_csrf_a_form_without_its_token_is_refused(blog, owner):
    client = browser(owner)
    client.handler.enforce_csrf_checks = True
    response = client.post("/deployments/blog/deploy/")
    assert response.status_code == 403
    assert "This page was open too long" in parsed(response).words
