"""A short form of `make bench`'s promise: visitors come all the time while releases go live, go back and fail.

The judging itself is tested too: a measurement that can not say no is worth nothing.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bench.cases import FLOOR, SLOWED, A, B, Bout
from bench.downtime import Event, Size, Story
from bench.judging import control, judge
from bench.load import Hit
from bench.sides import Sample

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 420
SIZE = Size(deploys=1, rollbacks=0, failing=1, rate=1.0)
LIVE = Event("deploy", 2, "two", "live", asked_at=100.0, live_at=110.0, over_at=112.0)
FAILED = Event("failing", 3, "three", "failed", asked_at=120.0, live_at=None, over_at=125.0)


@pytest.mark.slow
def test_no_request_is_lost_and_none_is_served_by_an_old_release():
    """Loopback only. Ends with status 0 only when the control, a stop and start, did lose requests."""
    words = (sys.executable, "-m", "bench", "downtime", "--quick")
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        try:
            said, _ = run.communicate(timeout=TIMEOUT)
        finally:
            run.terminate()  # it ends whatever it started
    assert run.returncode == 0, said
    assert "BROKEN" not in said


# --- what the judging must see ---


def hit(at: float, marker: str = "", failed: str = "") -> Hit:
    return Hit(due=at, began=at, ended=at + 0.01, method="GET", path="/", marker=marker, failed=failed)


def story(*more: Hit) -> Story:
    """A good one, with these requests added."""
    good = [hit(at, "one") for at in range(90, 110)] + [hit(at, "two") for at in range(110, 130)]
    lost = [hit(130, failed="status 503")]
    return Story("app", SIZE, "one", events=[LIVE, FAILED], hits=[*good, *more], control=lost)


def test_a_story_in_which_all_went_well_keeps_the_promise():
    assert story().kept
    assert story(hit(110.9, "one"), hit(109.5, "two")).kept, "a second is allowed around the switch"


@pytest.mark.parametrize(
    "wrong",
    [
        hit(115.0, failed="ConnectionRefusedError"),
        hit(111.5, "one"),
        hit(105.0, "two"),
        hit(123.0, "three"),
        hit(123.0, "never heard of"),
    ],
    ids=["lost", "by the old one", "too early", "by one that failed", "by nobody"],
)
def test_one_wrong_answer_breaks_the_promise(wrong):
    assert not story(wrong).kept


def test_a_story_that_could_not_have_seen_a_loss_does_not_count():
    good = story()
    assert not replace(good, control=[hit(130, "two")]).kept
    assert not replace(good, events=[LIVE]).kept
    assert not replace(good, events=[LIVE, replace(FAILED, state="live")]).kept
    assert not replace(good, events=[replace(LIVE, state="failed"), FAILED]).kept


def bout(ours: list[float], again: list[float], floor: list[float], slowed: list[float]) -> Bout:
    lanes = {A: ours, B: again, FLOOR: floor, SLOWED: slowed}
    samples = {name: [Sample("m", seconds) for seconds in values] for name, values in lanes.items()}
    return Bout({"code": 5}, {"code": samples})


FAST, SAME, SLOW = [0.60, 0.61, 0.62, 0.61, 0.60], [0.61, 0.60, 0.62, 0.60, 0.61], [0.91, 0.92, 0.90, 0.91, 0.93]


def test_a_ratio_within_its_aim_is_met_and_one_above_is_missed():
    [good], [bad] = judge(bout(FAST, SAME, SAME, SLOW)), judge(bout(SLOW, SLOW, FAST, SLOW))
    assert good.word == "met"
    assert bad.word == "missed: 1.49 is above 1.25"
    assert good.ratio.low <= good.ratio.value <= good.ratio.high


def test_noise_between_equals_and_failed_samples_make_a_case_void():
    [noisy] = judge(bout(FAST, SLOW, FAST, SLOW))
    assert noisy.word.startswith("void: ours against ours")
    broken = bout(FAST, SAME, FAST, SLOW)
    broken.samples["code"][A].append(Sample("m", failed="no answer"))
    [one] = judge(broken)
    assert one.word == "void: 1 samples failed"


def test_a_planted_delay_must_be_seen():
    assert control(bout(FAST, SAME, FAST, SLOW))[0]
    assert not control(bout(FAST, SAME, FAST, SAME))[0]
