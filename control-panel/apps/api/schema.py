"""The base of what the API takes and gives."""

from __future__ import annotations

from ninja import Schema

# What checks a schema is made when the schema is first used, ninja's own wrappers of ours included: a megabyte at rest.
Schema.model_config["defer_build"] = True

__all__ = ["Schema"]
