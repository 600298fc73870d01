"""Everything goes off a server with a deployment of every kind of unit, though somebody holds up the first attempt."""

from __future__ import annotations

import pytest
from tests.server.installed import Installed
from tests.support.git_server import GitServer
from tests.support.waiting import until

pytestmark = pytest.mark.server

APP = {
    "app.py": (
        "import os\n"
        "from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer\n"
        "ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), SimpleHTTPRequestHandler).serve_forever()\n"
    ),
    "Procfile": "web: python app.py\ncelery_worker: sleep 100000\n",
    "hello.txt": "hello",
}
HOLD, USER = "hold", "wo-blog"
COMMAND = ("webops-admin", "uninstall", "--all", "--yes")
UNITS = "ls -R /etc/systemd/system | grep -E '^(webops|wo-)'"


def test_everything_goes_where_the_first_attempt_left_it(installed: Installed, git_host: GitServer) -> None:
    server = installed.server
    git_host.repository("team/blog", APP)
    installed.allow(git_host)
    installed.create("blog", git_host.url("team/blog"))
    assert installed.page("blog", "/hello.txt").text == "hello"
    there = server.run(UNITS).stdout
    assert ".proxy.service" in there
    assert "-celery_worker-" in there

    server.run(("systemd-run", "--quiet", f"--unit={HOLD}", f"--property=User={USER}", "sleep", "100000"))
    failed = server.run(COMMAND, check=False, timeout=600)
    assert failed.returncode != 0
    assert "userdel" in failed.stderr
    server.run(("systemctl", "stop", HOLD))
    until(lambda: not server.run(("pgrep", "-u", USER), check=False).lines, "the user to be free")
    assert "Done." in server.run(COMMAND, timeout=600).stdout

    assert server.run(UNITS, check=False).lines == []
    assert server.run("grep -E '^(webops|wo-)' /etc/passwd /etc/group", check=False).lines == []
    left = "ls -d /opt/webops /etc/webops /srv/webops /var/lib/webops /var/cache/webops /usr/local/sbin/webops-admin"
    assert server.run(left, check=False).stdout == ""
    assert server.run(("systemctl", "list-units", "--all", "--plain", "--no-legend", "webops-*", "wo-*")).lines == []
