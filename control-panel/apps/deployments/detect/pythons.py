"""Which Python: what the files ask for, what the pins can live with, and what this machine has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from apps.deployments.detect import eras
from apps.deployments.detect.declared import Line, Wish
from apps.deployments.detect.notes import Notes
from apps.deployments.tree import Tree, line_of
from webops_host.names import PythonVersion

KNOWN = tuple(PythonVersion(f"3.{minor}") for minor in range(6, 15))
Pair = tuple[int, int]
OFFERED = (3, 8)
"""The oldest that uv has to download."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A version that a person named in the panel or the contract: taken as it is."""

    version: PythonVersion
    origin: str
    where: str = ""


def wishes(tree: Tree, folders: Iterable[str]) -> tuple[Wish, ...]:
    """Versions that files name which only concern Python, the strongest first."""
    found: list[Wish] = []
    names = (
        ".python-version",
        "runtime.txt",
        ".tool-versions",
        "mise.toml",
        "Dockerfile",
        ".readthedocs.yaml",
        ".readthedocs.yml",
    )
    patterns = (
        r"^\s*(?:cpython-?)?(3\.\d+)",
        r"^\s*python-(3\.\d+)",
        r"^\s*python\s+(3\.\d+)",
        r"^\s*python\s*=\s*\"(3\.\d+)",
        r"^\s*FROM\s+(?:[\w./-]*/)?python:(3\.\d+)",
        r"^\s+python:\s*[\"']?(3\.\d+)",
        r"^\s+python:\s*[\"']?(3\.\d+)",
    )
    folders = list(folders)
    for name, pattern in zip(names, patterns, strict=True):
        for folder in folders:
            path = f"{folder}/{name}" if folder else name
            match = re.search(pattern, tree.text(path), re.MULTILINE | re.IGNORECASE) if tree.has(path) else None
            if match:
                found.append(Wish(match[1], f"{path}:{line_of(tree.text(path), match[0].strip())}"))
    return tuple(found)


def choose(
    installed: tuple[PythonVersion, ...],
    given: tuple[Wish, ...],
    pins: tuple[Line, ...],
    asked: Asked | None,
    notes: Notes,
) -> PythonVersion:
    """The version to plan. It is on the machine wherever one that is there can do; everything else is said."""
    if asked is not None:
        notes.found("Python", asked.version, "chosen by you", origin=asked.origin, where=asked.where)
        if asked.version not in installed:
            _say_absent(asked.version, installed, "it was asked for", notes)
        return asked.version
    firm = [(wish, spec) for wish in given if wish.firm and (spec := _specifier(wish.text))]
    soft = [(wish, version) for wish in given if not wish.firm and (version := _version(wish.text))]
    bounds = _Bounds(pins)
    fitting = [v for v in KNOWN + _unknown(installed) if _accepted(v, [spec for _, spec in firm]) and bounds.allow(v)]
    here = [version for version in fitting if version in installed]
    if not here:
        return _absent(fitting, firm, soft, installed, bounds, notes)
    if soft:
        return _near(soft[0], here, firm, bounds, notes)
    best = bounds.best(here)
    reason = f"{firm[0][0].text} is required" if firm else bounds.reason(best)
    notes.found("Python", best, reason, where=firm[0][0].where if firm else bounds.where)
    return best


def _unknown(installed: tuple[PythonVersion, ...]) -> tuple[PythonVersion, ...]:
    return tuple(version for version in installed if version not in KNOWN)


class _Bounds:
    """What the pins allow. `code` limits are hard; those of wheels and of Django's own promise are preferences."""

    def __init__(self, pins: tuple[Line, ...]) -> None:
        self.low, self.high, self.where, self.why = (3, 6), (3, 99), "", ""
        self.wheels: list[tuple[Line, Pair]] = []
        self.made_for: Pair | None = None
        for entry in pins:
            pinned = entry.pinned or _lowest(entry)
            if pinned is None:
                continue
            self._lower(entry, eras.floor(entry.name, pinned))
            exact = entry.pinned or _highest(entry)
            if exact is not None:
                self._upper(entry, eras.works_until(entry.name, exact))
                last = eras.wheels_until(entry.name, exact)
                self.wheels += [(entry, last)] if last else []
                if entry.name == "django":
                    self.made_for = eras.made_for(exact)
                    self.where = self.where or entry.where

    def _lower(self, entry: Line, pair: Pair | None) -> None:
        if pair is not None and pair > self.low:
            self.low, self.where, self.why = pair, entry.where, f"{entry.text} needs {pair[0]}.{pair[1]} or newer"

    def _upper(self, entry: Line, pair: Pair | None) -> None:
        if pair is not None and pair < self.high:
            self.high, self.where, self.why = pair, entry.where, f"{entry.text} works up to {pair[0]}.{pair[1]}"

    def allow(self, version: PythonVersion) -> bool:
        return self.low <= version.pair <= self.high

    def best(self, versions: list[PythonVersion]) -> PythonVersion:
        """The newest that the fewest pins speak against."""
        return min(versions, key=lambda v: (self.against(v), -v.pair[1]))

    def against(self, version: PythonVersion) -> int:
        late = self.made_for is not None and version.pair > self.made_for
        return sum(version.pair > last for _, last in self.wheels) + late

    def reason(self, version: PythonVersion) -> str:
        if self.wheels and self.against(version) == 0:
            entry, last = min(self.wheels, key=lambda pair: pair[1])
            if last == version.pair:
                return f"the newest here that {entry.text} comes ready-made for"
        if self.made_for == version.pair:
            return "the newest here that this Django was made for"
        return f"the newest here that suits: {self.why}" if self.why else "the newest here that suits what is pinned"


