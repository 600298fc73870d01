"""Every error of the API as a problem document (RFC 9457), with a hint that says what to do next.

Sentences of refusals go out as they are; of anything unexpected only the request's id, which is in the panel's log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError
from pydantic import Field

from apps.api.schema import Schema
from apps.core.errors import Refused
from apps.core.lines import UNREACHABLE
from webops_host.errors import BadValue, HostError, HostUnreachable

log = logging.getLogger("webops.api")
CONTENT_TYPE = "application/problem+json"
STATUSES = (400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503)


class FieldError(Schema):
    field: str
    message: str


class Problem(Schema):
    """What went wrong, and what to do next. `code` is for programs and stays the same."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    hint: str = ""
    errors: list[FieldError] = Field(default_factory=list)
    request_id: str


PROBLEMS: Mapping[Any, Any] = {}
"""What every operation may answer besides its own, for its declaration: a problem of each of the `STATUSES`. The edge
describes them once for all; declared one by one they were a thousand models, and 18 MiB of every panel."""


class TooMany(Refused):
    status = 429
    code = "too_many_requests"

    def __init__(self, message: str, *, wait: int) -> None:
        super().__init__(message, hint=f"Try again in {wait} seconds.")
        self.wait = wait


class Unauthenticated(Refused):
    status = 401
    code = "not_signed_in"


def answer(
    request: HttpRequest,
    status: int,
    detail: str,
    *,
    code: str,
    hint: str = "",
    errors: list[FieldError] | None = None,
) -> HttpResponse:
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        hint=hint,
        errors=errors or [],
        request_id=getattr(request, "request_id", ""),
    )
    response = HttpResponse(problem.model_dump_json(), status=status, content_type=CONTENT_TYPE)
    if status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="webops"'
    return response


def install(api: NinjaAPI) -> None:
    """Tell the API how each kind of error is answered."""
    for kind, handle in (
        (Refused, _refused),
        (HostError, _host_error),
        (ValidationError, _invalid),
        (AuthenticationError, _not_signed_in),
        (HttpError, _http_error),
        (Http404, _missing),
        (RequestDataTooBig, _too_big),
        (Exception, _unexpected),
    ):
        api.add_exception_handler(kind, handle)  # type: ignore[arg-type]  # each takes its own kind of error


def _refused(request: HttpRequest, error: Refused) -> HttpResponse:
    errors = [FieldError(field=name, message=text) for name, texts in error.fields.items() for text in texts]
    response = answer(request, error.status, error.message, code=error.code, hint=error.hint, errors=errors)
    if isinstance(error, TooMany):
        response["Retry-After"] = str(error.wait)
    return response


def _host_error(request: HttpRequest, error: HostError) -> HttpResponse:
    status = 503 if isinstance(error, HostUnreachable) else 400 if isinstance(error, BadValue) else 502
    return answer(request, status, error.message, code=error.code, hint=error.hint)


def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [FieldError(field=_field(item["loc"]), message=str(item["msg"])[:500]) for item in error.errors]
    names = ", ".join(dict.fromkeys(item.field for item in errors))
    return answer(
        request,
        422,
        f"The request does not fit this operation: {names}."[:500],
        code="unprocessable",
        hint="See docs/openapi.json for what it takes.",
        errors=errors,
    )


def _field(place: tuple[Any, ...]) -> str:
    """`repository` rather than `body.wanted.repository`: what a person would call it."""
    return ".".join(str(part) for part in place[2:] or place[1:] or place)[:200] or "body"


def _not_signed_in(request: HttpRequest, error: Exception) -> HttpResponse:
    return answer(
        request,
        401,
        "This needs a token that is valid now, in the header “Authorization: Bearer …”.",
        code="not_signed_in",
        hint="Sign in with “webops login”, or make a token in the panel.",
    )


def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return answer(request, error.status_code, error.message, code="bad_request", hint="The body has to be valid JSON.")


def _missing(request: HttpRequest, error: Exception) -> HttpResponse:
    return answer(request, 404, "There is no such thing here, or you may not see it.", code="not_found")


def _too_big(request: HttpRequest, error: Exception) -> HttpResponse:
    return answer(request, 413, "The request is larger than 2 MiB.", code="too_large", hint="Send less at once.")


def _no_database(request: HttpRequest, error: Exception) -> HttpResponse:
    log.warning("the database can not be reached: %s", error)
    response = answer(
        request,
        503,
        "The panel's database can not be reached.",
        code="database_unreachable",
        hint="Try again in a moment. What is live goes on serving.",
    )
    response["Retry-After"] = "5"
    return response


def _unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    request_id = getattr(request, "request_id", "")
    if isinstance(error, UNREACHABLE):
        return _no_database(request, error)
    log.error("request %s %s %s failed", request_id, request.method, request.path, exc_info=error)
    return answer(
        request,
        500,
        "Something went wrong in the panel.",
        code="internal_error",
        hint=f"The panel's log says more under the request id {request_id}.",
    )
