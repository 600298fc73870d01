"""Commands on a schedule as units of systemd: what stands in their files, and what the journal tells of them."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.host.test_linux_units import BLOG, SECRET, WEB, around, unit, values

from webops_host.errors import NotFound
from webops_host.linux import timer_journal, timer_units, units
from webops_host.linux.timer_journal import EXITED, FAILED, STARTING, SUCCEEDED
from webops_host.linux.units import Surroundings
from webops_host.timed_values import TimedCommand
from webops_host.values import ProjectLine, UnitRef

__all__ = ["around"]  # a fixture
TIDY = TimedCommand("0 3 13 * 5", ProjectLine("+/bin/id; echo 100% $HOME"), timeout=90)
RUNTIME = unit(WEB, memory_mib=64, cpu_percent=50, tasks=32).runtime
NAME = f"wo-blog--7-cron-{TIDY.label}"


@pytest.fixture
def made(around: Surroundings) -> units.Files:
    return timer_units.files(around, RUNTIME, TIDY, "wo-blog")


def test_a_timer_starts_the_service_of_its_name_and_makes_up_for_what_was_missed(made: units.Files) -> None:
    assert set(made.units) == {f"{NAME}.service", f"{NAME}.timer"}
    timer = made.units[f"{NAME}.timer"]
    assert values(timer, "OnCalendar") == ["*-*-13 03:00:00 UTC", "Fri *-*-* 03:00:00 UTC"]
    assert (values(timer, "Persistent"), values(timer, "AccuracySec")) == (["yes"], ["1s"])
    assert values(timer, "Unit") == [f"{NAME}.service"]


def test_the_service_has_the_sandbox_and_the_limits_of_the_other_processes(
    around: Surroundings, made: units.Files
) -> None:
    service = made.units[f"{NAME}.service"]
    other = units.files(around, unit(WEB, memory_mib=64, cpu_percent=50, tasks=32), "wo-blog", 0)
    process = other.units["wo-blog--7-web-1.service"]
    since = "NoNewPrivileges="
    assert service[service.index(since) :] == process[process.index(since) :]
    assert (values(service, "Type"), values(service, "TimeoutStartSec")) == (["oneshot"], ["90"])
    assert (values(service, "User"), values(service, "Slice")) == (["wo-blog"], ["webops-apps.slice"])


def test_priv_07_the_owners_line_is_one_word_for_a_shell(made: units.Files) -> None:
    (line,) = values(made.units[f"{NAME}.service"], "ExecStart")
    assert line == '"/usr/bin/env" "--" "/bin/sh" "-c" "+/bin/id; echo 100%% $$HOME"'


def test_variables_are_in_the_file_that_only_root_reads(made: units.Files) -> None:
    assert f'TOKEN="{SECRET}"\n' in made.variables
    assert SECRET not in "".join(made.units.values())


def test_a_release_without_files_is_refused(around: Surroundings) -> None:
    with pytest.raises(NotFound):
        timer_units.files(around, replace(RUNTIME, release=8), TIDY, "wo-blog")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_priv_07_the_exposure_stays_at_one_and_a_half(made: units.Files, tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.service"
    path.write_text(made.units[path.name])
    words = ("systemd-analyze", "security", "--offline=yes", "--threshold=15", "--no-pager", str(path))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


@given(st.integers(0, 99999), st.text(min_size=1, max_size=40).filter(lambda text: text.strip() and text.isprintable()))
def test_a_name_reads_back_and_is_no_process(release: int, line: str) -> None:
    label = TimedCommand("@daily", ProjectLine(line)).label
    for suffix in ("", ".timer", ".service"):
        name = timer_units.name_of(BLOG, release, label) + suffix
        assert timer_units.parse(name) == (BLOG, release, label)
        assert units.parse(name) is None


@pytest.mark.parametrize("kind", ["cron", "cron-c0123456789ab"])
def test_a_process_that_is_called_cron_is_no_command_on_a_schedule(kind: str) -> None:
    ref = UnitRef(BLOG, 7, units.ProcessKind(kind), 1)
    assert timer_units.parse(f"{units.name_of(ref)}.service") is None


def told(at: int, kind: str, **more: object) -> dict[str, object]:
    usual = {"UNIT": f"{NAME}.service", "INVOCATION_ID": "a" * 32}
    return {"__REALTIME_TIMESTAMP": str(at), "MESSAGE_ID": kind, **usual, **more}


def exited(status: int, code: str = "exited") -> dict[str, object]:
    return told(7, EXITED, EXIT_CODE=code, EXIT_STATUS=str(status))


@pytest.mark.parametrize(
    ("entries", "end", "status", "reason"),
    [
        ([], 0, None, ""),
        ([told(8, SUCCEEDED)], 8, 0, ""),
        ([exited(3), told(8, FAILED, UNIT_RESULT="exit-code")], 8, 3, "exited with status 3"),
        ([exited(9, "killed"), told(8, FAILED, UNIT_RESULT="signal")], 8, -9, "ended by signal SIGKILL"),
        (
            [exited(15, "killed"), told(8, FAILED, UNIT_RESULT="timeout")],
            8,
            -15,
            "took longer than it may, and was ended",
        ),
        ([exited(9, "killed"), told(8, FAILED, UNIT_RESULT="oom-kill")], 8, -9, "out of memory"),
        ([told(8, FAILED, UNIT_RESULT="resources")], 8, None, "could not be started"),
    ],
)
def test_a_run_is_read_from_what_systemd_said(entries, end, status, reason) -> None:
    lines = [json.dumps(entry).encode() for entry in (told(5, STARTING), *entries)]
    (run,) = timer_journal.read(b"\n".join([*lines, b"broken", b"[]"]))
    assert (run.began, run.ended, run.exit_status, run.reason) == (5, end, status, reason)
    assert (run.id, run.label) == ("a" * 32, TIDY.label)


def test_an_end_without_its_start_and_other_units_are_left_out() -> None:
    other = told(5, STARTING, UNIT="wo-blog--7-web-1.service", INVOCATION_ID="b" * 32)
    timer = told(5, STARTING, UNIT=f"{NAME}.timer", INVOCATION_ID="c" * 32)
    lines = [json.dumps(entry).encode() for entry in (told(4, SUCCEEDED), other, timer)]
    assert timer_journal.read(b"\n".join(lines)) == []