def _lowest(entry: Line) -> Version | None:
    found = [v for c in entry.parsed.specifier if c.operator in (">=", ">") and (v := eras.version(c.version))]
    return max(found, default=None)


def _highest(entry: Line) -> Version | None:
    """The newest version that a bounded requirement allows, near enough: `<4.3` counts as 4.2.99."""
    for clause in entry.parsed.specifier:
        bound = eras.version(clause.version.removesuffix(".*"))
        if clause.operator == "<=" and bound:
            return bound
        if clause.operator == "<" and bound:
            release = (*bound.release, 0)[:2]
            before = (release[0], release[1] - 1) if release[1] else (release[0] - 1, 99)
            return eras.version(f"{before[0]}.{before[1]}.99")
    return None


def _specifier(text: str) -> SpecifierSet | None:
    text = text.strip()
    try:
        return SpecifierSet(f"=={text}.*" if re.fullmatch(r"3\.\d+", text) else text)
    except InvalidSpecifier:
        return None


def _version(text: str) -> PythonVersion | None:
    match = re.search(r"(3\.\d{1,2})", text)
    return PythonVersion(match[1]) if match else None


def _accepted(version: PythonVersion, specifiers: list[SpecifierSet]) -> bool:
    """A minor version is fine when its first or some later patch release is."""
    return all(
        spec.contains(f"{version}.0") or spec.contains(f"{version}.99") or _patch(version, spec) for spec in specifiers
    )


def _patch(version: PythonVersion, spec: SpecifierSet) -> bool:
    return any(clause.operator == "==" and clause.version.startswith(f"{version}.") for clause in spec)


def _near(
    soft: tuple[Wish, PythonVersion], here: list[PythonVersion], firm: list[tuple[Wish, SpecifierSet]], bounds: _Bounds,
    notes: Notes,
) -> PythonVersion:  # fmt: skip
    """The wished version, or else the nearest newer one here, or else the nearest older one."""
    wish, wanted = soft
    if wanted in here:
        notes.found("Python", wanted, f"{wish.where.split(':')[0]} says so", where=wish.where)
        return wanted
    newer = [v for v in here if v.pair > wanted.pair]
    fewest = min((bounds.against(v) for v in newer), default=0)
    calm = [v for v in newer if bounds.against(v) == fewest]
    chosen = min(calm, key=lambda v: v.pair) if calm else max(here, key=lambda v: v.pair)
    notes.found("Python", chosen, f"the nearest to {wanted} that is on this machine", where=wish.where)
    notes.warn(
        "python_nearest",
        f"{wish.where.split(':')[0]} asks for Python {wanted}, which is not on this machine; Python {chosen} is used.",
        where=wish.where,
        fix=f"Install Python {wanted} on the machine, or write {chosen} there.",
    )
    return chosen


def _absent(
    fitting: list[PythonVersion], firm: list[tuple[Wish, SpecifierSet]], soft: list[tuple[Wish, PythonVersion]],
    installed: tuple[PythonVersion, ...], bounds: _Bounds, notes: Notes,
) -> PythonVersion:  # fmt: skip
    """No Python here can do: plan one that could, for the host to fetch, and rather one that is there to be fetched."""
    offered = [version for version in fitting if version.pair >= OFFERED] or fitting
    wished = next((version for _, version in soft if version in offered), None)
    nearest = bounds.best(offered) if offered else None
    chosen = wished or nearest or (soft[0][1] if soft else None) or (installed[-1] if installed else KNOWN[-2])
    reason = f"requires {firm[0][0].text}" if firm else bounds.why or "it is wished"
    where = firm[0][0].where if firm else bounds.where
    notes.found("Python", chosen, reason, where=where)
    if chosen not in installed:
        _say_absent(chosen, installed, reason, notes, where)
    else:
        notes.warn(
            "python_conflict", f"No Python satisfies everything that is asked for; {chosen} is tried.", where=where
        )
    return chosen


def _say_absent(version: str, installed: tuple[PythonVersion, ...], reason: str, notes: Notes, where: str = "") -> None:
    has = ", ".join(installed) or "none"
    notes.warn(
        "python_absent",
        f"Python {version} is needed ({reason}) and is not on this machine, which has {has}. "
        "It is fetched if the network allows.",
        where=where,
        fix=f"Install Python {version} on the machine.",
    )
