"""The embedded supervisor: crashes, ends, memory, lines, and coming back."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.machine import BLOG, QUIET, Embedded, embedded, free_ports, until, web, worker

from webops_host.embedded.journal import Journal
from webops_host.errors import NotReady, ProgramMissing
from webops_host.layout import Layout
from webops_host.names import DottedName, ProcessKind
from webops_host.values import Console, Gunicorn, HealthCheck, Limits, Runtime, Unit, UnitRef, UnitState, UnitStatus


def begin(machine: Embedded, unit: Unit) -> UnitRef:
    machine.host.processes.install(unit)
    machine.host.processes.start(unit.ref)
    return unit.ref


def status(machine: Embedded) -> UnitStatus:
    (only,) = machine.host.processes.status(BLOG)
    return only


def lines(machine: Embedded) -> list[str]:
    return [line.text for line in machine.host.processes.logs(BLOG)]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def pid_in(machine: Embedded, name: str) -> int:
    file = machine.layout.source(BLOG, 1) / name
    return int(until(lambda: file.exists() and file.read_text().strip()))


# --- crashing and ending ---------------------------------------------------------------------------------------


def test_a_crashed_worker_is_started_again(real):
    begin(real, worker("exec sleep 60"))
    first = status(real).pid
    os.kill(first, signal.SIGKILL)
    again = until(lambda: (found := status(real)).restarts == 1 and found.state is UnitState.RUNNING and found)
    assert again.pid != first


def test_a_worker_that_always_crashes_is_given_up_in_words(real):
    begin(real, worker("echo trouble; exit 3"))
    final = until(lambda: "given up" in (found := status(real)).reason and found)
    assert final.state is UnitState.CRASHED
    assert final.exit_status == 3
    assert final.restarts == 4
    assert "exited with status 3" in final.reason
    assert lines(real).count("trouble") == 5


def test_a_worker_that_was_given_up_can_be_started(real):
    flag = real.layout.source(BLOG, 1) / "fixed"
    ref = begin(real, worker(f"test -e {flag} && exec sleep 60"))
    until(lambda: "given up" in status(real).reason)
    flag.touch()
    real.host.processes.start(ref)
    assert status(real).state is UnitState.RUNNING


def test_a_candidate_that_never_answered_gets_no_second_chance(real):
    begin(real, web(1, "exit=4"))
    final = until(lambda: (found := status(real)).state is UnitState.CRASHED and found)
    assert final.restarts == 0
    assert "never answered" in final.reason


def test_a_proven_unit_comes_back_after_a_crash(real):
    ref = begin(real, web())
    real.host.processes.ready(ref, HealthCheck(), QUIET)
    os.kill(status(real).pid, signal.SIGKILL)
    until(lambda: status(real).restarts == 1)
    assert real.host.processes.ready(ref, HealthCheck(), QUIET).status == 200


def test_stopping_lets_a_program_end_by_itself(real):
    ref = begin(real, worker("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.01; done"))
    until(lambda: "up" in lines(real))
    real.host.processes.stop(ref)
    assert lines(real)[-1] == "bye"
    assert status(real).exit_status == 0


def test_a_program_that_will_not_end_is_made_to(real):
    ref = begin(real, worker("trap '' TERM; echo up; while :; do sleep 0.01; done"))
    until(lambda: "up" in lines(real))
    real.host.processes.stop(ref)
    assert status(real).state is UnitState.STOPPED
    assert status(real).exit_status == -signal.SIGKILL


@pytest.mark.parametrize("how", ["", "setsid "], ids=["child", "other session"])
def test_what_a_program_left_running_is_ended_with_it(real, how):
    ref = begin(real, worker(f"{how}sh -c 'echo $$ > child; exec sleep 60' & sleep 60"))
    child = pid_in(real, "child")
    real.host.processes.stop(ref)
    assert not is_alive(child)


def test_a_line_may_be_a_whole_shell_line(real):
    begin(real, worker("test 1 = 1 && echo \"$A\" 'b  c' | tr a-z A-Z; exec sleep 60", variables={"A": "x;y $(z)"}))
    until(lambda: "X;Y $(Z) B  C" in lines(real))


def test_programs_get_limits_that_need_no_root(real):
    begin(real, worker("exec sleep 60"))
    limits = Path(f"/proc/{status(real).pid}/limits").read_text().splitlines()
    words = {line[:25].strip(): line[25:].split() for line in limits}
    assert words["Max core file size"][:2] == ["0", "0"]
    assert int(words["Max open files"][1]) <= 4096


def test_a_program_over_its_memory_is_ended_and_says_so(real):
    hog = f"exec {sys.executable} -I -S -c 'import time; held = b\"x\" * (96 << 20); time.sleep(60)'"
    begin(real, worker(hog, limits=Limits(memory_mib=40)))
    final = until(lambda: "out of memory (limit 40 MB)" in (found := status(real)).reason and found)
    assert final.exit_status == -signal.SIGKILL


def test_variables_are_kept_in_a_file_of_ours_alone(real):
    begin(real, worker("exec sleep 60", variables={"SECRET": "hush"}))
    (file,) = (real.layout.state / "units" / BLOG).iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "hush" not in json.dumps(dict(real.host.explain(BLOG)))
    assert "SECRET" in real.host.explain(BLOG)["units"]


# --- being ready -----------------------------------------------------------------------------------------------


def refusal(machine: Embedded, *words: str, after: str = "starting") -> dict:
    ref = begin(machine, web(1, *words))
    until(lambda: after in lines(machine))
    with pytest.raises(NotReady) as refused:
        machine.host.processes.ready(ref, HealthCheck(timeout=0.3), QUIET)
    return refused.value.facts


def test_a_candidate_that_exits_is_told_with_its_status(real):
    assert refusal(real, "exit=7") == {"reason": "exited", "exit": 7, "oom": False}


def test_a_candidate_that_listens_nowhere_is_told(real):
    assert refusal(real, "deaf") == {"reason": "never_bound"}


def test_a_candidate_that_does_not_answer_is_told(real):
    assert refusal(real, "mute", after="listening") == {"reason": "timeout"}


def test_a_candidate_that_answers_badly_is_told_with_what_it_said(real):
    facts = refusal(real, "status=500", "says=oh-no", after="listening")
    assert (facts["reason"], facts["status"]) == ("status", 500)
    assert str(facts["body"]).startswith("oh-no")


@pytest.mark.parametrize("code", [204, 301, 401, 403])
def test_an_answer_from_behind_a_door_is_an_answer(real, code):
    ref = begin(real, web(1, f"status={code}"))
    assert real.host.processes.ready(ref, HealthCheck(), QUIET).status == code


@pytest.mark.parametrize("to", ["/broken", "http://example.com/broken"])
def test_a_redirect_within_the_site_is_followed_to_a_page_that_fails(real, to):
    ref = begin(real, web(1, f"to={to}"))
    with pytest.raises(NotReady, match="/broken") as refused:
        real.host.processes.ready(ref, HealthCheck("/moved", "example.com", timeout=0.3), QUIET)
    assert refused.value.facts["status"] == 500


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("/size", 200),
        ("/missing", 404),
        ("https://example.com/", 302),
        ("https://other.example/broken", 302),
        ("/moved", 302),
    ],
)
def test_a_redirect_proves_that_it_runs(real, to, status):
    ref = begin(real, web(1, f"to={to}"))
    assert real.host.processes.ready(ref, HealthCheck("/moved", "example.com"), QUIET).status == status


def test_the_check_asks_as_a_visitor_would(real):
    ref = begin(real, web(1, "prints"))
    check = HealthCheck(path="/up/?x=1", host="example.com", secure=True)
    real.host.processes.ready(ref, check, QUIET)
    asked = {"GET /up/?x=1 HTTP/1.1", "Host: example.com", "X-Forwarded-Proto: https", "User-Agent: WebOps-health"}
    until(lambda: asked <= set(lines(real)))


def test_waiting_for_a_candidate_can_be_cancelled(real):
    ref = begin(real, web(1, "deaf"))
    with pytest.raises(Exception, match="asked"):
        real.host.processes.ready(ref, HealthCheck(), Console(lambda line: None, lambda: True))


def test_a_release_without_an_environment_can_not_serve_an_application(real):
    unit = Unit(UnitRef(BLOG, 1, ProcessKind("web")), Gunicorn(DottedName("a:b")), Runtime(BLOG, 1), serves=True)
    real.host.processes.install(unit)
    with pytest.raises(ProgramMissing):
        real.host.processes.start(unit.ref)
    assert status(real).state is UnitState.CRASHED


# --- lines -----------------------------------------------------------------------------------------------------


def test_lines_are_read_on_from_a_position(real):
    begin(real, worker("echo one; echo two >&2; printf 'three \\377'; exec sleep 60 > /dev/null 2>&1"))
    until(lambda: len(lines(real)) == 3)
    found = real.host.processes.logs(BLOG)
    assert [line.text for line in found] == ["one", "two", "three �"]
    assert {line.unit for line in found} == {"blog-1-worker-1"}
    assert real.host.processes.logs(BLOG, after=found[0].position) == found[1:]
    assert real.host.processes.logs(BLOG, after=found[0].position, limit=1) == found[1:2]
    assert real.host.processes.logs(BLOG, limit=2) == found[-2:]
    assert real.host.processes.logs(BLOG, after=found[-1].position) == ()


def test_positions_survive_turning_the_file_over(tmp_path):
    journal = Journal(tmp_path, turn_at=2000)
    seen: list[str] = []
    position = 0
    for number in range(60):
        journal.add("blog-1-web-1", [f"line {number}"])
        for line in journal.read(position, 100):
            assert line.position > position
            position = line.position
            seen.append(line.text)
    assert seen == [f"line {number}" for number in range(60)]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 5000
    assert [line.text for line in journal.read(0, 2)] == ["line 58", "line 59"]
    assert len(journal.read(0, 40)) > 25, "the last lines are read over both files"


def test_a_line_that_is_too_long_is_cut(real):
    begin(
        real, worker(f"exec {sys.executable} -I -S -c 'print(\"x\" * 50000, flush=True); import time; time.sleep(60)'")
    )
    assert len(until(lambda: lines(real))[0]) >= 16 << 10
    assert all(len(text) <= (16 << 10) + (64 << 10) for text in lines(real))


# --- coming back -----------------------------------------------------------------------------------------------


def test_units_and_sites_come_back_with_the_host(tmp_path):
    base = free_ports()
    with embedded(tmp_path / "root", base) as first:
        first.host.accounts.ensure(BLOG)
        first.lay(BLOG, 1, {})
        begin(first, worker("exec sleep 60"))
        first.host.processes.install(web())
        before = first.host.processes.status(BLOG)
    assert not is_alive(before[1].pid)
    with embedded(tmp_path / "root", base) as second:
        states = {status.ref.kind: status.state for status in second.host.processes.status(BLOG)}
    assert states == {"web": UnitState.STOPPED, "worker": UnitState.RUNNING}


def daemon(root: Path, base: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "webops_host.embedded", "--root", str(root), "--port-base", str(base)]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)


def wait_ready(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if "ready at" in line:
            return
    raise AssertionError("it did not begin")


def test_the_daemon_survives_being_killed_and_refuses_a_second_one(tmp_path):
    layout, base = Layout(tmp_path / "root"), free_ports()
    machine = Embedded(layout.root, base)  # only to speak to the daemon
    try:
        first = daemon(layout.root, base)
        wait_ready(first)
        machine.host.accounts.ensure(BLOG)
        machine.lay(BLOG, 1, {})
        begin(machine, worker("exec sleep 60"))
        orphan = status(machine).pid
        second = daemon(layout.root, base)
        assert "already runs" in second.communicate(timeout=10)[1]
        assert second.returncode == 1
        first.kill()
        first.communicate(timeout=10)
        assert is_alive(orphan)

        third = daemon(layout.root, base)
        wait_ready(third)
        assert not is_alive(orphan), "nothing runs twice"
        heir = status(machine)
        assert heir.state is UnitState.RUNNING
        third.send_signal(signal.SIGTERM)
        third.communicate(timeout=10)
        assert third.returncode == 0
        assert not is_alive(heir.pid)
        assert not layout.daemon_socket.exists()
    finally:
        for process in (first, third):
            process.kill()
            process.communicate()
