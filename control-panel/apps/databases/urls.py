"""Pages of databases."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

app_name = "databases"
urlpatterns: list[URLPattern | URLResolver] = []
