"""Says in every answer which release made it."""

from shop.version import MARKER


def release_marker(get_response):
    def middleware(request):
        response = get_response(request)
        response["X-Release"] = MARKER
        return response

    return middleware
