"""Routes of the panel. Each application brings its own."""

from __future__ import annotations

from django.urls import include, path

from apps.api.urls import api

urlpatterns = [
    path("account/tokens/", include("apps.api.pages")),
    path("account/", include("allauth.account.urls")),
    path("api/v1/", api.urls),
    path("", include("apps.core.urls")),
    path("databases/", include("apps.databases.urls")),
    path("", include("apps.deployments.urls")),
]

handler500 = "apps.core.views.broken"
