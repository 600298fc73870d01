"""What a person can ask of a deployment: one function each. It permits, changes rows, audits, and rings the doorbell.

Every door (page, API, worker) calls these and nothing below them.
"""

from __future__ import annotations

from apps.deployments.actions import (
    certificates,
    commands,
    databases,
    deployments,
    domains,
    power,
    releases,
    scaling,
    site,
    variables,
)

__all__ = [
    "certificates",
    "commands",
    "databases",
    "deployments",
    "domains",
    "power",
    "releases",
    "scaling",
    "site",
    "variables",
]
