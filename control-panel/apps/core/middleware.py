"""Every page needs a sign-in unless it is named here; refusals become pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from apps.core.access import Actor
from apps.core.errors import Refused
from webops_host.errors import BadValue, HostError, HostUnreachable, NotFound

GetResponse = Callable[[HttpRequest], HttpResponseBase]

OPEN_PAGES = frozenset(
    {
        "account_login",
        "account_logout",
        "account_signup",
        "account_inactive",
        "account_reset_password",
        "account_reset_password_done",
        "account_reset_password_from_key",
        "account_reset_password_from_key_done",
        "core:healthz",
        "core:favicon",
        "core:entrance",
    }
)
"""Routes without a sign-in. Files under /static/ never come this far; the API under /api/v1/ asks for its token."""
API = "/api/v1/"

TITLES = {
    400: "That did not work",
    403: "Your role does not allow this",
    404: "Not found",
    409: "Not possible right now",
    410: "This link is over",
    503: "The host does not answer",
}


class RequireSignIn:
    """Deny by default. No answer is kept by a cache; files under /static/ are not answered here."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        user = request.user
        if user.is_authenticated:
            request.actor = Actor(user, address=request.META.get("REMOTE_ADDR") or None)  # type: ignore[attr-defined]  # doors.Request
            return None
        match = request.resolver_match
        if request.path_info.startswith(API) or (match is not None and match.view_name in OPEN_PAGES):
            return None
        wanted = request.get_full_path() if request.method in ("GET", "HEAD") else "/"
        return redirect_to_login(wanted)


class Refusals:
    """A refusal that no form shows becomes a page that says what happened and what to do next."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if request.path_info.startswith(API) or not isinstance(error, Refused | HostError):
            return None
        return page(request, error)


def page(request: HttpRequest, error: Refused | HostError) -> HttpResponse:
    """The refusal as a page."""
    status = error.status if isinstance(error, Refused) else _status(error)
    shown = {"title": TITLES.get(status, TITLES[400]), "message": error.message, "hint": error.hint, "status": status}
    return render(request, "refused.html", shown, status=status)


def _status(error: HostError) -> int:
    if isinstance(error, BadValue):
        return 400
    if isinstance(error, NotFound):
        return 404
    return 503 if isinstance(error, HostUnreachable) else 409
