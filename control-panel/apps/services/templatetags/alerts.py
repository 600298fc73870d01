"""Banners for what somebody should know although nobody asked."""

from __future__ import annotations

from typing import Any

from django import template

from apps.deployments.models import Deployment
from apps.services import alerts

register = template.Library()
SHOWN = 5


@register.inclusion_tag("services/alerts.html", takes_context=True)
def alerts_of(context: dict[str, Any], deployment: Deployment) -> dict[str, Any]:
    """Those of one deployment."""
    rows = alerts.open_for(context["request"].actor).filter(deployment=deployment)
    return {"alerts": rows[:SHOWN], "named": False}


@register.inclusion_tag("services/alerts.html", takes_context=True)
def alerts_here(context: dict[str, Any]) -> dict[str, Any]:
    """All that this person should see."""
    rows = list(alerts.open_for(context["request"].actor)[: SHOWN + 1])
    return {"alerts": rows[:SHOWN], "more": len(rows) > SHOWN, "named": True}
