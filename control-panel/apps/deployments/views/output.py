"""Logs: of a release as a live stream and a file, of an app as lines to ask for."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.core.doors import Request
from apps.core.errors import Missing
from apps.deployments import logs, speaking, stream
from apps.deployments.models import Release
from apps.deployments.views import found
from webops_host.errors import HostError
from webops_host.values import LogLine

SHOWN = 500
DOWNLOADED = 20_000
CHUNK = 10_000


@require_safe
def events(request: Request, name: str, number: int) -> HttpResponseBase:
    return _stream(request, found.release(request, name, number))


@require_safe
def look_events(request: Request, name: str) -> HttpResponseBase:
    """The newest look at the repository, as it happens."""
    return _stream(request, _inspection(request, name))


def _inspection(request: Request, name: str) -> Release:
    inspection = found.inspection(found.deployment(request, name))
    if inspection is None:
        raise Missing("Nobody has looked at this repository yet.")
    return inspection


def _stream(request: Request, release: Release) -> HttpResponseBase:
    valid = partial(signed_in, request.session)
    return stream.response(request, release.pk, request.actor, valid=valid)


def signed_in(session: SessionBase) -> bool:
    """Whether the session that opened the stream would still open it: signing out, another password and a disabled
    account end the stream as well."""
    now = HttpRequest()
    now.session = type(session)(session.session_key)
    return session.session_key is not None and get_user(now).is_authenticated


@require_safe
def release_log(request: Request, name: str, number: int) -> HttpResponse:
    """The whole log of a release as plain text."""
    release = found.release(request, name, number)
    return text(f"{name}-release-{number}.log", _whole(release))


@require_safe
def look_log(request: Request, name: str) -> HttpResponse:
    return text(f"{name}-look.log", _whole(_inspection(request, name)))


def _whole(release: Release) -> str:
    made: list[str] = []
    position = 0
    while lines := logs.read(release.pk, after=position, limit=CHUNK):
        position = lines[-1].position
        made.extend(f"{line.at.isoformat(timespec='milliseconds')} {line.step:8} {line.text}\n" for line in lines)
    return "".join(made)


def text(file_name: str, content: str) -> HttpResponse:
    """Plain text as a file."""
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    return HttpResponse(content.encode("utf-8", "replace"), content_type="text/plain; charset=utf-8", headers=headers)


@require_safe
def app(request: Request, name: str) -> HttpResponse:
    """What the app printed last; a script asks for more."""
    deployment = found.deployment(request, name)
    shown = found.head(request, deployment, "logs")
    try:
        lines = speaking.lines(deployment, limit=SHOWN)
    except HostError as error:
        return render(request, "deployments/logs.html", shown | {"error": error, "lines": []})
    shown |= {"lines": [_shown(line) for line in lines], "after": lines[-1].position if lines else 0}
    return render(request, "deployments/logs.html", shown)


@require_safe
def app_lines(request: Request, name: str) -> JsonResponse:
    """Lines after a position, oldest first."""
    deployment = found.deployment(request, name)
    given = request.GET.get("after", "")
    after = int(given) if given.isascii() and given.isdecimal() and len(given) < 19 else 0
    lines = speaking.lines(deployment, after=after, limit=SHOWN)
    return JsonResponse(
        {
            "lines": [
                {"position": line.position, "at": line.at, "from": _process(line.unit), "text": line.text}
                for line in lines
            ]
        }
    )


@require_safe
def app_log(request: Request, name: str) -> HttpResponse:
    """The last lines of the app as plain text."""
    deployment = found.deployment(request, name)
    lines = speaking.lines(deployment, limit=DOWNLOADED)
    return text(f"{name}.log", "".join(f"{_moment(line).isoformat()} {line.unit} {line.text}\n" for line in lines))


def _shown(line: LogLine) -> dict[str, object]:
    return {"at": _moment(line), "step": _process(line.unit), "text": line.text}


def _moment(line: LogLine) -> datetime:
    return datetime.fromtimestamp(line.at, tz=UTC)


def _process(unit: str) -> str:
    """The process kind of a unit's name: `blog-12-web-1` is `web`."""
    parts = unit.rsplit("-", 2)
    return parts[1] if len(parts) == 3 else unit
