"""A request that makes something may come twice, because its first answer was lost. With an Idempotency-Key the
second gets the first one's answer. The primary key of the row decides which of two that come together is the first."""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, cast

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from apps.api.auth import Request
from apps.api.models import KeptAnswer
from apps.core.clock import now
from apps.core.errors import Conflict, Invalid

KEPT_FOR = timedelta(hours=24)
AT_WORK_FOR = timedelta(minutes=2)
HEADER = "Idempotency-Key"
P = ParamSpec("P")


def once(view: Callable[Concatenate[Request, P], Any]) -> Callable[Concatenate[Request, P], Any]:
    """Do the work once per token and Idempotency-Key. Without the header it is done each time."""

    @functools.wraps(view)
    def wrapped(request: Request, *args: P.args, **kwargs: P.kwargs) -> Any:
        key = request.headers.get(HEADER, "")
        if not key:
            return view(request, *args, **kwargs)
        if len(key) > 200:
            raise Invalid(f"{HEADER} has at most 200 characters.", fields={HEADER: ["Too long."]})
        row = _claim(request, _sha256(f"{request.token.pk}:{key}"))
        if row.status is not None:
            return _again(row)
        request.kept_answer = row  # type: ignore[attr-defined]  # the edge fills it in
        return view(request, *args, **kwargs)

    # The declaration is read from here, where the names in the view's annotations are not known.
    wrapped.__signature__ = inspect.signature(view, eval_str=True)  # type: ignore[attr-defined]
    return cast(Callable[Concatenate[Request, P], Any], wrapped)


def keep(request: HttpRequest, response: HttpResponseBase) -> None:
    """Called at the edge with the finished answer. A failure of ours is not kept: the request may be tried again."""
    row: KeptAnswer | None = getattr(request, "kept_answer", None)
    if row is None:
        return
    if response.status_code >= 500 or not isinstance(response, HttpResponse):
        row.delete()
        return
    row.status = response.status_code
    row.body = response.content.decode()
    row.content_type = response["Content-Type"]
    row.save()


def _claim(request: Request, key: str) -> KeptAnswer:
    at = now()
    old = KeptAnswer.objects.filter(kept_at__lt=at - KEPT_FOR)
    (old | KeptAnswer.objects.filter(status=None, kept_at__lt=at - AT_WORK_FOR)).delete()
    asked = _sha256(f"{request.method} {request.path} ".encode() + request.body)
    try:
        with transaction.atomic():
            return KeptAnswer.objects.create(key=key, request=asked, kept_at=at)
    except IntegrityError:
        row = KeptAnswer.objects.filter(key=key).first()
    if row is None or row.status is None:
        raise Conflict(
            "The first request with this key is still at work.", hint="Try again in a moment.", code="in_progress"
        )
    if row.request != asked:
        raise Conflict(f"This {HEADER} was used for another request.", hint="Use a new key.", code="key_reused")
    return row


def _again(row: KeptAnswer) -> HttpResponse:
    response = HttpResponse(row.body, status=row.status, content_type=row.content_type)
    response["Idempotent-Replayed"] = "true"
    return response


def _sha256(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()
