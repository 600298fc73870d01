"""The steps of the setup, in their order. Steps of one row are taken at the same time."""

from __future__ import annotations

from webops_install.engine import Group
from webops_install.steps import (
    accounts,
    certificates,
    decisions,
    folders,
    hardening,
    packages,
    panel_certificate,
    postgres,
    redis,
    release,
    services,
    units,
    walls,
    web,
)

BESIDE: tuple[Group, ...] = (
    (accounts.STEP,),
    (folders.STEP,),
    (packages.FIRST_STEP,),
    (decisions.STEP,),
    (packages.STEP, release.STEP),
)
"""Those that touch nothing of a version that is live."""

STEPS: tuple[Group, ...] = (
    *BESIDE,
    (folders.LATE_STEP, redis.STEP, certificates.STEP),
    (postgres.STEP,),
    (postgres.TABLES_STEP,),
    (units.STEP,),
    (web.STEP,),
    (hardening.STEP,),
    (services.STEP,),
    (panel_certificate.STEP,),
    (walls.STEP,),
)
