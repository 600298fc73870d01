"""Pages of the platform itself."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

app_name = "core"
urlpatterns: list[URLPattern | URLResolver] = []
