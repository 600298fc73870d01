"""What a repository says it depends on, as a value: lines to install, and what else its files said on the way."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from apps.deployments.detect.eras import version
from apps.deployments.detect.notes import Notes


@dataclass(frozen=True, slots=True)
class Line:
    """One requirement (PEP 508) and where it stands."""

    text: str
    name: str
    where: str

    @property
    def parsed(self) -> Requirement:
        return Requirement(self.text)

    @property
    def pinned(self) -> Version | None:
        """The version of an exact pin (`==1.2`, also `~=1.2` and a lone upper bound), or None."""
        return _pinned(self.text)

    def is_below(self, limit: str) -> bool:
        """Whether whatever version comes is older than that."""
        if self.pinned is not None:
            return self.pinned < Version(limit)
        below = {"<": Version.__le__, "<=": Version.__lt__}
        bounds = (clause for clause in self.parsed.specifier if clause.operator in below)
        return any(below[clause.operator](Version(clause.version), Version(limit)) for clause in bounds)

    def with_text(self, text: str) -> Line:
        return replace(self, text=text, name=canonicalize_name(Requirement(text).name))


def line(text: str, where: str) -> Line | None:
    """The line, or None when it is not PEP 508."""
    known = _known(text.strip())
    return Line(*known, where) if known else None


@functools.lru_cache(maxsize=2048)
def _known(text: str) -> tuple[str, str] | None:
    """A requirement in its usual form, and its name. Kept: the next release has the same lines, and they are slow."""
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        return None
    return str(parsed), canonicalize_name(parsed.name)


@functools.lru_cache(maxsize=2048)
def _pinned(text: str) -> Version | None:
    for clause in Requirement(text).specifier:
        if clause.operator in ("==", "===", "~="):
            return version(clause.version.removesuffix(".*"))
    return None


@dataclass(frozen=True, slots=True)
class Wish:
    """A Python version that a file names. A `firm` one (`requires-python` and the like) excludes others."""

    text: str
    where: str
    firm: bool = False


@dataclass(frozen=True, slots=True)
class Declared:
    """`source` is the file that counts, "" when nothing is declared. `resolve` gives the lines for a Python version
    and says what it left out. `project` is a folder to install as well."""

    source: str = ""
    resolve: Callable[[str, Notes], tuple[Line, ...]] = lambda python, notes: ()
    pins: tuple[Line, ...] = ()  # every line, whatever its markers: to judge the era by
    wishes: tuple[Wish, ...] = ()
    project: str | None = None
    locked: bool = False
    others: tuple[str, ...] = field(default=())  # files that were there and did not count
