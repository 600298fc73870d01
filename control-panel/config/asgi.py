"""The panel as an ASGI application: one process serves pages, API and live streams."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django_application = get_asgi_application()

from apps.core.proxy import BehindProxy  # noqa: E402 - Django has to be set up first

application = BehindProxy(django_application)
