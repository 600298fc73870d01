"""Prints what was found as Markdown, and keeps every raw sample with the machine's state in `bench/results/`."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from bench.judging import Verdict
from bench.world import RESULTS

PACKAGES = ("django", "uvicorn", "django-ninja", "uv", "psutil")


def machine() -> dict[str, Any]:
    """What a reader needs to know of where it ran. No names, no paths."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    git = subprocess.run(("git", "--version"), capture_output=True, text=True, check=False).stdout.strip()
    return {
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "git": git.removeprefix("git version "),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "cpus": os.cpu_count(),
        "cpu": cpus[0].partition(": ")[2] if cpus else platform.machine(),
        "memory_mib": int(memory.split()[1]) // 1024,
        "load": os.getloadavg(),
        "steal": _steal(),
        "commit": _commit(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def keep(name: str, before: dict[str, Any], found: Any) -> Path:
    """Write one run's raw results; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}.json"
    path.write_text(json.dumps({"before": before, "after": machine(), "found": found}, default=_plain, indent=1))
    return path


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def deploys(verdicts: Sequence[Verdict], seen: bool, control: str) -> str:
    """The cases, then where the time goes on either side."""
    rows = [
        (
            one.case.title,
            _milliseconds(one.ours.middle, one.ours.low, one.ours.high),
            _milliseconds(one.floor.middle, one.floor.low, one.floor.high),
            f"{one.ours_cpu * 1000:.0f} / {one.floor_cpu * 1000:.0f}",
            str(one.ratio) if one.against is None else f"{one.ratio}; to {one.case.against}: {one.against}",
            f"≤ {one.case.aim:g}" + (f" of {one.case.against}" if one.case.against else ""),
            f"{one.twice.value:.2f}",
            one.word,
        )
        for one in verdicts
    ]
    head = ("case", "ours, ms", "floor, ms", "CPU ms", "ours / floor", "aim", "ours / ours", "verdict")
    parts = "\n".join(f"- {one.case.title}: {_parts(one.parts)}. Floor: {_parts(one.floor_parts)}." for one in verdicts)
    return (
        f"{table(head, rows)}\n\nMedian (lowest–highest). Negative control: {control}"
        f"{'' if seen else ': NOT SEEN, THE RUN IS VOID'}.\n\nWhere the time goes, medians in ms:\n\n{parts}\n"
    )


def _parts(parts: dict[str, float]) -> str:
    return ", ".join(f"{name} {seconds * 1000:.0f}" for name, seconds in parts.items())


def _milliseconds(middle: float, low: float, high: float) -> str:
    return f"**{middle * 1000:,.0f}** ({low * 1000:,.0f}–{high * 1000:,.0f})"


def _steal() -> float:
    """Share of time that the machine below took away since it started."""
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return round(fields[7] / sum(fields), 5)


def _commit() -> str:
    root = Path(__file__).resolve().parent.parent
    words = ("git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=10")
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
