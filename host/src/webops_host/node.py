"""Front-end builds as commands of npm. Nothing is run here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from webops_host.command import Command
from webops_host.values import NodePlan

INSTALL_TIMEOUT = 1200.0
BUILD_TIMEOUT = 1800.0
QUIET = {
    "NO_COLOR": "1",
    "NPM_CONFIG_AUDIT": "false",
    "NPM_CONFIG_FUND": "false",
    "NPM_CONFIG_UPDATE_NOTIFIER": "false",
}
MANIFESTS = ("package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc")


def install(folder: Path, plan: NodePlan, environment: Mapping[str, str]) -> Command:
    """Install what package.json wants, the tools of the build too: exactly the lock's versions when there is one."""
    words = ("npm", "ci" if plan.locked else "install", "--include=dev", "--no-audit", "--no-fund")
    env = {**environment, **QUIET}
    env.pop("NODE_ENV", None)
    return Command(words, cwd=folder, env=env, timeout=INSTALL_TIMEOUT)


def run_script(folder: Path, plan: NodePlan, environment: Mapping[str, str], memory_mib: int) -> Command:
    """Run a script of package.json for production."""
    env = {"NODE_ENV": "production", **environment, **QUIET, "CI": "1"}
    words = ("npm", "run", "--", plan.script)
    return Command(words, cwd=folder, env=env, timeout=BUILD_TIMEOUT, memory_mib=memory_mib)


def digest(folder: Path, node: Path) -> str:
    """Names what an install would bring: by the manifests and the node that they are installed for."""
    state = node.stat()
    content = hashlib.sha256(f"{node} {state.st_size} {state.st_mtime_ns}".encode())
    for name in MANIFESTS:
        path = folder / name
        content.update(name.encode() + b"\x00" + (path.read_bytes() if path.is_file() else b"\x00"))
    return content.hexdigest()[:32]
