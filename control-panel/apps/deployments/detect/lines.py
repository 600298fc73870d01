"""Which process kinds a deployment has: Procfile, contract and panel, one over the other, each line with its origin."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace

from apps.deployments import procfile
from apps.deployments.contract import Process as ContractProcess
from apps.deployments.detect import locks
from apps.deployments.detect.choices import Context
from apps.deployments.detect.notes import Notes
from webops_host.errors import BadValue
from webops_host.names import ProcessKind
from webops_host.values import Limits


@dataclass(frozen=True, slots=True)
class Command:
    """A line for a kind; `home` is the folder it was written for."""

    kind: str
    text: str
    origin: str
    where: str
    home: str
    count: int | None = None
    limits: Limits | None = None


def read(context: Context, home: str, notes: Notes) -> dict[str, Command]:
    """Commands by kind, `release` among them."""
    found: dict[str, Command] = {}
    for folder in dict.fromkeys([*context.folders, home]):
        path = posixpath.join(folder, "Procfile")
        if context.tree.has(path):
            found.update(_procfile(context, path, folder, notes))
            break
    for kind, count in _formation(context).items():
        if kind in found:
            found[kind] = replace(found[kind], count=count)
    found.update(_contract(context))
    for name, text in context.panel.lines.items():
        found[str(name)] = Command(str(name), text, "panel", "", context.root)
    return {kind: _counted(context, command) for kind, command in found.items()}


def _counted(context: Context, command: Command) -> Command:
    counts = {str(kind): count for kind, count in context.panel.counts.items()}
    return replace(command, count=counts[command.kind]) if command.kind in counts else command


def _procfile(context: Context, path: str, folder: str, notes: Notes) -> dict[str, Command]:
    lines, wrong = procfile.parse(context.tree.text(path))
    for number, text in wrong:
        notes.warn(
            "procfile_line", f"“{text}” is not of the form “kind: command” and is ignored.", where=f"{path}:{number}"
        )
    found = {}
    for line in lines:
        where = f"{path}:{line.number}"
        try:
            ProcessKind(line.kind)
        except BadValue:
            notes.warn("procfile_line", f"“{line.kind}” can not be the name of a process kind.", where=where)
            continue
        if len(line.command) > 4000:
            notes.warn("procfile_line", f"The line of {line.kind} is too long and is ignored.", where=where)
            continue
        found[line.kind] = Command(line.kind, line.command, "Procfile", where, folder)
    return found


def _formation(context: Context) -> dict[str, int]:
    """Quantities of a Heroku app.json."""
    found = {}
    for folder in context.folders:
        app = locks.load_json(context.tree, posixpath.join(folder, "app.json")) or {}
        formation = app.get("formation")
        for kind, spec in formation.items() if isinstance(formation, dict) else ():
            quantity = spec.get("quantity") if isinstance(spec, dict) else None
            if type(quantity) is int and 0 <= quantity <= 8:
                found[str(kind)] = quantity
    return found


def _contract(context: Context) -> dict[str, Command]:
    found = {}
    for kind, process in context.contract.processes.items():
        where = context.line(f"{kind} =") or context.contract_path
        if isinstance(process, ContractProcess):
            limits = limited(context, process.memory, process.cpu)
            found[kind] = Command(kind, process.command, "webops.toml", where, context.root, process.count, limits)
        else:
            found[kind] = Command(kind, process, "webops.toml", where, context.root)
    if context.contract.deploy.release:
        text = context.contract.deploy.release
        found["release"] = Command("release", text, "webops.toml", context.line("release"), context.root)
    if context.panel.release:
        found["release"] = Command("release", context.panel.release, "panel", "", context.root)
    return found


def limited(context: Context, memory: int | None, cpu: int | None) -> Limits | None:
    """Limits of one process: its own, over those of the whole."""
    if memory is None and cpu is None:
        return None
    whole = limits(context)
    return Limits(memory or whole.memory_mib, cpu or whole.cpu_percent, whole.tasks)


def limits(context: Context) -> Limits:
    """Limits of a process that has none of its own: the panel's, else the contract's, else the usual ones."""
    if context.panel.limits is not None:
        return context.panel.limits
    asked, usual = context.contract.resources, Limits()
    return Limits(asked.memory or usual.memory_mib, asked.cpu or usual.cpu_percent, asked.tasks or usual.tasks)
