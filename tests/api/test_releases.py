"""Releases through the API: asking, reading, paging, waiting, and their logs."""

from __future__ import annotations

import json

import pytest
from tests.api import stories

from apps.deployments import logs
from apps.deployments.models import Release
from webops_host.names import DeploymentName, ProcessKind
from webops_host.values import UnitRef


def write(release: Release, *texts: str) -> None:
    writer = logs.Writer(release)
    for text in texts:
        writer.write("build", text)
    writer.close()


def test_a_deploy_is_queued_and_a_second_supersedes_it(as_mate, blog):
    first = as_mate.post("deployments/blog/deploy", json={"ref": "next"})
    assert first.status_code == 202
    assert (first.json()["number"], first.json()["ref"], first.json()["trigger"]) == (1, "next", "api")
    assert as_mate.post("deployments/blog/deploy").json()["number"] == 2
    assert as_mate.get("deployments/blog/releases/1").json()["state"] == "superseded"


def test_rollback_goes_to_the_one_before_or_to_a_given_one(as_mate, blog):
    assert as_mate.post("deployments/blog/rollback").json()["code"] == "release_not_kept"
    for _ in range(3):
        stories.went_live(blog)
    assert as_mate.post("deployments/blog/rollback").json()["back_to"] == 2
    assert as_mate.post("deployments/blog/rollback", json={"release": 1}).json()["back_to"] == 1
    for number in (0, -1, 99, 1 << 40):
        assert as_mate.post("deployments/blog/rollback", json={"release": number}).status_code == 409


def test_cancel_ends_what_waits(as_mate, blog):
    assert as_mate.post("deployments/blog/cancel").json()["code"] == "release_not_open"
    as_mate.post("deployments/blog/deploy")
    assert as_mate.post("deployments/blog/cancel").json()["state"] == "cancelled"


def test_a_failed_release_explains_itself(as_viewer, as_mate, blog):
    as_mate.post("deployments/blog/deploy")
    stories.failed(blog)
    shown = as_viewer.get("deployments/blog/releases/1", params={"wait": 30}).json()
    assert (shown["state"], shown["over"], shown["failure"]) == ("failed", True, "module_missing")
    assert shown["cause"]
    assert shown["hint"]
    assert shown["evidence"] == ["ModuleNotFoundError: No module named 'flask'"]
    assert [(step["name"], step["state"]) for step in shown["steps"]] == [
        ("fetch", "done"),
        ("inspect", "done"),
        ("start", "failed"),
    ]


def test_waiting_ends_with_the_time(as_viewer, as_mate, blog):
    as_mate.post("deployments/blog/deploy")
    assert as_viewer.get("deployments/blog/releases/1", params={"wait": 0.01}).json()["over"] is False
    assert as_viewer.get("deployments/blog/releases/1", params={"wait": 61}).status_code == 422


def test_pages_of_releases_meet_and_do_not_overlap(as_viewer, blog):
    for number in range(1, 8):
        blog.releases.create(number=number, state="failed")
    blog.releases.create(kind="inspect", state="ready")
    seen, cursor = [], None
    while True:
        page = as_viewer.get("deployments/blog/releases", params={"limit": 3, **({"cursor": cursor} if cursor else {})})
        seen += [item["number"] for item in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_the_log_is_json_lines_from_a_position_on(as_viewer, blog):
    release = blog.releases.create(number=1)
    assert as_viewer.get("deployments/blog/releases/1/log").text == ""
    write(release, "one", "two\x1b[31m", "<script>three")
    answer = as_viewer.get("deployments/blog/releases/1/log")
    assert answer.headers["Content-Type"] == "application/jsonl"
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["text"] for line in lines] == ["one", "two\x1b[31m", "<script>three"]
    rest = as_viewer.get("deployments/blog/releases/1/log", params={"after": lines[0]["position"], "wait": 30})
    assert [json.loads(line)["text"] for line in rest.text.splitlines()] == ["two\x1b[31m", "<script>three"]


def test_the_log_as_events_ends_with_the_release(as_viewer, as_mate, blog):
    as_mate.post("deployments/blog/deploy")
    write(stories.failed(blog), "one")
    answer = as_viewer.get("deployments/blog/releases/1/log", headers={"Accept": "text/event-stream"})
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    kinds = [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]
    assert kinds == ["state", "step", "step", "step", "line", "end"]


def test_the_units_log_goes_on_where_it_stopped(as_viewer, blog, host):
    unit = UnitRef(DeploymentName("blog"), 1, ProcessKind("web"))
    host.print(unit, "GET / 200", "GET /x 404")
    page = as_viewer.get("deployments/blog/logs", params={"limit": 1}).json()
    assert [line["text"] for line in page["items"]] == ["GET /x 404"]
    assert as_viewer.get("deployments/blog/logs", params={"after": page["next"]}).json() == {"items": [], "next": 2}
    assert page["items"][0]["unit"] == "blog-1-web-1"


def test_the_plan_tells_what_was_found(as_viewer, as_mate, blog):
    assert as_viewer.get("deployments/blog/plan").json()["state"] == "none"
    assert as_mate.post("deployments/blog/inspect").json()["number"] is None
    assert as_viewer.get("deployments/blog/plan").json()["state"] == "queued"
    plan = {
        "kind": "static",
        "publish": "public",
        "findings": [{"subject": "Kind", "value": "static", "reason": "There is an index.html."}],
        "wanted": [{"key": "API_KEY", "reason": "Read in app.js", "required": True, "secret": True}],
        "processes": [{"kind": "worker", "program": {"line": "make work"}}],
    }
    blog.releases.update(state="ready", plan_data=plan)
    shown = as_viewer.get("deployments/blog/plan", params={"wait": 30}).json()
    assert (shown["state"], shown["made"], shown["summary"]) == ("ready", True, "Static site from public")
    assert shown["findings"][0]["reason"] == "There is an index.html."
    assert shown["wanted"][0]["is_set"] is False


@pytest.mark.parametrize("number", ["0", "-1", "x", "99999999999999999999"])
def test_a_number_that_no_release_has(as_viewer, blog, number):
    assert as_viewer.get(f"deployments/blog/releases/{number}").status_code in (404, 422)
