"""AUTH-02 on PostgreSQL, where people really come at the same moment: of many, with one link or two, one gets in."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.core.test_start import GOOD, PANEL
from tests.support import postgres
from tests.support.embedded import environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(postgres.PROGRAMS is None, reason="PostgreSQL is not installed: tests/prerequisites.sh"),
]
RACE = """
    import threading
    import django
    django.setup()
    from django.db import connections
    from apps.core.actions import entrances
    from apps.core.errors import Gone
    from apps.core.models import Membership, User

    secrets = [entrances.make(None).rstrip("/").rpartition("/")[2] for _ in range(2)]
    start, inside, late = threading.Barrier(8), [], []

    def come(number):
        start.wait()
        try:
            inside.append(entrances.use(secrets[number % 2], f"user{number}", "a sentence of my own", address=None))
        except Gone:
            late.append(number)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=come, args=(number,)) for number in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print(len(inside), len(late), User.objects.count(), Membership.objects.count())
"""


def test_auth_02_of_many_at_the_same_moment_one_gets_in(tmp_path: Path) -> None:
    with postgres.cluster() as cluster:
        env = environment(
            WEBOPS_MODE="production",
            WEBOPS_VAR=str(tmp_path),
            DATABASE_URL=f"postgres://webops@/webops?host={cluster.socket}",
            DJANGO_SETTINGS_MODULE="config.settings",
            PYTHONPATH=str(PANEL),
            **GOOD,
        )
        for words in (("manage.py", "bootstrap"), ("-c", textwrap.dedent(RACE))):
            done = subprocess.run(
                (sys.executable, *words), cwd=PANEL, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["1", "7", "1", "1"], os.linesep.join((done.stdout, done.stderr))
