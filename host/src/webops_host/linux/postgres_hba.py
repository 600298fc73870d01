"""PostgreSQL's own files, as text: who may sign in and how (pg_hba.conf, pg_ident.conf), and its settings.

The rules are read from above, and the first that fits decides: nobody comes in over a network, nobody without a
password or the kernel's word, and a deployment's role reaches the database of its own name alone.
"""

from __future__ import annotations

from collections.abc import Iterable

VISITORS = "webops_visitors"
"""The group of pgd's own short-lived logins, which also fill databases that no deployment may see yet."""
PANEL = "webops"
BEGIN, END = "# --- your own rules begin here ---", "# --- your own rules end here ---"


def hba(before: str = "") -> str:
    """pg_hba.conf. Rules that an administrator wrote between the two marks of `before` stay."""
    rules = (
        "# Written by WebOps at every set-up. Rules of your own belong between the marks below; they come last.",
        "# TYPE  DATABASE  USER  METHOD",
        "local   all       postgres            peer map=webops_admin",
        f"local   {PANEL}    {PANEL}              peer map=webops_panel",
        f"local   all       +{VISITORS}    scram-sha-256",
        "# samerole: the role must be a member of the role that is named like the database. The two logins of a",
        "# deployment are members of its owner role, and of no other; which of them is used changes with its password.",
        "local   samerole  all                 scram-sha-256",
        BEGIN,
        *_own(before),
        END,
        "local   all       all                 reject",
        "host    all       all       all       reject",
    )
    return "\n".join(rules) + "\n"


def ident(admins: Iterable[str] = ("postgres",), panel: Iterable[str] = (PANEL, "webops-worker")) -> str:
    """pg_ident.conf: which users of the system are which role."""
    lines = [
        "# Written by WebOps at every set-up.",
        "# MAP          SYSTEM-USERNAME  ROLE",
        *(f"webops_admin   {user:15}  postgres" for user in admins),
        *(f"webops_panel   {user:15}  {PANEL}" for user in panel),
    ]
    return "\n".join(lines) + "\n"


def settings(version: int) -> str:
    """A file for conf.d. What a deployment may take is set on its role; this is what all share."""
    lines = [
        "# Written by WebOps at every set-up. Files that come later in the alphabet win.",
        "listen_addresses = ''",
        "unix_socket_permissions = 0777",
        "password_encryption = 'scram-sha-256'",
        "max_connections = 200",
        "superuser_reserved_connections = 5",
        *(("reserved_connections = 10",) if version >= 16 else ()),
        "authentication_timeout = 3s",  # until it is over a sign-in holds a place, and counts against nobody's limit
        "idle_in_transaction_session_timeout = 10min",
        "row_security = on",
        "log_connections = on",
        "log_disconnections = off",
        "log_statement = 'none'",
        "log_min_duration_statement = 5s",
        "log_parameter_max_length = 0",
        "log_parameter_max_length_on_error = 0",
        "log_temp_files = 64MB",
        "log_lock_waits = on",
        "log_line_prefix = '%m [%p] %q%u@%d '",
    ]
    return "\n".join(lines) + "\n"


def _own(before: str) -> list[str]:
    lines = before.splitlines()
    if BEGIN not in lines or END not in lines:
        return []
    return lines[lines.index(BEGIN) + 1 : lines.index(END)]
