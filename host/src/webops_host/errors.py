"""Everything that can go wrong on a machine.

HostError                   catch this to catch them all
├── BadValue                a name, address or number that no machine may be given
├── CommandFailed           a program ran and said no
├── CommandTimedOut         a program ran for too long
├── Cancelled               somebody asked to stop
├── ProgramMissing          a program is not installed
├── PythonMissing           no interpreter of the wanted version is here or can be fetched
├── NoWheel                 a package has no ready-made wheel, so it has to be built by whoever asked for it
├── FetchFailed             the repository could not be read (with a reason)
├── AddressRefused          a name leads to an address that may not be reached
├── NotReady                the app started but never answered well
├── CertificateRefused      a certificate authority gave no certificate (with a reason)
├── DiskFull                there is not enough room to begin, or it ran out
├── Stale                   the caller's fence is older than one already seen
├── Forbidden               this caller may not ask for that
├── NotFound                no such unit, release or file
├── NotSupported            this host can not do that
└── HostUnreachable         the host's daemon does not answer
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class HostError(Exception):
    """What happened in one sentence, and what the operator can do about it.

    `code` names the kind for programs and survives the trip over the daemon's socket; `facts` are short typed
    details (an exit status, a path) that explanations are built from.
    """

    code = "host_error"

    def __init__(self, message: str, *, hint: str = "", facts: dict[str, str | int | bool] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts or {}


class BadValue(HostError, ValueError):
    code = "bad_value"


class CommandFailed(HostError):
    """Facts: `program`, `status` (negative for a signal), `oom` when the memory limit killed it."""

    code = "command_failed"


class CommandTimedOut(HostError):
    code = "command_timed_out"


class Cancelled(HostError):
    code = "cancelled"


class ProgramMissing(HostError):
    code = "program_missing"


class PythonMissing(HostError):
    code = "python_missing"


class NoWheel(HostError):
    code = "no_wheel"


class FetchFailed(HostError):
    """Facts: `reason`, one of: not_found, credentials, ref_not_found, too_large, too_slow, unreachable, tls, other."""

    code = "fetch_failed"


class AddressRefused(HostError):
    code = "address_refused"


class NotReady(HostError):
    """Facts: `reason`, one of: exited, never_bound, status, timeout; with `status`, `exit`, `oom` where known."""

    code = "not_ready"


class CertificateRefused(HostError):
    """Facts: `reason`, one of: names, challenge, rate_limited, ca_down, wait, other; `host`, `seconds` if known."""

    code = "certificate_refused"


class DiskFull(HostError):
    code = "disk_full"


class Stale(HostError):
    code = "stale"


class Forbidden(HostError):
    code = "forbidden"


class NotFound(HostError):
    code = "not_found"


class NotSupported(HostError):
    code = "not_supported"


class HostUnreachable(HostError):
    code = "host_unreachable"


@contextmanager
def full_disk_told() -> Iterator[None]:
    """What is done inside fails with DiskFull when the system says that there is no room."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk is full.", hint="Remove old releases or enlarge the disk.") from error
        raise
