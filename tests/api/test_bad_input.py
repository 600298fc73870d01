"""INJ-01 to INJ-05 at the API: 400 with the field, nothing made, nothing run."""

from __future__ import annotations

import pytest
from tests import bad_input

from apps.deployments.models import Deployment, Release

GOOD = {"name": "shop", "repository": "https://github.com/acme/shop"}


def refused(answer, field: str) -> None:
    assert answer.status_code == 400, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field
    assert answer.json()["hint"]


@pytest.mark.parametrize(("case", "text"), bad_input.cases(bad_input.REFS), ids=bad_input.label)
def test_a_bad_ref_is_refused(case, text, as_mate, blog, host):
    refused(as_mate.post("deployments", json={**GOOD, "ref": text}), "ref")
    refused(as_mate.patch("deployments/blog", json={"ref": text}), "ref")
    refused(as_mate.post("deployments/blog/deploy", json={"ref": text}), "ref")
    assert Deployment.objects.count() == 1
    assert not Release.objects.exists()
    assert host.did == []


@pytest.mark.parametrize(("case", "text"), bad_input.cases(bad_input.REPOSITORIES), ids=bad_input.label)
def test_a_bad_repository_is_refused(case, text, as_mate, blog, host):
    refused(as_mate.post("deployments", json={**GOOD, "repository": text}), "repository")
    refused(as_mate.patch("deployments/blog", json={"repository": text}), "repository")
    assert Deployment.objects.get().repository == "https://github.com/acme/blog"
    assert host.did == []


@pytest.mark.parametrize(("case", "text"), bad_input.cases(bad_input.NAMES), ids=bad_input.label)
def test_a_bad_name_is_refused(case, text, as_mate, team, host):
    refused(as_mate.post("deployments", json={**GOOD, "name": text}), "name")
    assert not Deployment.objects.exists()


@pytest.mark.parametrize("name", ["%2e%2e%2fx", "a%00b", "a%0ab", "-rf", "Blog", "a" * 5000])
def test_inj_05_a_bad_name_in_the_path_is_not_found(name, as_mate, blog):
    assert as_mate.get(f"deployments/{name}").status_code == 404
    assert as_mate.post(f"deployments/{name}/deploy").status_code == 404


@pytest.mark.parametrize("text", ["../x", "/etc", "a/../b", "a\\b", "a\x00", ".git", "a//b", "x" * 401])
def test_a_bad_folder_is_refused(text, as_mate, team, host):
    refused(as_mate.post("deployments", json={**GOOD, "root": text}), "root")


def test_inj_04_the_canonical_form_is_stored_once(as_mate, team, host):
    made = as_mate.post("deployments", json={"name": "shop", "repository": "GitHub.com/Acme/shop/", "deploy": False})
    assert made.json()["repository"] == "https://github.com/Acme/shop"
