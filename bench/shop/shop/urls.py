"""Pages, the admin, the API."""

from blog import views
from blog.api import PostViewSet
from django.contrib import admin
from django.urls import include, path
from rest_framework.routers import DefaultRouter

router = DefaultRouter()
router.register("posts", PostViewSet)

urlpatterns = [
    path("", views.hello),
    path("hello", views.hello),
    path("posts", views.posts),
    path("version", views.version),
    path("about", views.about),
    path("echo", views.echo),
    path("api/", include(router.urls)),
    path("admin/", admin.site.urls),
]
