"""The one place that starts programs."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from webops_host import runner
from webops_host.command import Command
from webops_host.errors import Cancelled, CommandFailed, CommandTimedOut, NotFound, ProgramMissing
from webops_host.values import Console

ENV = {"PATH": "/usr/bin:/bin"}


def sh(script: str, **more) -> Command:
    return Command(("sh", "-c", script), env=more.pop("env", ENV), **more)


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def ends(pid: int) -> bool:
    """Whether it is gone before long."""
    deadline = time.monotonic() + 5
    while lives(pid):
        if time.monotonic() > deadline:
            return False
        os.sched_yield()
    return True


def test_lines_are_streamed_and_the_last_ones_kept():
    lines: list[str] = []
    result = runner.run(sh("echo one; echo two >&2; printf three"), Console(lines.append))
    assert lines == ["one", "two", "three"]
    assert result == runner.Result(0, "one\ntwo\nthree")


def test_the_environment_is_the_commands_and_nothing_else():
    names = {line.partition("=")[0] for line in runner.run(sh("env", env={**ENV, "A": "b"})).output.splitlines()}
    assert names <= {"PATH", "A", "PWD", "SHLVL", "_", "OLDPWD"}


def test_a_program_without_input_reads_nothing_and_one_with_input_reads_all_of_it():
    assert runner.run(sh("cat")).output == ""
    assert runner.run_binary(sh("cat", stdin=b"\x00" * 300_000)) == b"\x00" * 300_000


def test_what_a_shell_would_expand_stays_as_it_is(tmp_path: Path):
    hostile = ("$(touch canary)", "`touch canary`", "; touch canary", "a\nb", "*")
    assert runner.run_binary(Command(("printf", "%s|", *hostile), env=ENV, cwd=tmp_path)).decode() == "".join(
        f"{word}|" for word in hostile
    )
    assert list(tmp_path.iterdir()) == []


def test_a_failure_says_program_status_and_last_line():
    with pytest.raises(CommandFailed) as caught:
        runner.run(sh("echo before; echo the reason; exit 7"))
    assert caught.value.facts == {"program": "sh", "status": 7, "oom": False, "last": "the reason"}
    assert runner.run(sh("exit 7"), check=False).status == 7


def test_a_missing_program_is_named_with_its_package():
    with pytest.raises(ProgramMissing) as caught:
        runner.run(Command(("npm",), env={"PATH": "/nonexistent"}))
    assert caught.value.facts == {"program": "npm"}
    assert "apt install npm" in caught.value.hint


def test_a_missing_folder_is_not_mistaken_for_a_missing_program(tmp_path: Path):
    with pytest.raises(NotFound):
        runner.run(Command(("true",), env=ENV, cwd=tmp_path / "none"))


def test_too_long_is_ended_with_its_children():
    lines: list[str] = []
    began = time.monotonic()
    with pytest.raises(CommandTimedOut):
        runner.run(sh("sleep 60 & echo $!; wait", timeout=0.3), Console(lines.append))
    assert time.monotonic() - began < 5
    assert ends(int(lines[0]))


def test_cancelling_ends_it_with_its_children():
    lines: list[str] = []
    with pytest.raises(Cancelled):
        runner.run(sh("sleep 60 & echo $!; wait"), Console(lines.append, lambda: bool(lines)))
    assert ends(int(lines[0]))


def test_what_it_leaves_running_is_ended_too_even_in_a_group_of_its_own():
    script = "set -m; sleep 60 >/dev/null 2>&1 & echo $!"
    assert ends(int(runner.run(sh(script)).output.splitlines()[-1]))


def test_what_holds_the_output_open_does_not_hold_us():
    began = time.monotonic()
    assert runner.run(sh("sleep 60 & echo done")).output == "done"
    assert time.monotonic() - began < 5


def test_closed_output_is_not_the_end():
    assert runner.run(sh("exec >&- 2>&-; sleep 0.1; exit 3"), check=False).status == 3


def test_more_memory_than_allowed_is_said_to_be_that():
    eat = "import time; x = b'x' * 300_000_000; time.sleep(60)"
    with pytest.raises(CommandFailed) as caught:
        runner.run(Command(("python3", "-c", eat), env={"PATH": os.environ["PATH"]}, memory_mib=64))
    assert caught.value.facts["oom"] is True
    assert "64 MiB" in caught.value.message


@pytest.mark.parametrize("line", ["kill -9 $$", "sh -c 'kill -9 $$'; exit $?"])
def test_what_the_system_killed_beside_a_limit_of_memory_is_said_to_be_that(line):
    command = Command(("/bin/sh", "-c", line), env={"PATH": os.environ["PATH"]}, memory_mib=64)
    with pytest.raises(
        CommandFailed, match="was killed, as the system does with what needs more than its 64 MiB"
    ) as told:
        runner.run(command)
    assert told.value.facts["oom"] is True
    with pytest.raises(CommandFailed) as told:
        runner.run(replace(command, memory_mib=None))
    assert told.value.facts["oom"] is False


def test_a_watch_may_end_it():
    def watch() -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        runner.run(sh("sleep 60"), watch=watch)


def test_secrets_and_terminal_escapes_are_not_shown():
    lines: list[str] = []
    command = sh("printf 'token=s3cret \\033[31mred\\033[0m\\n10%%\\r100%%\\r\\n'", hide=frozenset({"s3cret"}))
    runner.run(command, Console(lines.append))
    assert lines == ["token=[hidden] red", "100%"]


def test_endless_lines_and_endless_output_stay_bounded():
    result = runner.run(sh("head -c 3000000 /dev/zero | tr '\\0' x; seq 1 5000"))
    assert len(result.output) < runner.TAIL_LINES * (runner.LINE_LIMIT + 1)
    assert result.output.endswith("5000")
    with pytest.raises(CommandFailed):
        runner.run_binary(sh("head -c 3000000 /dev/zero"), limit=1 << 20)


def test_a_spawned_program_stays_until_it_is_killed_with_its_session():
    with tempfile.TemporaryFile() as output:
        process = runner.spawn(sh("echo here; sleep 60"), output=output.fileno())
        assert process.poll() is None
        assert os.getsid(process.pid) == process.pid
        runner.kill_session(process.pid)
        assert process.wait(5) == -9


def test_arc_01_only_one_file_imports_subprocess():
    package = Path(runner.__file__).parent
    found = subprocess.run(
        ("grep", "-rlE", r"^\s*(import|from) subprocess", str(package), "--include=*.py"), capture_output=True
    )
    assert [Path(line).name for line in found.stdout.decode().split()] == ["runner.py"]
    assert not re.search(r"shell\s*=\s*True|os\.system", Path(runner.__file__).read_text())


# --- one that stays to be asked again --------------------------------------------------------------------------

ECHO = 'while read -r line; do echo partly; echo "said $line"; done; echo gone >&2; exit 3'


def whole(*, found: list[bytes], end: bytes = b"said"):
    """Takes chunks until a line with `end` is there."""

    def feed(chunk: bytes) -> bool:
        found.append(chunk)
        text = b"".join(found)
        return end in text and text.endswith(b"\n")

    return feed


def test_a_partner_is_asked_again_and_leaves_when_nobody_asks_any_more():
    partner = runner.Partner(sh(ECHO))
    for word in (b"one", b"two"):
        found: list[bytes] = []
        assert partner.ask(word + b"\n", whole(found=found))
        assert b"".join(found) == b"partly\nsaid " + word + b"\n"
    assert partner.end(5) == runner.Result(3, "gone\n")


def test_a_partner_that_left_answers_nothing():
    partner = runner.Partner(sh("echo why >&2"))
    assert not partner.ask(b"one\n", lambda chunk: True)
    assert not partner.ask(b"x" * 300_000 + b"\n", lambda chunk: True)
    assert partner.end(5) == runner.Result(0, "why\n")


def test_a_partner_that_does_not_answer_is_left_when_somebody_wants_to_stop_or_the_time_is_over():
    partner = runner.Partner(sh("cat >/dev/null", timeout=0.2))
    with pytest.raises(Cancelled):
        partner.ask(b"one\n", lambda chunk: True, Console(lambda line: None, lambda: True))
    with pytest.raises(CommandTimedOut):
        partner.ask(b"two\n", lambda chunk: True)
    assert partner.end(5).status == 0


def test_a_partner_that_does_not_leave_is_killed():
    partner = runner.Partner(sh("trap '' TERM HUP; echo here; while :; do sleep 1; done"))
    assert partner.ask(b"one\n", lambda chunk: True)
    assert partner.end(0.1).status == -9
