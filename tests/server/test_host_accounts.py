"""What every host promises about accounts, on a server."""

from __future__ import annotations

import os

import pytest
from tests.host import test_contract_accounts as suite
from tests.server.dying import dies_in
from tests.server.linux_machine import LinuxMachine
from tests.support.machine import BLOG, worker

from webops_host import codec
from webops_host.values import Site

pytestmark = pytest.mark.server
globals().update({name: part for name, part in vars(suite).items() if name.startswith(("test_", "_published"))})
ALL = bool(os.environ.get("WEBOPS_LAB_ALL_FAULTS"))


def test_priv_04_hostd_dies_in_the_middle_and_is_asked_again(linux: LinuxMachine) -> None:
    """What it has done when it dies differs each time; what is there in the end does not."""
    linux.begin()
    linux.lay_public(BLOG, 1, {"index.html": "hello"})
    unit, site, blog = worker("exec sleep 1000"), codec.dump(Site(BLOG, 1)), {"name": BLOG}
    ref = {"ref": codec.dump(unit.ref)}
    rounds = (
        ("mortal", ("accounts.ensure", {"name": "mortal"}), ("accounts.remove", {"name": "mortal"})),
        (BLOG, ("sites.publish", {"site": site}), ("sites.unpublish", blog)),
        (BLOG, ("processes.install", {"unit": codec.dump(unit)}), ("processes.start", ref), ("processes.remove", ref)),
    )
    for name, *acts in rounds:
        deaths, wrong = dies_in(linux.server, name, *acts, every=1 if ALL else 9)
        assert wrong == []
        assert all(deaths.values()), deaths
    linux.end()
