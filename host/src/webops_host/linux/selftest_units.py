"""Whether the units that run are what was written: no drop-in loosened one, no edit waits, and the process itself says
what the kernel holds it to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from webops_host import runner
from webops_host.linux import sandbox, systemd, units
from webops_host.linux.uids import UIDS

FOLDER = Path("/etc/systemd/system")
LISTING = systemd.systemctl("list-units", "--plain", "--no-legend", "--state=running", "--type=service", "wo-*")
ASKED = ("Id", "FragmentPath", "DropInPaths", "NeedDaemonReload", "MainPID", "IPAddressDeny")
HELD = {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0000000000000000", "CapBnd": "0000000000000000"}
"""proc_pid_status(5)"""


def differing() -> list[dict[str, Any]]:
    """Running units of deployments that are not as rendered, each with what is wrong."""
    names = [line.split()[0] for line in runner.run_binary(LISTING).decode().splitlines() if line.strip()]
    names = [name for name in names if units.parse(name) is not None]
    found = []
    for shown in _shown(names):
        if wrong := [*of_settings(shown), *of_process(Path("/proc") / shown.get("MainPID", "0"))]:
            found.append({"unit": shown.get("Id", ""), "wrong": wrong})
    return found


def of_settings(shown: Mapping[str, str], folder: Path = FOLDER) -> Iterator[str]:
    """What the file says, and what systemd says of it."""
    name = shown.get("Id", "")
    if shown.get("FragmentPath") != str(folder / name):
        yield f"it comes from {shown.get('FragmentPath') or 'nowhere'}"
    if shown.get("DropInPaths"):
        yield f"drop-ins change it: {shown['DropInPaths']}"
    if shown.get("NeedDaemonReload") == "yes":
        yield "its file was changed after it was read"
    if not shown.get("IPAddressDeny"):
        yield "no address is denied"
    try:
        lines = set((folder / name).read_text().splitlines())
    except OSError:
        lines = set()
    for key, value in sandbox.LOCKED:
        if f"{key}={value}" not in lines:
            yield f"{key}={value} is not in its file"


def of_process(folder: Path) -> Iterator[str]:
    """What the kernel says. A process that has just ended says nothing."""
    try:
        status = dict(re.findall(r"^(\w+):\s*(.*)$", (folder / "status").read_text(), re.MULTILINE))
    except OSError:
        return
    for key, value in HELD.items():
        if status.get(key) != value:
            yield f"{key}: {status.get(key)}"
    if any(not UIDS[0] <= int(uid) <= UIDS[1] for uid in status.get("Uid", "").split()):
        yield f"Uid: {status.get('Uid')}"


def _shown(names: list[str]) -> Iterator[dict[str, str]]:
    if not names:
        return
    output = runner.run_binary(systemd.systemctl("show", f"--property={','.join(ASKED)}", "--", *names)).decode()
    for block in output.strip().split("\n\n"):
        yield dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
