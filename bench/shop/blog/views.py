"""Pages that the benchmarks ask for."""

import sys

import django
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from shop.version import MARKER

from blog.models import Post


def hello(request):
    return HttpResponse("hello", content_type="text/plain")


def version(request):
    return HttpResponse(MARKER, content_type="text/plain")


def about(request):
    """What runs here, so that both sides of a comparison can be shown to run the same."""
    return JsonResponse({"python": sys.version, "django": django.get_version(), "posts": Post.objects.count()})


def posts(request):
    return render(request, "blog/posts.html", {"posts": Post.objects.select_related("author").order_by("pk")[:20]})


@csrf_exempt
@require_POST
def echo(request):
    return HttpResponse(request.body, content_type="application/octet-stream")
