"""What is said of a deployment's database and of its dumps."""

from __future__ import annotations

import enum
import secrets
import time
from dataclasses import dataclass

from webops_host.names import Digest, DumpId

PIECE = 1 << 20
"""The most bytes of a dump that one call carries."""


def new_dump() -> DumpId:
    """An id for a dump that is begun now."""
    return DumpId(f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(2)}")


class DumpForm(enum.StrEnum):
    CUSTOM = "custom"  # pg_dump's own archive
    SQL = "sql"  # statements, as pg_dump prints them without an option


class DumpOrigin(enum.StrEnum):
    MADE = "made"  # by this host, of this database
    UPLOADED = "uploaded"  # by a person


@dataclass(frozen=True, slots=True)
class Dump:
    """A dump that was read whole and found good. `rows` and `tables` count what is in it; `at` is a Unix time."""

    id: DumpId
    at: float
    bytes: int
    form: DumpForm
    origin: DumpOrigin
    digest: Digest
    tables: int = 0
    rows: int = 0
    version: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What the server says of a database now. `longest_query` is in seconds, 0 when none runs.

    `kept_since` is the Unix time of a restore whose database before is still kept, or 0. `rotating` while two passwords
    are valid.
    """

    engine: str
    version: str
    bytes: int
    tables: int
    connections: int = 0
    connection_limit: int = 0
    longest_query: float = 0.0
    kept_since: float = 0.0
    rotating: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore brought. `skipped` are parts of an uploaded dump that belong to another server: owners, grants."""

    tables: int
    rows: int
    skipped: tuple[str, ...] = ()
