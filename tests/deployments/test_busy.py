"""What an upgrade asks before it restarts the worker."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from apps.deployments.models import Release, State


def test_a_running_release_is_named(blog, capsys):
    call_command("busy")
    assert capsys.readouterr().out == "Nothing runs.\n"
    Release.objects.create(deployment=blog, number=3, state=State.RUNNING)
    with pytest.raises(SystemExit) as ended:
        call_command("busy")
    assert ended.value.code == 1
    assert "release: blog #3" in capsys.readouterr().out
