"""Pages of databases."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from apps.databases import views

app_name = "databases"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.show, name="list"),
    path("<int:pk>/reveal/", views.reveal, name="reveal"),
]
