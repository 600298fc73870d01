"""What hostd says of a deployment, from files alone."""

from __future__ import annotations

import json
import platform as machine
from pathlib import Path

import pytest

from webops_host import codec
from webops_host.errors import NotSupported, Stale
from webops_host.linux import platform, site_rules
from webops_host.linux.host import LinuxHost
from webops_host.linux.layout import ServerLayout
from webops_host.linux.sites import Record
from webops_host.names import DeploymentName, ProcessKind
from webops_host.values import Limits, Site, UnitRef

BLOG = DeploymentName("blog")
NOTHING = UnitRef(BLOG, 1, ProcessKind("web"))


@pytest.fixture
def layout(tmp_path: Path) -> ServerLayout:
    made = ServerLayout(*(tmp_path / part for part in ("srv", "etc", "records", "run", "units", "var")))
    made.site_record(BLOG).parent.mkdir(parents=True)
    made.releases(BLOG).mkdir(parents=True)
    made.units.mkdir()
    return made


@pytest.fixture
def host(layout: ServerLayout) -> LinuxHost:
    data = {"domain": "apps.test", "addresses": ["203.0.113.10", "2001:db8::10"]}
    return LinuxHost(layout, platform.parse({"platform": data, "limits": {"memory_mib": 256}}))


def test_it_says_what_a_page_needs(host: LinuxHost) -> None:
    said = host.describe()
    assert (said["kind"], said["domain"], said["panel"]) == ("linux", "apps.test", "panel.apps.test")
    assert (said["address4"], said["address6"]) == ("203.0.113.10", "2001:db8::10")
    assert (said["most_memory_mib"], said["most_tasks"]) == ("256", str(Limits().tasks))
    assert said["system"]


def test_a_system_without_a_name_is_told_by_its_kernel(host: LinuxHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "freedesktop_os_release", dict)
    assert host.describe()["system"] == f"{machine.system()} {machine.release()}"


def test_it_may_leave_when_no_command_goes_on(host: LinuxHost) -> None:
    host.close()
    assert not host.is_busy


def test_without_anything_it_says_so(host: LinuxHost) -> None:
    said = host.explain(BLOG)
    assert said["units"] == "no units are installed"
    assert said["site"] == "no address\nnothing is published"
    assert "rules left out" not in said


def test_what_a_site_asked_for_and_can_not_have_is_explained(host: LinuxHost, layout: ServerLayout) -> None:
    record = Record(Site(BLOG, 1), site_rules.parse(b"/old /new\n/x /y Country=de", None))
    layout.site_record(BLOG).write_text(json.dumps(codec.dump(record)))
    (layout.units / "wo-blog--1-web-1.service").write_text("[Unit]\n")
    said = host.explain(BLOG)
    assert "_redirects, line 2" in said["rules left out"]
    assert "[Unit]" in said["units"]


def test_databases_are_somebody_elses(host: LinuxHost) -> None:
    with pytest.raises(NotSupported, match=r"databases\.size"):
        host.databases.size(BLOG)


def test_priv_05_the_holder_of_an_old_fence_is_kept_out(host: LinuxHost) -> None:
    assert host.fenced(BLOG, 5).processes.stop(NOTHING) is None
    with pytest.raises(Stale):
        host.fenced(BLOG, 4).processes.stop(NOTHING)
