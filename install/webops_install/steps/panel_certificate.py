"""A certificate for the panel's name from the authority, when the name leads here. Without one the fallback stays."""

from __future__ import annotations

import time
from collections.abc import Iterator

from webops_host.linux import tls_files
from webops_host.linux.layout import ServerLayout
from webops_host.names import HostName
from webops_install import facts
from webops_install.change import Change
from webops_install.step import Setup, Step
from webops_install.steps.release import PYTHON

PROGRAM = "/opt/webops/current/host/certificates.py"


def has_one(setup: Setup) -> bool:
    """One of its own that is not over; one that is stays in use until the next is there."""
    files = tls_files.of_panel(ServerLayout(), HostName(setup.answers.panel))
    found = tls_files.facts_of(files)
    fallback = tls_files.files_in(ServerLayout().platform_tls)
    return files != fallback and found is not None and found.not_after > time.time()


def leads_here(setup: Setup) -> bool:
    leads = facts.resolve([setup.answers.panel])[setup.answers.panel]
    return bool(leads) and leads <= {*setup.answers.addresses, *setup.facts.addresses}


def _plan(setup: Setup) -> Iterator[Change]:
    if has_one(setup) or setup.skipped_one("certificate"):
        return
    if not leads_here(setup):
        setup.skip(
            f"certificate: {setup.answers.panel} does not lead here yet, so browsers will warn of the panel's own "
            "certificate. When it does: webops-admin setup"
        )
        return
    yield Change(f"ask {setup.answers.acme_server} for a certificate", lambda: _ask(setup))


def _ask(setup: Setup) -> None:
    """A refusal is no failure of the setup: the fallback serves, and the next run asks again."""
    asked = setup.machine.asks(PYTHON, "-I", PROGRAM, "panel", timeout=400, show=setup.machine.log)
    if asked.status != 0:
        setup.skip(f"certificate: {' '.join(asked.output.split()[-60:])}")


STEP = Step("panel's certificate", _plan)
