"""Domains, certificate, site, scale and commands through the API, with a worker in between."""

from __future__ import annotations

import json

import pytest
from tests.api import stories
from tests.deployments.test_domains import HERE, Names
from tests.deployments.test_worker import worker
from tests.support.certificates import pair
from tests.support.pages import live

from apps.core import dns
from apps.deployments.models import Release
from apps.deployments.plan import Kind, Plan


@pytest.fixture(autouse=True)
def names():
    made = Names(HERE)
    with dns.using(made):
        yield made


@pytest.fixture
def site(blog, host):
    live(blog, host, 1, Plan(kind=Kind.STATIC))
    return blog


def test_a_domain_from_adding_to_removing(as_mate, site, host):
    made = as_mate.post("deployments/blog/domains", json={"name": "WWW.example.com"})
    assert made.status_code == 201
    assert made.json()["errand"]["state"] == "queued"
    (item,) = made.json()["items"]
    assert (item["name"], item["primary"], item["proven"], item["points_here"]) == ("www.example.com", True, True, None)
    worker(host).work_once()
    shown = as_mate.get("deployments/blog/domains").json()
    (item,) = shown["items"]
    assert item["points_here"] is True
    assert {record["kind"]: record["says"] for record in item["records"]}["A"] == "Points here."
    assert (shown["default"], shown["address4"]) == ("http://127.0.0.1:8100", ["203.0.113.10"])
    as_mate.post("deployments/blog/domains", json={"name": "bücher.example"})
    changed = as_mate.post("deployments/blog/domains/xn--bcher-kva.example/primary").json()
    assert [one["shown"] for one in changed["items"] if one["primary"]] == ["bücher.example"]
    changed = as_mate.patch("deployments/blog/domains", json={"www": "to_bare"}).json()
    assert (changed["www"], changed["one_name"]) == ("to_bare", False)
    assert as_mate.post("deployments/blog/domains/check").status_code == 202
    left = as_mate.delete("deployments/blog/domains/xn--bcher-kva.example").json()
    assert [(one["name"], one["primary"]) for one in left["items"]] == [("www.example.com", True)]
    assert as_mate.delete("deployments/blog/domains/xn--bcher-kva.example").status_code == 404


@pytest.mark.parametrize(
    ("name", "code"),
    [("a.test; } server {", "invalid"), ("x.apps.test", "invalid"), ("www.example.com", "domain_taken")],
)
def test_inj_08_a_refusal_is_a_problem_with_its_field(name, code, as_mate, site):
    as_mate.post("deployments/blog/domains", json={"name": "www.example.com"})
    answer = as_mate.post("deployments/blog/domains", json={"name": name})
    assert answer.status_code in (400, 409)
    assert answer.json()["code"] == code


def test_the_certificate_of_its_names(as_mate, site, host):
    as_mate.post("deployments/blog/domains", json={"name": "www.example.com"})
    worker(host).work_once()
    shown = as_mate.get("deployments/blog/certificate").json()
    by_name = {item["host"]: item for item in shown["items"]}
    assert (by_name["www.example.com"]["source"], by_name["www.example.com"]["covered"]) == ("acme", True)
    own = pair("www.example.com")
    assert as_mate.put("deployments/blog/certificate", json=own).status_code == 202
    worker(host).work_once()
    shown = as_mate.get("deployments/blog/certificate")
    assert {item["source"] for item in shown.json()["items"]} == {"uploaded"}
    assert own["key"].splitlines()[1] not in shown.text
    assert as_mate.put("deployments/blog/certificate", json={**own, "key": "no"}).status_code == 400
    as_mate.delete("deployments/blog/certificate")
    worker(host).work_once()
    assert as_mate.get("deployments/blog/certificate").json()["errand"]["outcome"].startswith("The uploaded")
    assert as_mate.post("deployments/blog/certificate").status_code == 202


