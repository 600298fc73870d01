"""The outer rim of the API: every answer, also one that no operation gave, gets a request id, the state of the rate
limit, `no-store`, and the form of a problem document when it is an error."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, re_path
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from apps.api import errors, idempotency

View = Callable[..., HttpResponseBase]


class Api(NinjaAPI):
    @property
    def urls(self) -> tuple[list[URLResolver | URLPattern], str, str]:
        patterns, app_name, namespace = super().urls
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                pattern.callback = rimmed(pattern.callback)
        patterns.append(re_path(r"^.*$", rimmed(_nothing_here), name="nothing-here"))
        return patterns, app_name, namespace

    def get_openapi_schema(self, **kwargs: Any) -> OpenAPISchema:
        """Errors are problem documents, written once and not at every operation; ninja can not be told so."""
        schema = super().get_openapi_schema(**kwargs)
        problems: dict[str, Any] = {}
        for operations in schema["paths"].values():
            for operation in operations.values():
                for status, given in operation["responses"].items():
                    if status >= 400:
                        content = {errors.CONTENT_TYPE: given["content"]["application/json"]}
                        problems[f"Problem{status}"] = {**given, "content": content}
                        operation["responses"][status] = {"$ref": f"#/components/responses/Problem{status}"}
        schema["components"]["responses"] = problems
        return schema


def rimmed(view: View) -> View:
    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.request_id = secrets.token_hex(8)  # type: ignore[attr-defined]  # auth.Request
        try:
            response = view(request, *args, **kwargs)
        except Http404:
            response = _nothing_here(request)
        if response.status_code == 405:
            response = _not_allowed(request, response)
        idempotency.keep(request, response)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]  # auth.Request
        response.headers.setdefault("Cache-Control", "no-store")
        usage = getattr(request, "usage", None)
        for name, value in (usage.headers() if usage else {}).items():
            response[name] = value
        return response

    wrapped.csrf_exempt = True  # type: ignore[attr-defined]  # Django's own mark: there is no cookie to misuse
    return wrapped


def _not_allowed(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    allowed = response["Allow"]
    problem = errors.answer(
        request, 405, f"{request.method} is not possible here.", code="method_not_allowed", hint=f"Use {allowed}."
    )
    problem["Allow"] = allowed
    return problem


def _nothing_here(request: HttpRequest) -> HttpResponse:
    return errors.answer(
        request, 404, "There is no such operation.", code="not_found", hint="See docs/openapi.json for all of them."
    )
