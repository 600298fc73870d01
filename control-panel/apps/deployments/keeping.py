"""Which releases stay on disk: the live one, and some to go back to, by count and by space."""

from __future__ import annotations

from apps.deployments.models import Deployment, Release, State
from webops_host.ports import Host


def prune(host: Host, deployment: Deployment) -> int:
    """Forget the files of releases beyond those to keep, and of any that no row vouches for; what an earlier removal
    left lying goes too. Returns how many."""
    keep = _kept_files(deployment, deployment.keep_releases)
    return _forget(host, deployment, keep)


def make_room(host: Host, deployment: Deployment) -> int:
    """Forget everything but what is live. Returns how many releases went."""
    return _forget(host, deployment, _kept_files(deployment, 1))


def _kept_files(deployment: Deployment, count: int) -> set[int]:
    """Numbers of file sets to keep: the live one first, then those that were live last."""
    rows = deployment.releases.filter(files_kept=True, state__in=(State.LIVE, State.RETIRED)).order_by("-live_at")
    kept: list[int] = [row.files for row in rows.filter(state=State.LIVE) if row.files]
    for row in rows:
        if row.files and row.files not in kept and len(kept) < count:
            kept.append(row.files)
    running = deployment.releases.filter(state=State.RUNNING).values_list("files", flat=True)
    return {*kept, *(number for number in running if number)}


def _forget(host: Host, deployment: Deployment, keep: set[int]) -> int:
    gone = 0
    accounts = host.accounts
    for number in (*accounts.releases(deployment.slug), *accounts.leftovers(deployment.slug)):
        if number not in keep:
            accounts.discard(deployment.slug, number)
            gone += 1
    Release.objects.filter(deployment=deployment, files_kept=True).exclude(files__in=keep).update(files_kept=False)
    return gone