def test_how_the_site_behaves(as_mate, site, host):
    changes = {"maintenance": True, "allow": ["203.0.113.0/24"], "fallback": True, "body_limit_mib": 5}
    shown = as_mate.patch("deployments/blog/site", json=changes).json()
    assert {key: shown[key] for key in changes} == changes
    shown = as_mate.patch("deployments/blog/site", json={"as_released": True, "maintenance": False}).json()
    assert (shown["fallback"], shown["maintenance"], shown["body_limit_mib"]) == (None, False, 5)
    shown = as_mate.put("deployments/blog/site/wall/guest", json={"password": "a long password"})
    assert shown.json()["wall"] == ["guest"]
    assert "$6$" not in shown.text
    assert as_mate.put("deployments/blog/site/wall/guest", json={"password": "x"}).status_code == 400
    worker(host).work_once()
    assert len(host.sites_up[site.slug].options.wall) == 1
    assert as_mate.delete("deployments/blog/site/wall/guest").json()["wall"] == []


def test_scaling_queues_a_release(as_mate, blog, host):
    live(blog, host, 1)
    shown = as_mate.get("deployments/blog/scale").json()
    assert shown["processes"] == [{"kind": "web", "copies": 1, "workers": 1}]
    assert shown["limits"]["memory_mib"] == 512
    made = as_mate.patch("deployments/blog/scale", json={"workers": 3, "limits": {"memory_mib": 600}}).json()
    assert made["release"] == 2
    assert Release.objects.get(number=2).trigger == "scale"
    assert as_mate.patch("deployments/blog/scale", json={"workers": 3}).json()["release"] is None
    assert as_mate.patch("deployments/blog/scale", json={"copies": {"other": 1}}).status_code == 400


def test_a_command_from_asking_to_its_lines(as_mate, blog, host):
    assert as_mate.post("deployments/blog/commands", json={"command": "true"}).json()["code"] == "nothing_live"
    live(blog, host, 1)
    made = as_mate.post("deployments/blog/commands", json={"command": "echo hi", "limit_seconds": 60})
    assert (made.status_code, made.json()["number"], made.json()["over"]) == (202, 1, False)
    host.prints["builds.run"] = ["hi", "there"]
    worker(host).work_once()
    shown = as_mate.get("deployments/blog/commands/1").json()
    assert (shown["state"], shown["exit_status"], shown["release"], shown["asked_by"]) == ("done", 0, 1, "mika")
    lines = [json.loads(line) for line in as_mate.get("deployments/blog/commands/1/log").text.splitlines()]
    assert [line["text"] for line in lines] == ["hi", "there"]
    rest = as_mate.get("deployments/blog/commands/1/log", params={"after": lines[0]["position"]})
    assert len(rest.text.splitlines()) == 1
    events = as_mate.get("deployments/blog/commands/1/log", headers={"Accept": "text/event-stream"})
    assert '"text": "there"' in events.text
    assert "event: end" in events.text
    assert [item["number"] for item in as_mate.get("deployments/blog/commands").json()["items"]] == [1]
    assert as_mate.post("deployments/blog/commands/1/cancel").json()["code"] == "command_not_open"


def test_asking_twice_with_a_key_runs_it_once(as_mate, blog, host):
    live(blog, host, 1)
    answers = [
        as_mate.post("deployments/blog/commands", json={"command": "true"}, headers={"Idempotency-Key": "k" * 20})
        for _ in range(2)
    ]
    assert [answer.json()["number"] for answer in answers] == [1, 1]


def test_az_04_a_viewer_sees_that_commands_ran_and_nothing_of_their_output(as_viewer, blog, host):
    blog.variables.create(key="API_KEY", value="very-secret-value")
    stories.went_live(blog)
    blog.commands.create(number=1, line="echo very-secret-value")
    blog.schedule_runs.create(
        expression="@daily", command="tidy", tail=["a customer's name"], started_at=blog.created_at
    )
    assert as_viewer.get("deployments/blog/commands").json()["items"][0]["command"] == "echo [hidden]"
    assert as_viewer.get("deployments/blog/commands/1/log").status_code == 403
    assert as_viewer.get("deployments/blog/schedules").json()["runs"][0]["tail"] == []


def test_schedules_and_their_runs(as_mate, blog, host):
    stories.went_live(blog)
    blog.schedules.create(expression="@daily", command="tidy", last_outcome="done")
    blog.schedule_runs.create(
        expression="@daily", command="tidy", tail=["ok"], started_at=blog.created_at, state="done"
    )
    shown = as_mate.get("deployments/blog/schedules").json()
    assert (shown["items"][0]["schedule"], shown["runs"][0]["tail"]) == ("@daily", ["ok"])
