"""Breaking an installed server on purpose, and what must hold afterwards, whatever was broken (security.md, 5.5)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.journeys.broken import DJANGO
from tests.server.installed import ENDED, Installed
from tests.support.git_server import Repository
from tests.support.waiting import until

from webops_host.linux import people
from webops_host.names import DeploymentName
from webops_host.postgres import identifier

WORKER = "webops-worker.service"
PAGE = DJANGO["shop/urls.py"]
ARMED = "/run/webops-fault.env"
DROP_IN = f"/run/systemd/system/{WORKER}.d/fault.conf"
RECOVERY = 90.0  # seconds
SQL = "runuser -u postgres -- psql -XAtqd postgres"


class Shop:
    """A small Django app on the server. Its page says which commit it is."""

    name = "shop"

    def __init__(self, installed: Installed, repository: Repository) -> None:
        self.installed, self.server, self.repository = installed, installed.server, repository

    def push(self, text: str, **files: str | None) -> None:
        """A commit with another page, and files whose names have `__` for a slash and `_` at the end for none."""
        more = {name.replace("__", "/"): content for name, content in files.items()}
        self.repository.commit({"shop/urls.py": PAGE.replace("hello", text), **more})

    def contract(self, text: str | None) -> None:
        self.repository.commit({"webops.toml": text})

    def begin(self) -> int:
        return int(self.installed.call("POST", f"deployments/{self.name}/deploy")["number"])

    def ended(self, number: int) -> dict[str, Any]:
        """The release once it is over, which must not take longer than a recovery may."""
        return self.installed.ended(self.name, number, timeout=RECOVERY)

    def live(self, number: int) -> None:
        """It gets there, as fast as a recovery must."""
        try:
            self.installed.live(self.name, number, timeout=RECOVERY)
        except AssertionError as error:
            words = ("journalctl", "-b", "-u", "webops-hostd.service", "-n", "60", "-o", "cat", "--no-pager")
            error.add_note(self.server.run(words).stdout)
            raise

    def step(self, number: int, name: str) -> str:
        steps = self.installed.release(self.name, number)["steps"]
        return next((step["state"] for step in steps if step["name"] == name), "")

    @property
    def text(self) -> str:
        answer = self.installed.page(self.name)
        assert answer.status_code == 200, answer.text
        return answer.text

    # --- the invariants ------------------------------------------------------------------------------------------

    def sound(self, text: str) -> None:
        """One release is live, it serves, and nothing of any other is left. Then the next one succeeds."""
        self.quiet(text)
        self.push(f"{text}, and on")
        self.live(self.begin())
        self.quiet(f"{text}, and on")

    def quiet(self, text: str) -> None:
        assert {self.text for _ in range(5)} == {text}
        until(self._tidy, "the live release to have tidied up", timeout=RECOVERY)
        rows = self.rows()
        [live] = [row["number"] for row in rows if row["state"] == "live"]
        assert [row for row in rows if row["state"] not in ENDED] == []
        until(lambda: self.units() == [f"wo-{self.name}--{live}-web-1.service"], "one release's unit", timeout=RECOVERY)
        kept = {str(row["number"]) for row in rows if row["kept"]}
        run = self.server.run
        assert set(run(("ls", f"/srv/webops/{self.name}/releases")).lines) <= kept
        assert f"/{live}-web-1.sock" in run(("readlink", f"/srv/webops/{self.name}/live.sock")).stdout
        until(lambda: self._listed("webops-job-*") == [], "nothing to go on", timeout=RECOVERY)
        until(lambda: self._orphans() == set(), "nothing without a deployment", timeout=RECOVERY)
        active = ("systemctl", "is-active", "webops-panel.socket", WORKER)
        until(lambda: run(active, check=False).lines == ["active"] * 2, "panel and worker to be up", timeout=RECOVERY)
        run(("nginx", "-t"))

    def _orphans(self) -> set[str]:
        """Users, databases, homes, sites and variables on the server that no deployment has, and files half written."""
        known = [DeploymentName(row["name"]) for row in self.installed.call("GET", "deployments")["items"]]
        lists = {
            "getent passwd | cut -d: -f1 | grep ^wo-": {people.user_of(name) for name in known},
            f"{SQL} -c \"SELECT datname FROM pg_database WHERE datname LIKE 'wo!_%' ESCAPE '!'\"": {
                identifier(name) for name in known
            },
            "ls /srv/webops": set(known),
            "ls /etc/webops/nginx/sites": {f"{name}.conf" for name in known},
            "ls -A /etc/webops/units | sed -E 's/^wo-(.*)--.*/\\1/'": set(known),
            "find /etc/webops -name '.*.????????'": set(),
        }
        return {line for words, right in lists.items() for line in self.server.run(words, check=False).lines} - {
            word for right in lists.values() for word in right
        }

    def rows(self) -> list[dict[str, Any]]:
        return list(self.installed.call("GET", f"deployments/{self.name}/releases")["items"])

    def _tidy(self) -> bool:
        return all(row["finished_at"] for row in self.rows() if row["state"] == "live")

    def units(self) -> list[str]:
        """Its services that run, are about to, or failed. Others may be remembered until systemd reads its files."""
        return self._listed(f"wo-{self.name}--*.service")

    def _listed(self, pattern: str) -> list[str]:
        words = ("systemctl", "list-units", "--plain", "--no-legend", "--", pattern)
        return [line.split()[0] for line in self.server.run(words).lines]

    # --- breaking ------------------------------------------------------------------------------------------------

    @contextmanager
    def armed(self, point: str, way: str) -> Iterator[None]:
        """The worker that runs now breaks there; the one that systemd starts after it does not."""
        self.server.write(ARMED, f"WEBOPS_FAULT={point}:{way}\n")
        self.server.write(DROP_IN, f"[Service]\nEnvironmentFile=-{ARMED}\n")
        self.server.run(("systemctl", "daemon-reload"))
        self.server.run(("systemctl", "restart", WORKER))
        self.server.run(("rm", ARMED))
        try:
            yield
        finally:
            if self.server.running:
                self.server.run(f"rm -f {DROP_IN}; systemctl daemon-reload")

    def worker(self) -> int:
        """Its process, 0 when there is none."""
        return int(self.server.run(("systemctl", "show", "--property=MainPID", "--value", WORKER)).stdout)

    def frozen(self, pid: int) -> bool:
        return self.server.run(("ps", "-o", "state=", "-p", str(pid)), check=False).stdout.strip() == "T"

    def signal(self, unit: str, name: str) -> None:
        self.server.run(("systemctl", "kill", "--kill-who=main", f"--signal={name}", unit))


@contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    taken = time.monotonic() - began
    assert taken <= seconds, f"{what} took {taken:.0f} s"
