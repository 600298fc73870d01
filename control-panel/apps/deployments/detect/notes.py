"""What detection writes down while it decides: findings for the reader, problems for the person."""

from __future__ import annotations

from dataclasses import dataclass, field

from apps.deployments.plan import Finding, Problem, Severity


def at(path: str, line: int = 0) -> str:
    return f"{path}:{line}" if line else path


@dataclass
class Notes:
    """Filled in order and read once at the end."""

    findings: list[Finding] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def found(self, subject: str, value: str, reason: str, *, where: str = "", origin: str = "detection") -> None:
        finding = Finding(subject, value[:200], reason, origin, where)
        if finding not in self.findings:
            self.findings.append(finding)

    def note(self, code: str, message: str, *, fix: str = "", where: str = "") -> None:
        self._problem(Problem(code, Severity.NOTE, message, fix, where))

    def warn(self, code: str, message: str, *, fix: str = "", where: str = "") -> None:
        self._problem(Problem(code, Severity.WARNING, message, fix, where))

    def block(self, code: str, message: str, *, fix: str, where: str = "") -> None:
        self._problem(Problem(code, Severity.BLOCKER, message, fix, where))

    def _problem(self, problem: Problem) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
