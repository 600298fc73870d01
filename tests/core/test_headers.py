"""What every answer carries, and what no request can do: headers, cookies, forged forms, methods, error pages."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests.core.test_pages_access import TABLE, address, world
from tests.support.pages import browser

from apps.api import actions
from apps.core.access import Actor
from apps.deployments.models import Deployment

__all__ = ["world"]  # a fixture
STATE = ("INSERT", "UPDATE", "DELETE", "REPLACE")
OURS_TO_WRITE = ("django_session", "core_cache", "api_counters", "core_security_audit_log")
ANSWERS = ("/deployments/", "/account/login/", "/no/such/page", "/healthz", "/api/v1/me", "/api/v1/nothing")
SECRET = "exploded-with-a-secret-7f3a9c"


@pytest.mark.parametrize("path", ANSWERS)
@pytest.mark.parametrize("signed_in", [True, False])
def test_headers_every_answer_has_them(path, signed_in, blog, owner):
    response = browser(owner if signed_in else None).get(path)
    headers = response.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "no-store" in headers["Cache-Control"]
    policy = headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "Server" not in headers


def test_headers_cookies_are_kept_from_scripts_and_other_sites(owner):
    client = Client()
    client.get("/account/login/")
    client.post("/account/login/", {"login": "olga", "password": "correct horse battery staple"})
    assert {"webops_session", "webops_csrf"} <= set(client.cookies)
    for cookie in client.cookies.values():
        assert cookie["httponly"], cookie.key
        assert cookie["samesite"] == "Lax", cookie.key
        assert cookie["domain"] == "", cookie.key


@pytest.mark.parametrize(
    "name", sorted(name for name, methods in TABLE.items() if "GET" in methods and name != "core:healthz")
)
def test_methods_reading_a_page_changes_nothing(name, world):
    browsers, keys = world
    url = address(name, keys)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        for role in ("anonymous", "owner"):
            response = browsers[role].get(url)
            if response.streaming:
                response.close()
    wrote = [query["sql"] for query in asked if query["sql"].lstrip().startswith(STATE)]
    assert [sql for sql in wrote if not any(table in sql for table in OURS_TO_WRITE)] == []


@pytest.mark.parametrize("name", sorted(name for name, methods in TABLE.items() if "POST" in methods))
def test_csrf_no_form_of_another_site_does_anything(name, world):
    browsers, keys = world
    client = browsers["owner"]
    client.handler.enforce_csrf_checks = True
    response = client.post(address(name, keys), {"confirm": "blog"}, HTTP_ORIGIN="https://evil.example")
    assert response.status_code == 403
    assert Deployment.objects.get(name="blog").wish == "up"


def test_csrf_a_cookie_opens_nothing_of_the_api(blog, owner):
    client = browser(owner)
    assert client.get("/api/v1/me").status_code == 401
    assert client.post("/api/v1/deployments/blog/deploy").status_code == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver"])
def test_headers_no_other_site_may_read_the_api(origin, blog, owner):
    token = actions.issue(Actor(owner), name="x", scope="read")[1]
    given = {"HTTP_AUTHORIZATION": f"Bearer {token}", "HTTP_ORIGIN": origin}
    for method in ("get", "options"):
        response = getattr(Client(), method)("/api/v1/me", **given)
        assert not [name for name in response.headers if name.startswith("Access-Control-")]


@pytest.mark.parametrize("path", ["/deployments/blog/logs/download", "/deployments/blog/releases/1/log"])
def test_headers_a_log_is_a_download_of_plain_text(path, world):
    browsers, _ = world
    response = browsers["owner"].get(path)
    assert response["Content-Type"].startswith("text/plain")
    assert response["Content-Disposition"].startswith("attachment")
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/deployments/", "/api/v1/deployments"])
def test_sec_01_an_unexpected_error_tells_nothing(path, blog, host, owner, caplog):
    def explode(values):
        raise RuntimeError(SECRET)

    token = actions.issue(Actor(owner), name="x", scope="admin")[1]
    from tests.support.pages import live

    live(blog, host)
    host.on["processes.status"] = explode
    client = browser(owner)
    client.raise_request_exception = False
    response = client.get(path, HTTP_AUTHORIZATION=f"Bearer {token}")
    assert response.status_code == 500
    for word in (SECRET, "Traceback", "RuntimeError", "/control-panel/", token):
        assert word not in response.content.decode()
