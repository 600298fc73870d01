"""Real programs of the embedded host: what they are given byte for byte, and that nothing of a build outlives it."""

from __future__ import annotations

import json
import os
import string
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.machine import BLOG, QUIET, Embedded, until

from webops_host import usage
from webops_host.errors import Cancelled
from webops_host.names import VariableKey
from webops_host.values import Console, Limits, ProjectLine, Runtime

DUMP = (
    "import json,os; json.dump({k.decode(): v.hex() for k, v in os.environb.items() if k[:2] == b'T_'}, "
    "open('out.json', 'w'))"
)
LINE = ProjectLine(f'exec {sys.executable} -I -S -W ignore -c "{DUMP}"')
HARD = {
    "T_LINES": "one\ntwo\r\nthree\n",
    "T_QUOTES": "'\"`\\ \\\\ \\n $HOME ${X} $(id) %s %%",
    "T_SHELL": "a; rm -rf / && b | c > d & e #f !g *?[x]{y}~",
    "T_UNICODE": "ünïcødé 🦊 \u202e ﷽ \x7f \x01\x1b[31m",
    "T_EMPTY": "",
    "T_SPACES": "  \t leading and trailing \t ",
    "T_UNIT": "x\nUser=root\n[Service]\nExecStartPre=/bin/false",
    "T_PEM": "-----BEGIN KEY-----\nMII=\n-----END KEY-----\n",
    "T_LARGE": "x" * 20_000,
}
VALUES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=60)
KEYS = st.text(string.ascii_uppercase + string.digits + "_", min_size=1, max_size=12).map("T_".__add__)


def in_a_process(real: Embedded, variables: dict[str, str]) -> dict[str, str]:
    """What a real program of the real daemon finds in its environment."""
    runtime = Runtime(BLOG, 1, variables={VariableKey(key): value for key, value in variables.items()})
    real.real.builds.run(runtime, LINE, 30.0, QUIET)
    found = json.loads((real.layout.source(BLOG, 1) / "out.json").read_text())
    return {key: bytes.fromhex(value).decode() for key, value in found.items()}


def test_inj_10_hard_values_arrive_byte_for_byte(real):
    assert in_a_process(real, HARD) == HARD


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(KEYS, VALUES, min_size=10, max_size=14))
def test_inj_10_any_value_arrives_byte_for_byte(real, variables):
    assert in_a_process(real, variables) == variables


def test_inj_10_values_are_in_no_word_of_the_program(real):
    seen: list[bytes] = []

    def look(line: str) -> None:
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                try:
                    seen.append(Path(f"/proc/{pid}/cmdline").read_bytes())
                except OSError:
                    continue

    runtime = Runtime(BLOG, 1, variables={VariableKey("T_KEY"): "canary-7f3a9c"})
    real.real.builds.run(runtime, ProjectLine("echo here; sleep 0.2"), 30.0, Console(look))
    assert any(b"echo here" in words for words in seen)
    assert not any(b"canary-7f3a9c" in words for words in seen)


@pytest.mark.parametrize("how", ["in its session", "in a session of its own", "in the background"])
def test_rel_11_cancelling_a_build_leaves_no_process(how, real):
    child = {
        "in its session": "sleep 300",
        "in a session of its own": "setsid sleep 300 & echo started; wait",
        "in the background": "sleep 300 & echo started; sleep 300",
    }[how]
    begun, leave = threading.Event(), threading.Event()

    def emit(line: str) -> None:
        begun.set()

    runtime = Runtime(BLOG, 1, limits=Limits(memory_mib=256), variables={VariableKey("T_MARK"): "rel-11"})
    failure: list[Exception] = []

    def build() -> None:
        try:
            real.real.builds.run(runtime, ProjectLine(f"echo started; {child}"), 60.0, Console(emit, leave.is_set))
        except Exception as error:
            failure.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    assert begun.wait(20)
    until(lambda: len(ours()) >= 2)
    leave.set()
    thread.join(20)
    assert [type(error) for error in failure] == [Cancelled]
    assert ours() == []


def test_rel_11_a_build_that_ends_well_leaves_no_process_either(real):
    runtime = Runtime(BLOG, 1, variables={VariableKey("T_MARK"): "rel-11"})
    real.real.builds.run(runtime, ProjectLine("setsid sleep 300 & echo done"), 60.0, Console(lambda line: None))
    assert ours() == []


def ours() -> list[int]:
    """Processes that were started by the build of this test."""
    found = []
    for pid in usage._processes():
        try:
            if b"T_MARK=rel-11" in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found
