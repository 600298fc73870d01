"""What a person can ask of a deployment: one function each. It permits, changes rows, audits, and rings the doorbell.

Every door (page, API, worker) calls these and nothing below them.
"""

from __future__ import annotations

from apps.deployments.actions import deployments, power, releases, variables

__all__ = ["deployments", "power", "releases", "variables"]
