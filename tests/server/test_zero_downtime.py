"""REL-09 on a booted server: visitors come all the time while an app that takes 3 s to start is released, rolled back,
configured anew and released badly.

The short form, for every run of the tests. `make bench-server` has the long one.
"""

from __future__ import annotations

import pytest
from bench import downtime
from bench.client import Client
from bench.patient import PatientApp
from tests.server.installed import DOMAIN, OWNER, PANEL, PASSWORD, Installed
from tests.support.git_server import GitServer

pytestmark = pytest.mark.server
SHORT = downtime.Size(deploys=3, rollbacks=2, failing=1, changes=1, rate=40.0)


def test_rel_09_no_request_is_lost_and_none_is_served_by_an_old_release(
    installed: Installed, git_host: GitServer
) -> None:
    """It is kept only when the control, a stop and a start, did lose requests. nginx keeps connections to the app."""
    app = PatientApp(git_host.repository("team/shop"))
    installed.allow(git_host)
    installed.create("shop", git_host.url("team/shop"))
    client = Client.of_server(installed.server.address, PANEL)
    client.sign_in(OWNER, PASSWORD)

    story = downtime.of_server(client, installed.server.address, app, f"https://shop.{DOMAIN}", SHORT, print)

    assert story.kept, downtime.shown([story])
    assert "keepalive_time" in installed.server.read("/etc/webops/nginx/sites/shop.conf")
    assert sum(hit.path == "/slow" for hit in story.hits) > 10
