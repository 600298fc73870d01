"""The committed description of the API is fresh, and the API keeps to it whatever it is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks
from tests.api import stories
from tests.api.conftest import token_of

from apps.api.management.commands import openapi

FILE = Path(__file__).parents[2] / "docs" / "openapi.json"
schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", get_wsgi_application())
PROMISES = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
AGAIN = "Run: cd control-panel && python manage.py openapi > ../docs/openapi.json"


def test_the_committed_description_is_fresh():
    assert FILE.read_text() == openapi.text(), AGAIN


def test_every_operation_has_a_name_and_says_how_it_can_fail():
    for path, operations in json.loads(FILE.read_text())["paths"].items():
        for method, operation in operations.items():
            assert "apps_" not in operation["operationId"], (method, path)
            assert {"401", "403", "404", "422", "429", "500"} <= set(operation["responses"]), (method, path)


@pytest.fixture
def token(blog, owner) -> str:
    stories.went_live(blog)
    stories.went_live(blog)
    return token_of(owner)


def few(examples: int, *phases: Phase) -> settings:
    every = list(HealthCheck)
    return settings(max_examples=examples, deadline=None, derandomize=True, phases=phases, suppress_health_check=every)


@schema.parametrize()
@few(3, Phase.generate)
def test_the_api_keeps_to_its_description(case, token):
    keep_to_it(case, token)


@pytest.mark.slow
@schema.parametrize()
@few(25, Phase.explicit, Phase.generate)
def test_the_api_keeps_to_its_description_at_every_border(case, token):
    keep_to_it(case, token)


def keep_to_it(case: schemathesis.Case, token: str) -> None:
    """Once as it comes, once with names of things that are there."""
    (case.query or {}).pop("wait", None)
    for known in ({}, {"name": "blog", "number": 2}):
        for name in set(known) & set(case.path_parameters or {}):
            case.path_parameters[name] = known[name]
        with transaction.atomic():
            answer = case.call(headers={"Authorization": f"Bearer {token}"})
            transaction.set_rollback(True)
        case.validate_response(answer, checks=PROMISES)
