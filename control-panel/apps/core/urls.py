"""Pages of the platform itself."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from apps.core import views

app_name = "core"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("healthz", views.healthz, name="healthz"),
    path("favicon.ico", views.favicon, name="favicon"),
    path("first-sign-in/<str:secret>/", views.entrance, name="entrance"),
    path("account/", views.account, name="account"),
    path("teams/<slug:slug>/", views.team, name="team"),
    path("teams/<slug:slug>/git-servers/", views.git_servers, name="git-servers"),
    path("teams/<slug:slug>/git-servers/<int:pk>/forget/", views.forget_git_server, name="forget-git-server"),
    path("teams/<slug:slug>/audit/", views.audit_log, name="audit"),
]
