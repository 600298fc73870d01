"""What a person can ask of the platform itself: one function each, as in `deployments.actions`."""

from __future__ import annotations

from apps.core.actions import git_servers

__all__ = ["git_servers"]
