"""A domain on its way from one deployment to another: the one lets go of it in its own lane, and may be busy. The other
one's errand says so, and its site follows by itself."""

from __future__ import annotations

from collections.abc import Callable

from apps.core import queue
from apps.core.errors import Conflict
from apps.deployments.models import Deployment, Errand, ErrandKind, WorkState
from webops_host.errors import BadValue

HOLDER = "holder"


def patiently(errand: Errand, publish: Callable[[], object]) -> None:
    """Have a site published, and have those go on who wait for what it has no more. Raises Conflict to wait."""
    try:
        publish()
    except BadValue as error:
        _note(errand, error)
        _again(publish)  # between the refusal and the note it may have been let go
    let_go(errand.deployment)


def let_go(deployment: Deployment) -> None:
    """Ask for the sites that wait for a name of this deployment."""
    rows = Errand.objects.filter(arguments__holder=deployment.slug, deployment__host=deployment.host)
    for errand in rows.exclude(state=WorkState.DONE).select_related("deployment__host"):
        Errand.objects.filter(pk=errand.pk).update(arguments={})
        waits = errand.deployment
        if not waits.errands.filter(kind=ErrandKind.PUBLISH, state=WorkState.QUEUED).exists():
            Errand.objects.create(deployment=waits, kind=ErrandKind.PUBLISH, by_platform=True)
            queue.ring(waits.host.name, waits.pk)


def _note(errand: Errand, error: BadValue) -> None:
    """Who has the name. Any other error is raised."""
    if HOLDER not in error.facts:
        raise error
    Errand.objects.filter(pk=errand.pk).update(arguments={HOLDER: str(error.facts[HOLDER])})


def _again(publish: Callable[[], object]) -> None:
    try:
        publish()
    except BadValue as error:
        if HOLDER not in error.facts:
            raise
        raise Conflict(
            "One of its domains still leads to another deployment, which is busy.",
            hint="It leads here as soon as that has let go of it; there is nothing to do.",
            code="domain_held",
        ) from None
