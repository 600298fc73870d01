"""The API as one object; each noun adds its router."""

from __future__ import annotations

from ninja import NinjaAPI

api = NinjaAPI(title="WebOps", version="1")
