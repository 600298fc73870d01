"""Whole numbers that are only right in a range. For the type checker each is an `int`; `codec` checks the range where a
value crosses to another process.
"""

from __future__ import annotations

from typing import Annotated

Positive = Annotated[int, range(1, 1 << 31)]
"""Counts from one: a release, a copy of a process. Names and paths are made of it."""

Offset = Annotated[int, range(1 << 53)]
"""A place in a file."""

Moment = Annotated[int, range(1 << 40)]
"""A Unix time, in whole seconds."""
