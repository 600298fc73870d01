"""Removing a deployment from its host and from the rows."""

from __future__ import annotations

from apps.databases import actions as databases
from apps.deployments import logs
from apps.deployments.models import Deployment
from webops_host.ports import Host


def remove(deployment: Deployment, host: Host) -> None:
    """Everything of it: units, site, files, database, logs, rows. Again after a crash: goes on where it was.

    The account goes last: with it the host forgets the fence, and a later deployment of this name counts anew.
    """
    for unit in host.processes.status(deployment.slug):
        host.processes.remove(unit.ref)
    databases.drop(host, deployment)
    host.accounts.remove(deployment.slug)
    for release_id in deployment.releases.values_list("pk", flat=True):
        logs.path(release_id).unlink(missing_ok=True)
    for command_id in deployment.commands.values_list("pk", flat=True):
        logs.command_path(command_id).unlink(missing_ok=True)
    deployment.delete()
