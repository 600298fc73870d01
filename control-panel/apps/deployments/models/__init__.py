"""Rows of deployments: what they are, the sites they have, and work on them that waits or was done."""

from __future__ import annotations

from apps.deployments.models.deployments import (
    OPEN,
    Deployment,
    DeploymentQuerySet,
    LogLine,
    Release,
    ReleaseKind,
    ReleaseStep,
    State,
    StepState,
    Variable,
    Wish,
)
from apps.deployments.models.sites import Certificate, CertificateSource, DomainName
from apps.deployments.models.work import (
    CommandRun,
    Errand,
    ErrandKind,
    Schedule,
    ScheduleRun,
    Turn,
    WorkState,
)

__all__ = [
    "OPEN",
    "Certificate",
    "CertificateSource",
    "CommandRun",
    "Deployment",
    "DeploymentQuerySet",
    "DomainName",
    "Errand",
    "ErrandKind",
    "LogLine",
    "Release",
    "ReleaseKind",
    "ReleaseStep",
    "Schedule",
    "ScheduleRun",
    "State",
    "StepState",
    "Turn",
    "Variable",
    "Wish",
    "WorkState",
]
