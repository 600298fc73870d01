"""Why a release failed: cause in one sentence, the lines that prove it, and a fix.

Typed facts of the error come first; what only the program's own words tell is found by a table of patterns over its
last lines. A failure that fits nothing still gets its step, its last lines and where to look.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from apps.core.errors import Refused
from apps.deployments.explain_patterns import PATTERNS, Pattern
from apps.deployments.plan import Plan
from webops_host import errors


@dataclass(frozen=True, slots=True)
class Explanation:
    """`kind` is a stable word for programs; `evidence` are lines of the log."""

    kind: str
    cause: str
    evidence: tuple[str, ...] = ()
    hint: str = ""


FETCH = {
    "not_found": ("repository_not_found", "Check the address. A private repository needs a token in the settings."),
    "credentials": ("credentials_refused", "Put a token that may read this repository into the deployment's settings."),
    "ref_not_found": ("branch_not_found", "Choose a branch, tag or commit that exists in the repository."),
    "too_large": ("repository_too_large", "Move large files out of the repository, or raise WEBOPS_FETCH_LIMIT_MIB."),
    "too_slow": ("fetch_too_slow", "The Git server answered too slowly. Try again, or raise WEBOPS_FETCH_TIMEOUT."),
    "unreachable": ("git_server_unreachable", "Check that the Git server is up and reachable from this machine."),
    "tls": ("git_server_certificate", "Add the certificate authority of this Git server to its entry in the settings."),
}
LOOK_AT_LOG = "The log of this step says more. Nothing of this release is live; deploy again when it is put right."
STEP_KINDS = {"build": "build_failed", "release": "release_phase_failed", "check": "health_check_failed"}


def failure(error: Exception, *, step: str, lines: list[str], plan: Plan | None) -> Explanation:
    """Explain an error of a step from its facts and from the step's last lines."""
    if isinstance(error, (errors.DiskFull,)) or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
        return _disk_full(error, lines)
    if isinstance(error, errors.FetchFailed):
        return _fetch(error, lines)
    if isinstance(error, errors.NotReady):
        return _not_ready(error, lines, plan)
    if isinstance(error, errors.HostError):
        return _host(error, step, lines)
    if isinstance(error, Refused):
        return Explanation(error.code, error.message, (), error.hint)
    return Explanation(
        "internal_error",
        f"WebOps itself failed in the step “{step}” ({type(error).__name__}).",
        tuple(lines[-3:]),
        "The release before is untouched. Deploy again; if it stays, report it with the worker's log.",
    )


def _disk_full(error: Exception, lines: list[str]) -> Explanation:
    hint = getattr(error, "hint", "") or "Free some disk space, then deploy again."
    message = getattr(error, "message", "") or "The disk is full."
    return Explanation("disk_full", message, tuple(lines[-2:]), hint)


def _fetch(error: errors.FetchFailed, lines: list[str]) -> Explanation:
    kind, hint = FETCH.get(str(error.facts.get("reason", "")), ("fetch_failed", "Look at the log of the fetch."))
    return Explanation(kind, error.message, tuple(lines[-3:]), error.hint or hint)


def _not_ready(error: errors.NotReady, lines: list[str], plan: Plan | None) -> Explanation:
    """The candidate did not answer well. What it printed says more than its silence."""
    body = str(error.facts.get("body", ""))
    lines = [*lines, *str(error.facts.get("output", "")).splitlines()]
    if error.facts.get("oom"):
        return _out_of_memory(error, lines)
    found = _by_pattern(lines + body.splitlines(), "check")
    if found is not None:
        return found
    reason, status = str(error.facts.get("reason", "")), error.facts.get("status", 0)
    if status == 400 and plan is not None and plan.django is not None:
        return Explanation("disallowed_host", DISALLOWED, (error.message, *lines[-4:]), DISALLOWED_HINT)
    if reason == "status":
        kind = "health_check_5xx" if isinstance(status, int) and status >= 500 else "health_check_4xx"
    else:
        kind = {
            "exited": "exits_at_start",
            "never_bound": "never_bound",
            "timeout": "health_check_timeout",
        }.get(reason, "health_check_failed")
    return Explanation(kind, error.message, tuple(lines[-8:]), error.hint or NOT_READY_HINTS.get(kind, ""))


DISALLOWED = "Django answered 400, as it does to a host name that is not in ALLOWED_HOSTS."
DISALLOWED_HINT = "Read ALLOWED_HOSTS from the environment, or leave the settings overlay on."
NOT_READY_HINTS = {
    "health_check_5xx": "Look at the traceback in the log. Another page can be checked: health path in the settings.",
    "health_check_4xx": "Choose a page that answers without an error as health path, in webops.toml or the settings.",
    "exits_at_start": "Run the same command on your machine; its last lines are in the log.",
    "never_bound": "Listen on the port in $PORT (or on the socket that gunicorn is given), on 127.0.0.1.",
    "health_check_timeout": "Make the page faster, or raise the health timeout in webops.toml or the settings.",
}


def _host(error: errors.HostError, step: str, lines: list[str]) -> Explanation:
    if error.facts.get("oom"):
        return _out_of_memory(error, lines)
    if error.code == "plan_refused":
        kind = str(error.facts.get("problem", "refused"))
        return Explanation(kind, error.message, _where(error), error.hint)
    if isinstance(error, errors.CommandTimedOut):
        hint = error.hint or "Find out what it waits for; a build has its own time limit."
        return Explanation("step_timed_out", error.message, tuple(lines[-5:]), hint)
    if isinstance(error, errors.CommandFailed):
        found = _by_pattern(lines, step)
        kind = STEP_KINDS.get(step, "command_failed")
        if step == "build" and error.facts.get("program") == "npm":
            kind = "npm_build_fails"  # npm itself may add no word to what the script printed
        return found or Explanation(kind, error.message, tuple(lines[-8:]), error.hint or "Its last lines say why.")
    if isinstance(error, errors.NotFound):
        kind = str(error.facts.get("reason", "not_found"))
        return Explanation(kind, error.message, tuple(lines[-3:]), error.hint or LOOK_AT_LOG)
    return Explanation(error.code, error.message, tuple(lines[-3:]) or _where(error), error.hint or LOOK_AT_LOG)


def _where(error: errors.HostError) -> tuple[str, ...]:
    where = str(error.facts.get("where", ""))
    return (where,) if where else ()


def _out_of_memory(error: errors.HostError, lines: list[str]) -> Explanation:
    return Explanation(
        "out_of_memory",
        error.message,
        tuple(lines[-3:]),
        "Raise the memory limit in webops.toml ([resources] memory) or the settings, or use fewer workers.",
    )


def _by_pattern(lines: list[str], step: str) -> Explanation | None:
    """The first rule that fits, looking at the newest lines first within a rule."""
    for pattern in PATTERNS:
        if pattern.steps and step not in pattern.steps:
            continue
        for index in range(len(lines) - 1, -1, -1):
            match = pattern.regex.search(lines[index])
            if match:
                return _from_match(pattern, match.groupdict(""), lines, index)
    return None


def _from_match(pattern: Pattern, groups: dict[str, str], lines: list[str], index: int) -> Explanation:
    around = lines[max(0, index - pattern.before) : index + 1 + pattern.after]
    return Explanation(pattern.kind, pattern.cause.format(**groups), tuple(around), pattern.hint.format(**groups))
