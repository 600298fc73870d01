"""For tests of pages: a browser of a person, a deployment that is live, and what no page may contain."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.test import Client

from apps.core.clock import now
from apps.core.models import User
from apps.deployments.models import Deployment, Release, ReleaseStep, State, StepState, Wish
from apps.deployments.plan import Django, Finding, Kind, Plan, Process, Wanted
from webops_host import codec
from webops_host.fake import FakeHost
from webops_host.names import Digest, DottedName, ProcessKind, PythonVersion, VariableKey
from webops_host.values import Gunicorn, PythonPlan, Runtime, Site, Unit, UnitRef

WEB = Gunicorn(DottedName("blog.wsgi"))
PLAN = Plan(
    kind=Kind.DJANGO,
    python=PythonPlan(PythonVersion("3.12"), ("django",), Digest("ab" * 16)),
    django=Django(DottedName("blog.settings"), "5.2", migrations="one"),
    processes=(Process(ProcessKind("web"), WEB),),
    findings=(Finding("Kind", "Django 5.2", "manage.py is there", "detection", "manage.py:1"),),
    wanted=(
        Wanted(VariableKey("STRIPE_KEY"), "Takes payments", required=True, secret=True, where="pay.py:3"),
        Wanted(VariableKey("SECRET_KEY"), "Signs sessions", required=True, secret=True, generate=True),
    ),
)


def browser(user: User | None = None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def release(deployment: Deployment, number: int | None, state: State, plan: Plan = PLAN, **fields: Any) -> Release:
    """A release as the pipeline would leave it, with one step."""
    at = now()
    made = Release.objects.create(
        deployment=deployment,
        number=number,
        kind="deploy" if number else "inspect",
        state=state,
        files=number,
        **{
            "commit": f"{number or 0:040x}",
            "subject": "Add a page",
            "ref": "main",
            "plan_data": codec.dump(plan),
            "variables": json.dumps({"MODE": "old"}),
            "started_at": at,
            "live_at": at if state in (State.LIVE, State.RETIRED) else None,
            "finished_at": None if state in (State.QUEUED, State.RUNNING) else at,
            "files_kept": state in (State.LIVE, State.RETIRED),
            **fields,
        },
    )
    ReleaseStep.objects.create(
        release=made, position=0, name="fetch", state=StepState.DONE, started_at=at, finished_at=at, note="main"
    )
    return made


def live(deployment: Deployment, host: FakeHost, number: int = 1, plan: Plan = PLAN) -> Release:
    """A live release whose web process runs and whose site is served."""
    made = release(deployment, number, State.LIVE, plan)
    name = deployment.slug
    ref = UnitRef(name, number, ProcessKind("web"))
    if plan.kind is not Kind.STATIC:
        host.processes.install(Unit(ref, WEB, Runtime(name, number), serves=True))
        host.processes.start(ref)
    address = host.sites.publish(Site(name, number, ref if plan.kind is not Kind.STATIC else None))
    deployment.url, deployment.wish, deployment.kind = address.url, Wish.UP, plan.kind
    deployment.save()
    return made


@dataclass
class Page(HTMLParser):
    """What a page holds: its text, its ids, its links, and what the content policy forbids."""

    text: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    disabled: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    _inside: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and not given.get("src")):
            self.forbidden.append(f"<{tag}>")
        self.forbidden += [f"{tag} {name}" for name in given if name == "style" or name.startswith("on")]
        self.forbidden += [f"{tag} {value}" for value in given.values() if (value or "").startswith("javascript:")]
        if tag in ("script", "link", "img", "use", "iframe"):
            address = given.get("src") or given.get("href") or ""
            self.elsewhere += [address] if not address.startswith("/static/") else []
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if "disabled" in given and tag == "button":
            self.disabled.append(given.get("title") or "")
        self._inside = tag

    def handle_data(self, text: str) -> None:
        if self._inside != "script":
            self.text.append(text)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def parsed(response: Any) -> Page:
    page = Page()
    page.feed(response.content.decode())
    return page
