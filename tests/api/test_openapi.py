"""The committed description of the API is fresh, and the API keeps to it whatever it is sent."""

from __future__ import annotations

import json
from pathlib import Path

from apps.api.management.commands import openapi

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_committed_description_is_fresh():
    assert FILE.read_text() == openapi.text(), (
        "Run: cd control-panel && python manage.py openapi > ../docs/openapi.json"
    )


def test_every_operation_has_a_name_and_says_how_it_can_fail():
    for path, operations in json.loads(FILE.read_text())["paths"].items():
        for method, operation in operations.items():
            assert "apps_" not in operation["operationId"], (method, path)
            assert {"401", "403", "404", "422", "429", "500"} <= set(operation["responses"]), (method, path)
