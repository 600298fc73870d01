"""The outer rim of the API: every answer, also one that no operation gave, gets a request id, the state of the rate
limit, `no-store`, and the form of a problem document when it is an error."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver, re_path
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.schema import NinjaGenerateJsonSchema

from apps.api import errors, idempotency
from apps.api.schema import Schema

SCHEMAS = "#/components/schemas/"
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
        """Errors are problem documents, described once and not at every operation; ninja can not be told so."""
        schema = super().get_openapi_schema(**kwargs)
        known = {status: {"$ref": f"#/components/responses/Problem{status}"} for status in errors.STATUSES}
        for operations in schema["paths"].values():
            for operation in operations.values():
                operation["responses"] |= known
        components = schema["components"]
        components["schemas"] |= _schemas(errors.Problem)
        content = {errors.CONTENT_TYPE: {"schema": {"$ref": f"{SCHEMAS}Problem"}}}
        components["responses"] = {
            f"Problem{status}": {"description": HTTPStatus(status).phrase, "content": content}
            for status in errors.STATUSES
        }
        return schema


def _schemas(model: type[Schema]) -> dict[str, Any]:
    """A model and those that it is made of, as parts of the description."""
    whole = model.model_json_schema(ref_template=f"{SCHEMAS}{{model}}", schema_generator=NinjaGenerateJsonSchema)
    return {**whole.pop("$defs", {}), model.__name__: whole}


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
