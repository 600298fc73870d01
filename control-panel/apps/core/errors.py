"""What a person asked for and can not have.

Refused                     catch this to catch them all; doors turn it into a page, a problem document, an exit code
├── Invalid        400      the input is wrong; `fields` says where
├── Forbidden      403      the role does not allow it
├── Missing        404      there is no such thing, or it is not yours: one answer for both
├── Conflict       409      it does not fit the present state
└── Gone           410      it was there, and its time is over
"""

from __future__ import annotations

from webops_host.errors import HostError


class Refused(Exception):
    """One sentence of what happened, and a hint of what to do next."""

    status = 400
    code = "refused"

    def __init__(
        self, message: str, *, hint: str = "", code: str = "", fields: dict[str, list[str]] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields = fields or {}
        if code:
            self.code = code


class Invalid(Refused):
    code = "invalid"

    @classmethod
    def of(cls, field: str, error: HostError) -> Invalid:
        """A value that the host's own types refuse, as an error of a form field."""
        text = f"{error.message} {error.hint}".strip()
        return cls(error.message, hint=error.hint, fields={field: [text]})


class Forbidden(Refused):
    status = 403
    code = "forbidden"


class Missing(Refused):
    status = 404
    code = "not_found"


class Conflict(Refused):
    status = 409
    code = "conflict"


class Gone(Refused):
    status = 410
    code = "gone"
