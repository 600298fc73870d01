"""Prints the description of the API: `python manage.py openapi > ../docs/openapi.json`."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand
from ninja.responses import NinjaJSONEncoder

from apps.api.urls import api


def text() -> str:
    """The same text for the same API, so that it can be compared."""
    schema = api.get_openapi_schema(path_prefix="/api/v1/")
    return json.dumps(schema, cls=NinjaJSONEncoder, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


class Command(BaseCommand):
    help = "Print the description of the API (OpenAPI 3.1)."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(text(), ending="")
