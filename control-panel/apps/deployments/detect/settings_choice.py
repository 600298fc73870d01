"""Which settings module a Django project runs with, of all that its files name.

What a person said comes first, then what the repository says about production: its Procfile, app.json and Dockerfile,
then wsgi.py, which is what servers load; manage.py, which developers run, comes last. But production settings that can
not start (a variable without default that nobody has set, an import that is not there) are worth less than development
settings that can, because the platform's overlay makes those safe: DEBUG off, hosts, cookies, database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from apps.deployments.detect import environ, locks, project, settings, variables
from apps.deployments.detect.choices import Context
from apps.deployments.detect.notes import Notes
from apps.deployments.detect.project import KEY, Project
from apps.deployments.detect.settings import Settings
from apps.deployments.detect.variables import Needs
from apps.deployments.plan import Role
from apps.deployments.tree import line_of


@dataclass(frozen=True)
class Candidate:
    """A module that something names; `firm` when a person chose it."""

    module: str
    reason: str
    origin: str
    where: str
    firm: bool = False


@dataclass(frozen=True)
class Judged:
    candidate: Candidate
    settings: Settings
    needs: Needs

    @property
    def hurdles(self) -> list[str]:
        asked = [f"{w.key} ({w.where})" for w in self.needs.unmet]
        asked += [f"{f.key} ({f.where})" for f in self.needs.fills if f.role is Role.REDIS]
        asked += [f"any setting in {self.settings.files[0]}"] if self.settings.blank else []
        return [f"{name} is missing ({where})" for name, where in self.settings.missing.items()] + asked


def choose(context: Context, found: Project, hints: tuple[Candidate, ...], wsgi: str, notes: Notes) -> Judged | None:
    """The module to run with, and what it needs; None (and a blocker) when there is none."""
    candidates = list(_candidates(context, found, hints, wsgi))
    present = [c for c in candidates if found.module_path(context.tree, c.module)]
    chosen_absent = next((c for c in candidates if c.firm and c not in present), None)
    if chosen_absent is not None:
        notes.block(
            "settings_not_found",
            f"The settings module {chosen_absent.module} is not in the repository.",
            fix=f"Choose one that is: {', '.join(project.candidates(context.tree, found)[:6])}.",
            where=chosen_absent.where,
        )
    if not present:
        present = [
            Candidate(m, "it looks like settings", "detection", "") for m in project.candidates(context.tree, found)
        ]
    if not present:
        notes.block(
            "settings_missing",
            f"{found.manage} names no settings module that is in the repository.",
            fix=f"Commit the settings module, or name it in {found.manage}.",
            where=found.manage,
        )
        return None
    unique = {c.module: c for c in reversed(present)}
    judged = [judge(context, found, unique[c.module]) for c in dict.fromkeys(unique[p.module] for p in present)]
    best = next((j for j in judged if j.candidate.firm), None) or min(judged, key=lambda j: _weight(j))
    _say(best, judged, notes)
    return best


def _weight(judged: Judged) -> tuple[bool, bool]:
    """Missing modules are worse than missing variables; the order of the candidates settles the rest."""
    return judged.settings.blank or bool(judged.settings.missing), bool(judged.hurdles)


def _candidates(context: Context, found: Project, hints: tuple[Candidate, ...], wsgi: str) -> Iterator[Candidate]:
    given = context.panel.settings or context.panel.variables.get(KEY)
    if given:
        yield Candidate(str(given), "chosen by you", "panel", "", firm=True)
    contract = context.contract.django.settings or context.contract.env.plain.get(KEY)
    if contract:
        yield Candidate(contract, "the contract names it", "webops.toml", context.line(contract), firm=True)
    yield from hints
    yield from _from_files(context)
    for named in project.names(context.tree, wsgi) if wsgi else ():
        yield Candidate(named.module, "wsgi.py names it: what servers load", "detection", named.where)
    for named in reversed(found.named):
        yield Candidate(named.module, "manage.py names it", "detection", named.where)


def _from_files(context: Context) -> Iterator[Candidate]:
    """app.json and Dockerfile, where they say which settings production runs with."""
    for folder in context.folders:
        prefix = f"{folder}/" if folder else ""
        app = locks.load_json(context.tree, f"{prefix}app.json") or {}
        env = app.get("env") if isinstance(app.get("env"), dict) else {}
        spec = env.get(KEY) if env else None
        value = spec.get("value") if isinstance(spec, dict) else spec
        if isinstance(value, str):
            where = f"{prefix}app.json:{line_of(context.tree.text(f'{prefix}app.json'), KEY)}"
            yield Candidate(value, "app.json names it", "detection", where)
        for name in ("Dockerfile", "Dockerfile.prod"):
            text = context.tree.text(f"{prefix}{name}")
            match = re.search(KEY + r"[= ]+[\"']?([\w.]+)", text)
            if match:
                yield Candidate(match[1], f"the {name} names it", "detection", f"{prefix}{name}:{line_of(text, KEY)}")


def judge(context: Context, found: Project, candidate: Candidate) -> Judged:
    """Read a settings module and say what it would need."""
    read = settings.read(context.tree, found.roots, candidate.module)
    central = frozenset(read.files)
    given = context.panel.variables.keys() | context.contract.env.plain.keys()
    uses = [use for use in environ.uses(context.tree, read.files) if use.key not in given]
    return Judged(candidate, read, variables.needs(uses, central, {}))


def _say(best: Judged, judged: list[Judged], notes: Notes) -> None:
    reason = best.candidate.reason
    passed = next((j for j in judged if j is not best and j.hurdles and judged.index(j) < judged.index(best)), None)
    if passed is not None:
        hurdles = ", ".join(passed.hurdles[:4])
        reason += f"; {passed.candidate.module} would be preferred but can not start without {hurdles}"
    notes.found("Settings", best.candidate.module, reason, origin=best.candidate.origin, where=best.candidate.where)
    for name, where in best.settings.missing.items():
        notes.block(
            "settings_import_missing",
            f"The settings import {name}, which is not in the repository.",
            where=where,
            fix=f"Commit {name.rsplit('.', 1)[-1]}.py without secrets, or put the import in try … except ImportError.",
        )
