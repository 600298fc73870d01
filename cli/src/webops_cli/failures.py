"""What can go wrong for the person at the terminal, and the exit code that says so to a script.

0 done · 1 the operation failed · 2 wrong usage · 3 not signed in or forbidden · 4 not found · 5 conflict ·
6 timed out waiting · 7 panel unreachable · 130 interrupted
"""

from __future__ import annotations

from typing import IO, Any

import click

FAILED, USAGE, FORBIDDEN, NOT_FOUND, CONFLICT, TIMED_OUT, UNREACHABLE, INTERRUPTED = 1, 2, 3, 4, 5, 6, 7, 130
BY_STATUS = {
    400: USAGE,
    401: FORBIDDEN,
    403: FORBIDDEN,
    404: NOT_FOUND,
    409: CONFLICT,
    413: USAGE,
    422: USAGE,
    502: UNREACHABLE,
    503: UNREACHABLE,
    504: UNREACHABLE,
}


class Failure(click.ClickException):
    """What happened, the details that prove it, and the next command."""

    def __init__(
        self, message: str, *, exit_code: int = FAILED, hint: str = "", details: tuple[str, ...] = (), code: str = ""
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance
        self.hint = hint
        self.details = details
        self.code = code

    def show(self, file: IO[Any] | None = None) -> None:
        click.secho(f"Error: {self.message}", fg="red", err=True)
        for detail in self.details:
            click.echo(f"  {detail}", err=True)
        if self.hint:
            click.echo(f"Next: {self.hint}", err=True)


def of_problem(status: int, problem: dict[str, Any]) -> Failure:
    """A problem document of the panel."""
    message = str(problem.get("detail") or problem.get("title") or f"The panel answered {status}.")
    hint = str(problem.get("hint") or "")
    if status == 401:
        hint = "webops login"
    errors = [(str(item.get("field")), str(item.get("message"))) for item in problem.get("errors") or []]
    if len(errors) == 1 and errors[0][1] == f"{message} {hint}".strip():
        message, errors = f"{errors[0][0]}: {message}", []
    details = tuple(f"{field}: {text}" for field, text in errors)
    if status >= 500 and problem.get("request_id"):
        details = (*details, f"request id {problem['request_id']}")
    code = str(problem.get("code", ""))
    exit_code = FAILED if code == "not_done" else BY_STATUS.get(status, FAILED)
    return Failure(message, exit_code=exit_code, hint=hint, details=details, code=code)
